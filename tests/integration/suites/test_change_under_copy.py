"""Files that change while they are copied: the end comes soon, and what is not as it should be is named."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.suites.test_incremental import unpacked
from tests.integration.suites.tiny import DEPLOYMENT, Tiny, tiny_release
from world import World


@pytest.fixture(scope="module")
def tiny(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with tiny_release(world, status, tmp_path_factory.mktemp("change")) as tiny:
        tiny.shell(
            "mkdir still moving && for n in 1 2 3 4; do head -c 300000 /dev/urandom > still/$n; done"
            " && echo a > moving/named && echo b > moving/replaced"
        )
        yield tiny


@contextmanager
def meanwhile(tiny: Tiny, status: Status, script: str) -> Generator[None]:
    """Run a script in the agent's home, over and over, while the block runs."""
    kubectl = [status.bin / "kubectl", "--kubeconfig", status.kubeconfig, "--namespace", tiny.namespace]
    command = ["sh", "-c", f"cd && echo begun && while :; do {script}; done"]
    argv = [*kubectl, "exec", f"deploy/{DEPLOYMENT}", "--container=openab", "--", "timeout", "120", *command]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield
        process.kill()
    tiny.shell("pkill -f '^sh -c cd && echo begun' || true")


def test_a_file_that_never_stands_still_is_named(tiny: Tiny, status: Status) -> None:
    with meanwhile(tiny, status, "head -c 4000 /dev/urandom > moving/restless"):
        run = tiny.attempt("--full")
    assert run.status == 1, run.output
    assert "/home/agent/moving/restless: it changed during each of 4 attempts to copy it" in run.output
    assert "still/" not in run.output
    assert tiny.suites.backups() == []
    tiny.shell("rm -f moving/restless")


def test_files_that_come_and_go_do_no_harm(tiny: Tiny, status: Status, tmp_path: Path) -> None:
    """Renamed, replaced, made and removed all the time: what stands still is whole, what does not is there or named."""
    script = (
        "mv moving/named moving/other; sleep 0.3; mv moving/other moving/named; sleep 0.3;"
        " cp moving/replaced moving/new; mv moving/new moving/replaced; sleep 0.3;"
        " mkdir -p moving/passing; echo c > moving/passing/file; sleep 0.3; rm -r moving/passing; sleep 0.3"
    )
    with meanwhile(tiny, status, script):
        run = tiny.attempt("--full")
    named = [line for line in run.output.splitlines() if "/home/agent/" in line]
    assert run.status == 0 or all("/home/agent/moving" in line for line in named), run.output
    assert run.status in (0, 1)
    if run.status == 0:
        ours = unpacked(tiny.suites.backups()[-1], tmp_path / "home")
        theirs = tiny.shell("sha256sum still/*").splitlines()
        assert [f"{ours[f'./still/{n}']}  still/{n}" for n in range(1, 5)] == theirs
        assert ours.get("./moving/named", ours.get("./moving/other")) == hashlib.sha256(b"a\n").hexdigest()
        assert ours["./moving/replaced"] == hashlib.sha256(b"b\n").hexdigest()
