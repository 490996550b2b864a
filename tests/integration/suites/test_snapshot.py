"""A large home is read from a snapshot: one moment, whatever the agent writes meanwhile, and nothing stays behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop.agents import snapshot
from openab_sop.agents.agent import Agent
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import SopError
from sandbox import Sandbox, Status
from tests.integration.conftest import Suites, new_namespace
from tests.integration.suites.underway import DEADLINE, until
from world import World

BUSY = {"OPENAB_WRITE_INTERVAL": "5ms", "OPENAB_CHECKPOINT_EVERY": "50"}
LARGE = "--snapshot-above=1M"


@pytest.fixture(scope="module")
def busy(box: Sandbox, world: World) -> Iterator[str]:
    """A namespace with an agent that writes without a pause, on a cluster with a snapshot class."""
    box.up(progress=print, optional=("snapshots",))
    with new_namespace(world) as namespace:
        agent = world.agent_values()
        agent["env"] |= BUSY
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
        world.fill_home(namespace, "openab-kiro", "random", size=5_000_000)
        yield namespace


def leftovers(world: World, namespace: str) -> list[str]:
    """What of a backup's own objects is in the namespace."""
    kinds = "pods,persistentvolumeclaims,volumesnapshots"
    selector = "app.kubernetes.io/managed-by=openab-sop"
    return world.kubectl("-n", namespace, "get", kinds, "--selector", selector, "--output=name").split()


def gone(world: World, namespace: str) -> bool:
    """Wait until the cluster has collected what belonged to a helper."""
    deadline = time.monotonic() + 60
    while leftovers(world, namespace) and time.monotonic() < deadline:
        time.sleep(0.5)
    return not leftovers(world, namespace)


def test_a_large_home_is_read_at_one_moment(world: World, suites: Suites, busy: str) -> None:
    run = suites.run("suites/backup", f"--namespace={busy}", LARGE)
    assert run.status == 0, run.output
    assert "held by a snapshot of class sandbox" in run.evidence("test_large_volumes_are_held")
    entries = (suites.backups()[-1] / "openab-kiro/pvc-data/contents.jsonl").read_text().splitlines()
    assert [entry for entry in map(json.loads, entries) if entry.get("note") == "grew"] == []
    assert gone(world, busy)


def test_a_small_home_is_read_from_the_pod(world: World, suites: Suites, busy: str) -> None:
    run = suites.run("suites/backup", f"--namespace={busy}", "--snapshot-above=1G")
    assert run.status == 0, run.output
    assert "small enough" in run.evidence("test_large_volumes_are_held")
    assert leftovers(world, busy) == []


def test_without_a_snapshot_class_the_stream_goes_on_with_a_warning(world: World, suites: Suites, busy: str) -> None:
    stored = world.kubectl("get", "volumesnapshotclass", "sandbox", "--output=json")
    world.kubectl("delete", "volumesnapshotclass", "sandbox")
    try:
        run = suites.run("suites/backup", f"--namespace={busy}", LARGE)
    finally:
        path = suites.reports / "class.json"
        body = json.loads(stored)
        body["metadata"] = {key: body["metadata"][key] for key in ("name", "annotations")}
        path.write_text(json.dumps(body))
        world.kubectl("create", "--filename", path)
    assert run.status == 0, run.output
    assert "WARNING" in run.evidence("test_large_volumes_are_held")


def test_a_killed_run_leaves_nothing_after_the_next(world: World, status: Status, suites: Suites, busy: str) -> None:
    process = suites.begin("suites/backup", f"--namespace={busy}", LARGE)
    until(process, lambda: bool(leftovers(world, busy)))
    process.kill()
    process.wait(DEADLINE)
    run = suites.run("suites/backup", f"--namespace={busy}", LARGE)
    assert run.status == 0, run.output
    assert gone(world, busy)


@pytest.fixture
def broken_class(world: World, tmp_path: Path) -> Iterator[str]:
    """A snapshot class, found before the other, whose driver would need a Secret that nobody has made."""
    body = json.loads(world.kubectl("get", "volumesnapshotclass", "sandbox", "--output=json"))
    body["metadata"] = {"name": "broken", "annotations": body["metadata"]["annotations"]}
    secret = "csi.storage.k8s.io/snapshotter-secret"
    body["parameters"] = {f"{secret}-name": "nobody-made-it", f"{secret}-namespace": "default"}
    (tmp_path / "class.json").write_text(json.dumps(body))
    world.kubectl("create", "--filename", tmp_path / "class.json")
    yield "broken"
    world.kubectl("delete", "volumesnapshotclass", "broken")


@pytest.mark.usefixtures("broken_class")
def test_where_a_snapshot_fails_the_stream_goes_on_with_the_reason(world: World, suites: Suites, busy: str) -> None:
    run = suites.run("suites/backup", f"--namespace={busy}", LARGE)
    assert run.status == 0, run.output
    assert "no snapshot: the snapshot of claim openab-kiro failed: " in run.output
    assert gone(world, busy)


def test_where_a_quota_has_no_room_for_its_claim_the_stream_goes_on(world: World, suites: Suites, busy: str) -> None:
    claims = len(world.kubectl("--namespace", busy, "get", "pvc", "--output=name").split())
    world.kubectl("--namespace", busy, "create", "quota", "few", f"--hard=persistentvolumeclaims={claims}")
    try:
        run = suites.run("suites/backup", f"--namespace={busy}", LARGE)
    finally:
        world.kubectl("--namespace", busy, "delete", "quota", "few")
    assert run.status == 0, run.output
    assert "exceeded quota: few" in run.output
    assert gone(world, busy)


@pytest.mark.usefixtures("broken_class")
def test_a_snapshot_is_not_waited_for_without_end(
    world: World, status: Status, busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(snapshot, "READY", 0.1)
    cluster = Cluster(kubeconfig.resolve(str(status.kubeconfig), None, busy))
    agent = Agent.of(cluster.get("Deployment", "openab-kiro"))
    late = "the snapshot of claim openab-kiro (did not happen within 0.1 s|failed)"
    with pytest.raises(SopError, match=late), snapshot.snapshot_pod(cluster, agent, "openab-kiro", "broken"):
        pass
    assert gone(world, busy)
