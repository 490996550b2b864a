"""What stands beside the agents is looked at too: its image, its rollout, whether it ran well before (issue 12 A)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, upgrading
from world import World

GATEWAY = "openab-kiro-gateway"
NOWHERE = "openab.local/openab-nowhere"
UPGRADE = ("suites", "--approval=auto")


@pytest.fixture
def release(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> Iterator[Upgrading]:
    """An agent with a gateway; both run well."""
    with upgrading(
        world, status, volumes, tmp_path / "run", each={"gateway": {"enabled": True, "url": f"ws://{GATEWAY}:8080/ws"}}
    ) as found:
        yield found


def with_gateway(release: Upgrading, **values: Any) -> None:
    """Change the gateway's values, by a revision of the operator's own, and do not wait for it."""
    package = release.world.package("0.8.1")
    settings = [f"--set=agents.kiro.gateway.{name}={value}" for name, value in values.items()]
    release.world.helm(["upgrade", "openab", package, f"--namespace={release.namespace}", "--reuse-values", *settings])


def replicas(release: Upgrading, deployment: str) -> str:
    return release.kubectl("get", "deployment", deployment, "--output=jsonpath={.status.readyReplicas}")


def test_an_image_that_nobody_has_is_named_before_anything_is_touched(release: Upgrading) -> None:
    with_gateway(release, image=NOWHERE)
    run = release.run(*UPGRADE, "--target-version=0.8.2")
    assert run.status == 1, run.output
    assert NOWHERE in run.output
    assert (release.chart(), release.image(), release.kept()) == ("0.8.1 deployed", "0.8.1", True)
    assert run.verdicts()["test_stable_is_applied"] == "not run"


def test_one_that_breaks_takes_the_version_back(release: Upgrading) -> None:
    run = release.run(*UPGRADE, "--target-version=0.9.0-gateway-panics.1")
    assert run.status == 11, run.output
    assert GATEWAY in run.evidence("test_way_back_is_chosen")
    assert (release.chart(), release.ready(), release.kept()) == ("0.8.1 deployed", True, True)
    assert f"{GATEWAY}: healthy" in run.evidence("test_old_version_is_judged")
    assert replicas(release, GATEWAY) == "1"


def test_one_that_did_not_run_before_is_not_held_against_the_version(release: Upgrading) -> None:
    """It waits for a volume that never comes; the agent is upgraded all the same."""
    release.kubectl("patch", "deployment", GATEWAY, "--type=json", "--patch", _UNSCHEDULABLE)
    release.kubectl("wait", "--for=jsonpath={.status.unavailableReplicas}=1", f"deployment/{GATEWAY}", "--timeout=30s")
    run = release.run(*UPGRADE, "--target-version=0.8.2")
    assert run.status == 0, run.output
    assert (release.chart(), release.image(), release.kept()) == ("0.8.2 deployed", "0.8.2", True)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_what_is_no_deployment_is_judged_too(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, kind: str
) -> None:
    """The plan asks for its image; a version that breaks it is taken back, and its pods run as before."""
    shown, values = f"{kind.lower()}/{GATEWAY}", {"enabled": True, "url": f"ws://{GATEWAY}:8080/ws", "kind": kind}
    with upgrading(world, status, volumes, tmp_path / "run", each={"gateway": values}) as release:
        good = release.run(*UPGRADE, "--target-version=0.8.2")
        assert good.status == 0, good.output
        assert f"{shown}: healthy" in good.evidence("test_stable_runs_well")
        bad = release.run(*UPGRADE, "--target-version=0.9.0-gateway-panics.1")
        assert bad.status == 11, bad.output
        assert shown in bad.evidence("test_way_back_is_chosen")
        assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.2 deployed", True, "")
        assert f"{shown}: healthy" in bad.evidence("test_old_version_is_judged")
        jsonpath = "--output=jsonpath={.status.updatedReplicas}{.status.updatedNumberScheduled}"
        assert release.kubectl("get", kind, GATEWAY, jsonpath) == "1"
        release.kubectl("rollout", "status", shown, "--timeout=10s")


_UNSCHEDULABLE = '[{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"nowhere": "true"}}]'
