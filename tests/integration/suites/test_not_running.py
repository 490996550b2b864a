"""An agent whose pod does not run is backed up all the same, through a helper that is gone afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.test_incremental import unpacked
from tests.integration.suites.tiny import DEPLOYMENT, Tiny, tiny_release
from tests.integration.suites.underway import DEADLINE, started, until
from world import World

HELPERS = "--selector=app.kubernetes.io/managed-by=openab-sop"


@pytest.fixture(scope="module")
def tiny(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with tiny_release(world, status, tmp_path_factory.mktemp("down")) as tiny:
        tiny.shell(
            "mkdir notes && echo precious > notes/file && head -c 300000 /dev/urandom > random && umask 077 && >own"
        )
        yield tiny


def helpers(tiny: Tiny) -> list[str]:
    return tiny.kubectl("get", "pods", HELPERS, "--output=jsonpath={.items[*].metadata.name}").split()


def assert_complete(tiny: Tiny, volumes: Volumes, tmp_path: Path) -> Run:
    """Back up, and compare with the volume as the host sees it; returns the run."""
    run, backup = tiny.backup()
    volume = volumes.of(tiny.namespace, DEPLOYMENT)
    files = {str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file()}
    ours = unpacked(backup, tmp_path / "home")
    assert {path.removeprefix("./") for path in ours} == {f for f in files if not f.endswith(("-wal", "-shm"))}
    for name in ("notes/file", "random", "own"):
        assert (tmp_path / "home" / name).read_bytes() == (volume / name).read_bytes()
    assert "openab-sop-" in run.evidence("test_homes_are_copied")
    assert helpers(tiny) == []
    assert tiny.verify(backup, "--quick").status == 0
    return run


def stop(tiny: Tiny) -> None:
    tiny.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=0")
    tiny.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")


def test_scaled_to_nothing(tiny: Tiny, volumes: Volumes, tmp_path: Path) -> None:
    stop(tiny)
    assert_complete(tiny, volumes, tmp_path)
    assert tiny.kubectl("get", "deploy", DEPLOYMENT, "--output=jsonpath={.spec.replicas}") == "0"


def test_a_killed_run_leaves_a_helper_that_ends_and_goes_with_the_next(tiny: Tiny) -> None:
    """The helper has the agent's user and nothing but its claim; it ends with the run, and the next run removes it."""
    stop(tiny)
    with started(tiny.suites, tiny.namespace) as process:
        until(process, lambda: any(tiny.suites.backup_root.glob(".openab-backup-*/*/pvc-data/home.tar")))
        process.kill()
        (name,) = helpers(tiny)
        helper = json.loads(tiny.kubectl("get", "pod", name, "--output=json"))
    theirs = json.loads(tiny.kubectl("get", "deploy", DEPLOYMENT, "--output=json"))["spec"]["template"]["spec"]
    assert helper["spec"]["securityContext"].items() >= theirs["securityContext"].items()
    assert helper["spec"]["containers"][0]["securityContext"] == theirs["containers"][0]["securityContext"]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in helper["spec"]["volumes"]] == [DEPLOYMENT]
    deadline = time.monotonic() + DEADLINE
    while _running(tiny):
        assert time.monotonic() < deadline, "the helper outlives its run"
        time.sleep(0.2)
    assert helpers(tiny) == [name]
    tiny.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=1")
    tiny.kubectl("rollout", "status", f"deploy/{DEPLOYMENT}", "--timeout=60s")
    tiny.backup()
    assert helpers(tiny) == []


def _running(tiny: Tiny) -> list[dict[str, Any]]:
    pods = json.loads(tiny.kubectl("get", "pods", HELPERS, "--output=json"))["items"]
    return [pod for pod in pods if pod["status"]["phase"] == "Running"]


def too_much(on: bool) -> dict[str, Any]:
    """A pod spec that asks for more than any node has, or the patch that takes it back."""
    return {"containers": [{"name": "openab", "resources": {"requests": {"cpu": "1000" if on else None}}}]}


def no_such_node(on: bool) -> dict[str, Any]:
    """A pod spec that names a node that is not there, or the patch that takes it back."""
    return {"nodeSelector": {"no": "such-node" if on else None}}


@pytest.mark.parametrize("demand", [too_much, no_such_node])
def test_a_pod_that_no_node_takes(
    tiny: Tiny, volumes: Volumes, tmp_path: Path, demand: Callable[[bool], dict[str, Any]]
) -> None:
    """It stays Pending; the helper asks for nothing, and goes where the volume is."""
    patch(tiny, demand(True))
    try:
        reason = "{.items[*].status.conditions[?(@.type=='PodScheduled')].reason}"
        deadline = time.monotonic() + DEADLINE
        while tiny.kubectl("get", "pods", f"--output=jsonpath={reason}") != "Unschedulable":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert_complete(tiny, volumes, tmp_path)
    finally:
        patch(tiny, demand(False))


def patch(tiny: Tiny, pod: dict[str, Any]) -> None:
    """Change the pod template of the agent's Deployment."""
    body = json.dumps({"spec": {"template": {"spec": pod}}})
    tiny.kubectl("patch", "deploy", DEPLOYMENT, f"--patch={body}")


@pytest.mark.parametrize("version", ["0.9.0-panics-at-start.1", "0.9.0-no-image.1"])
def test_an_upgrade_that_does_not_start(tiny: Tiny, volumes: Volumes, tmp_path: Path, version: str) -> None:
    agent = {**tiny.world.agent_values(), "env": {"OPENAB_WRITE_INTERVAL": "0"}}
    tiny.world.upgrade("openab", tiny.namespace, version, {"agents": {"kiro": agent}}, wait=False)
    state = "{.items[*].status.containerStatuses[*].state.waiting.reason}"
    deadline = time.monotonic() + DEADLINE
    while not set(tiny.kubectl("get", "pods", f"--output=jsonpath={state}").split()) & {
        "CrashLoopBackOff",
        "ErrImagePull",
        "ImagePullBackOff",
    }:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run = assert_complete(tiny, volumes, tmp_path)
    assert f"not well: WARNING: {DEPLOYMENT}: " in run.output
