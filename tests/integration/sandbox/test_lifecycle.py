"""Whatever happens to it, a sandbox comes up again, and leaves nothing behind when it goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from sandbox import Sandbox, SandboxError, enclosure, node
from tests.integration.sandbox.support import STATES, Cluster, claim, eventually, footprint, pod

EXIT = 30
"""Seconds that the kernel gets to be done with a process that a test itself has killed, on a busy machine."""


PATIENCE = 3
"""The limits hold on two idle cores; a machine that runs tests is not idle."""

ROOT = Path(__file__).resolve().parents[3]


def test_reset_gives_an_empty_cluster_that_still_has_its_images(box: Sandbox) -> None:
    before = Cluster(box.reset())
    before.apply(claim("home"), pod("agent", "home"))
    before.ready("agent")
    before.sh("agent", "echo old > /home/agent/note")

    started = time.monotonic()
    after = Cluster(box.reset())
    took = time.monotonic() - started

    assert took < 10 * PATIENCE
    assert json.loads(after.kubectl("get", "pods,pvc,pv", "--all-namespaces", "-o", "json"))["items"] == []
    after.apply(claim("home"), pod("agent", "home"))
    after.ready("agent")
    assert after.sh("agent", "ls /home/agent") == ""


def test_after_a_kill_of_everything_up_brings_back_pods_and_data(cluster: Cluster, box: Sandbox) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")
    cluster.sh("agent", "echo kept > /home/agent/note; sync /home/agent/note")
    for process in footprint(box).processes:
        _kill(process.pid)

    started = time.monotonic()
    again = Cluster(box.up(), cluster.namespace)

    assert time.monotonic() - started < 15 * PATIENCE
    eventually(lambda: _restarts(again) > 0)
    again.ready("agent")
    assert again.sh("agent", "cat /home/agent/note") == "kept\n"


@pytest.mark.parametrize("part", [enclosure.NAME, "etcd", "kubelet", "csi-provisioner", "registry"])
def test_up_repairs_the_loss_of_one_part(box: Sandbox, part: str) -> None:
    state = box.status().state
    record = next(file for place in ("run/parts", "services") for file in (state / place).glob(f"{part}.json"))
    _kill(json.loads(record.read_text())["pid"])

    cluster = Cluster(box.up())

    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    assert node.accepts(box.port("registry"))
    assert json.loads(record.read_text())["pid"] in {process.pid for process in footprint(box).processes}


def test_down_leaves_nothing_of_a_node_in_use(cluster: Cluster, box: Sandbox) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")
    seen = footprint(box)
    assert seen.processes and seen.mounts and seen.links and seen.addresses and seen.cgroups

    box.down()

    eventually(lambda: not seen.still_there(), within=EXIT)
    assert not footprint(box)


def test_down_leaves_nothing_after_a_kill_of_everything(cluster: Cluster, box: Sandbox) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")
    seen = footprint(box)
    for process in seen.processes:
        _kill(process.pid)

    box.down()

    eventually(lambda: not seen.still_there(), within=EXIT)
    assert not footprint(box)


def test_what_needs_a_node_says_so_when_it_is_down(box: Sandbox, image: Path) -> None:
    box.down()

    with pytest.raises(SandboxError, match="not up"):
        box.load(image)
    assert not box.status().up


@pytest.fixture
def neighbour() -> Generator[Sandbox]:
    """A second sandbox, as another checkout would have it."""
    other = Sandbox(STATES / "test-2")
    yield other
    other.down(purge=True)


def test_two_sandboxes_live_side_by_side(box: Sandbox, neighbour: Sandbox, image: Path) -> None:
    _want_the_place_of(box, neighbour)
    other = Cluster(neighbour.up())
    neighbour.load(image)
    other.apply(claim("home"), pod("agent", "home"))
    other.ready("agent")
    one, two = footprint(box), footprint(neighbour)
    assert one.processes.isdisjoint(two.processes)
    assert one.addresses.isdisjoint(two.addresses)
    assert box.status().registry != neighbour.status().registry

    neighbour.down()

    eventually(lambda: not two.still_there(), within=EXIT)
    assert Cluster(box.status()).kubectl("get", "--raw", "/readyz") == "ok"
    assert one.addresses == one.still_there().addresses


def test_two_ups_at_once_give_one_node(box: Sandbox) -> None:
    box.down()
    command = [sys.executable, "-m", "sandbox", "up"]
    env = os.environ | {"OPENAB_SANDBOX_STATE": str(box.status().state)}
    ups = [subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) for _ in range(2)]

    assert [up.wait(timeout=60) for up in ups] == [0, 0]
    assert len([one for one in footprint(box).processes if _name(one.pid) == "etcd"]) == 1


def test_an_up_that_was_killed_midway_is_finished_by_the_next(box: Sandbox) -> None:
    box.down()
    env = os.environ | {"OPENAB_SANDBOX_STATE": str(box.status().state)}
    command = [sys.executable, "-m", "sandbox", "up"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as up:
        assert up.stderr
        next(line for line in up.stderr if line.startswith("starting kube-apiserver"))
        up.kill()
    assert not box.status().up

    assert box.up().up


def test_the_command_line_tells_where_things_are(box: Sandbox) -> None:
    env = os.environ | {"OPENAB_SANDBOX_STATE": str(box.status().state)}
    command = [sys.executable, "-m", "sandbox", "status", "--json"]
    answer = json.loads(subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout)

    assert answer["up"] is True
    assert answer["registry"].startswith("oci://127.0.0.1:")
    assert all(Path(answer["bin"], name).exists() for name in ("helm", "helm3", "kubectl", "ctr"))
    assert Path(answer["kubeconfig"]).stat().st_mode & 0o077 == 0


def _want_the_place_of(box: Sandbox, neighbour: Sandbox) -> None:
    """Have the neighbour's first choice of addresses and ports be taken."""
    neighbour.status().state.mkdir(exist_ok=True)
    (neighbour.status().state / "slot").write_text((box.status().state / "slot").read_text())


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _restarts(cluster: Cluster) -> int:
    statuses = json.loads(cluster.kubectl("get", "pod", "agent", "-o", "json"))["status"]["containerStatuses"]
    return statuses[0]["restartCount"]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
