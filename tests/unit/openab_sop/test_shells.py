"""Scripts that share an exec: each is on its own, and nothing but a script of ours is ever run."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openab_sop.cluster import shells
from openab_sop.cluster.pod import Pod, ScriptFailed
from openab_sop.errors import CutOff, PodError
from tests.unit.openab_sop.local import Local, local

LOGGED = '#!/bin/sh\necho "${{KUBECTL_REMOTE_COMMAND_WEBSOCKETS:-true}}" >> {log}\n{rest}'
LONG = "x" * 200
NAMES = b"".join(b"./%d%s\0" % (number, LONG.encode()) for number in range(100))


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    return local(tmp_path)


def log_execs(tmp_path: Path, *, refuse_spdy: bool = False) -> Path:
    """Have each exec write down whether it is by websockets; returns where."""
    log, path = tmp_path / "execs", tmp_path / "exec"
    rest = path.read_text()
    if refuse_spdy:
        rest = rest.replace("#!/bin/sh", '[ "${KUBECTL_REMOTE_COMMAND_WEBSOCKETS:-true}" = true ] || exit 1', 1)
    path.write_text(LOGGED.format(log=log, rest=rest))
    log.touch()
    return log


def said(pod: Pod, script: str, *arguments: str) -> str:
    return pod.capture(script, "/", *arguments).decode()


def test_many_scripts_take_one_exec(pod: Local, tmp_path: Path) -> None:
    log = log_execs(tmp_path)
    with pod.pod.held() as held:
        odd = 'it\'s\n"$HOME" \\ `ls` \udce9'
        assert [held.capture('printf "%s" "$1"', "/", text) for text in ("", odd)] == [
            b"",
            b'it\'s\n"$HOME" \\ `ls` \xe9',
        ]
        with held.open("cat", "/", stdin=NAMES) as output:
            assert b"".join(iter(lambda: output.read(1 << 16), b"")) == NAMES
        assert said(held, "cd /tmp; name=value; pwd") == "/tmp\n"
        assert said(held, 'pwd; echo "$name"') == "/\n\n"
    assert log.read_text().split() == ["false"]


def test_websockets_where_spdy_does_not_get_through(pod: Local, tmp_path: Path) -> None:
    log = log_execs(tmp_path, refuse_spdy=True)
    with pod.pod.held() as held:
        assert (said(held, "echo 1"), said(held, "echo 2")) == ("1\n", "2\n")
        with held.held() as same:
            assert said(same, "echo 3") == "3\n"
    assert log.read_text().split() == ["false", "true"]


def test_scripts_at_the_same_time_have_a_shell_each(pod: Local) -> None:
    with pod.pod.held() as held, ThreadPoolExecutor(2) as two:
        first = said(held, "echo $$")
        slow, fast = (two.submit(said, held, f"sleep {seconds}; echo $$") for seconds in (0.5, 0))
        assert slow.result() != fast.result()
        assert first in (slow.result(), fast.result())


def test_a_shell_that_was_long_silent_is_not_trusted(pod: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    with pod.pod.held() as held:
        first = said(held, "echo $$")
        monkeypatch.setattr(shells, "IDLE", -1)
        assert said(held, "echo $$") != first


def test_a_script_that_fails_spoils_nothing(pod: Local) -> None:
    with pod.pod.held() as held:
        with pytest.raises(ScriptFailed, match=r"status 7: told"):
            said(held, "echo told >&2; status=7")
        with pytest.raises(ScriptFailed, match=r"status 8: \n"):  # it is not blamed for what an earlier one said
            said(held, "status=8")
        assert said(held, "echo 1") == "1\n"


def test_a_script_that_is_given_up_ends_its_exec(pod: Local, tmp_path: Path) -> None:
    log = log_execs(tmp_path)
    with pod.pod.held() as held:
        with pytest.raises(PodError, match="sends more than"):
            held.capture("yes", "/", limit=100_000)
        with held.open("yes", "/") as output:
            output.read(1)
        last = said(held, "echo $$")
    assert len(log.read_text().split()) == 3
    deadline = time.monotonic() + 5
    while Path("/proc", last.strip()).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_script_leaves_unread_is_not_run(pod: Local, tmp_path: Path) -> None:
    """Names come from the pod: one may look like the next script."""
    evil = f"touch {tmp_path / 'owned'}"
    line = f"\n{len(evil)}\nkey {len(evil)}\n{evil}\n".encode()
    with pod.pod.held() as held:
        for script in ("exec <&-; sleep 0.2", ":"):
            try:
                with held.open(script, "/", stdin=(line * 5000)[:30_000]) as output:
                    while output.read(1 << 16):
                        pass
            except (PodError, CutOff):
                pass
        assert said(pod.pod, "echo 1") == "1\n"
    assert not (tmp_path / "owned").exists()
