"""Many scripts through one shell: each has its own output, input and end, and what goes wrong in one stays there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openab_sop.cluster import shells
from openab_sop.cluster.pod import Pod, ScriptFailed
from openab_sop.errors import PodError
from tests.unit.openab_sop.local import Local, local


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    return local(tmp_path)


def shell_of(pod: Pod) -> bytes:
    """Which process runs the scripts: that of the shell, which leads them all."""
    return pod.capture('echo "$$"', "/")


def test_scripts_share_a_shell_and_nothing_else(pod: Local) -> None:
    """Arguments of any bytes, input, directory, variables and status are each script's own."""
    odd = "it's \udcff\n*"
    with pod.pod.sharing() as shared:
        first = shell_of(shared)
        assert shared.capture('printf "%s" "$1"; left=here', "/", odd) == b"it's \xff\n*"
        with shared.open('head -c "$1"', str(pod.home), "5", stdin=b"12345") as output:
            assert output.read(100) == b"12345"
            assert output.read(100) == b""
        assert shared.capture('pwd; echo "$left$#"', str(pod.home)) == f"{pod.home}\n0\n".encode()
        with pytest.raises(ScriptFailed, match="status 3: oh"):
            shared.capture("echo oh >&2; status=3", "/")
        with pytest.raises(ScriptFailed, match="status 4") as failed:
            shared.capture("status=4", "/")
        assert "oh" not in failed.value.problem  # that was another's
        assert shell_of(shared) == first
    assert shell_of(pod.pod) != first


def test_scripts_at_the_same_time_have_a_shell_each(pod: Local) -> None:
    with pod.pod.sharing() as shared, ThreadPoolExecutor(2) as two:
        first = shell_of(shared)
        slow, fast = (two.submit(shared.capture, f"sleep {seconds}; echo $$", "/") for seconds in (0.5, 0))
        assert slow.result() != fast.result()
        assert first in (slow.result(), fast.result())


def test_a_script_that_is_given_up_takes_its_shell_along(pod: Local) -> None:
    with pod.pod.sharing() as shared:
        first = shell_of(shared)
        with pytest.raises(PodError, match="sends more than 1000 bytes"), shared.open("yes", "/", limit=1000) as output:
            while output.read(1 << 16):
                pass
        second = shell_of(shared)
        assert second != first
        assert shared.capture("echo well", "/") == b"well\n"
    deadline = time.monotonic() + 5
    while any(Path("/proc", shell.decode().strip()).exists() for shell in (first, second)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_shell_that_was_long_silent_is_not_trusted(pod: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    with pod.pod.sharing() as shared:
        first = shell_of(shared)
        monkeypatch.setattr(shells, "IDLE", -1)
        assert shell_of(shared) != first
