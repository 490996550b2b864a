"""A reader slower than the pod: kubectl exec is cut short and exits 0; a backup over it is whole all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Suites, new_namespace
from world import World

SIZE = 60_000_000
RATE = 10_000_000
"""Bytes a second that the slow reader takes: the pod is done long before it."""
SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}
"""Over websockets the cut shows in kubectl's exit status; over SPDY it does not (kubernetes/kubernetes#124571)."""

WRAPPER = """#!{python}
import os, subprocess, sys, time
argv = ["{kubectl}", *sys.argv[1:]]
if "exec" not in argv:
    os.execv(argv[0], argv)
process = subprocess.Popen(argv, stdout=subprocess.PIPE)
begun, passed = time.monotonic(), 0
while piece := os.read(process.stdout.fileno(), 65536):
    passed += len(piece)
    time.sleep(max(0, passed / {rate} - (time.monotonic() - begun)))
    os.write(1, piece)
sys.exit(process.wait())
"""


@pytest.fixture
def slow_path(tmp_path: Path, status: Status) -> str:
    """A PATH whose kubectl passes on what exec prints at no more than ``RATE``."""
    wrapper = tmp_path / "slow" / "kubectl"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.format(python=sys.executable, kubectl=status.bin / "kubectl", rate=RATE))
    wrapper.chmod(0o700)
    return f"{wrapper.parent}{os.pathsep}{status.bin}{os.pathsep}{os.environ['PATH']}"


def test_a_cut_stream_is_no_backup(world: World, suites: Suites, slow_path: str, tmp_path: Path) -> None:
    """In one run: the plain copy is short and says 0; ours is whole, by the pod's own digests."""

    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": world.agent_values()}})
        world.fill_home(namespace, "openab-kiro", "random", size=SIZE)
        env = {**suites.env, **SPDY, "PATH": slow_path}
        naive = tmp_path / "naive"
        with naive.open("wb") as out:
            target = ["deploy/openab-kiro", "--container=openab", "--", "cat", "/home/agent/random.bin"]
            done = subprocess.run(["kubectl", "-n", namespace, "exec", *target], stdout=out, env=env, check=False)
        assert done.returncode == 0
        assert naive.stat().st_size < SIZE, "the plain copy was not cut: this test proves nothing here"

        run = suites.run("suites/backup", f"--namespace={namespace}", env={**SPDY, "PATH": slow_path})
        assert run.status == 0, run.output
        theirs = world.kubectl("-n", namespace, "exec", *target[:-2], "sha256sum", target[-1]).split()[0]
        archive = suites.backups()[-1] / "openab-kiro" / "pvc-data" / "home.tar"
        unpacked = subprocess.run(["tar", "-xOf", archive, "./random.bin"], check=True, capture_output=True).stdout
        ours = subprocess.run(["sha256sum"], input=unpacked, check=True, capture_output=True, text=False).stdout
        assert ours.decode().split()[0] == theirs
