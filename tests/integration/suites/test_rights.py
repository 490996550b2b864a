"""The rights of the way back are asked by name before anything is touched (issue 12 D)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.suites.callers import account
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, upgrading
from world import World

ADDED = "openab-kiro-gateway"
"""A Service that the target has and the release has not."""


def role(*services: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that an upgrade takes, but of Services only this."""
    core = ["secrets", "configmaps", "persistentvolumeclaims", "pods", "pods/exec", "pods/attach", "pods/log"]
    everything = {"apiGroups": ["", "apps", "coordination.k8s.io"], "verbs": ["*"]}
    kinds = [*core, "deployments", "replicasets", "leases", "events"]
    return [
        {**everything, "resources": kinds},
        *({"apiGroups": [""], "resources": ["services"], **s} for s in services),
    ]


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("rights") / "run") as found:
        yield found


@pytest.mark.parametrize(
    ("name", "services", "denied"),
    [
        ("never", [{"verbs": ["get", "create", "patch"]}], True),
        ("others", [{"verbs": ["get", "create", "patch"]}, {"verbs": ["delete"], "resourceNames": ["other"]}], True),
        ("named", [{"verbs": ["create"]}, {"verbs": ["get", "patch", "delete"], "resourceNames": [ADDED]}], False),
    ],
)
def test_a_right_that_only_the_way_back_takes(
    release: Upgrading,
    status: Status,
    tmp_path: Path,
    name: str,
    services: list[dict[str, Any]],
    denied: bool,
) -> None:
    chart = release.world.harmful("companion-appears", tmp_path / "charts")
    config = account(release.world, status, release.namespace, role(*services), tmp_path / f"may-{name}")
    run = release.run(
        "suites", f"--chart={chart}", "--target-version=0.8.2", "--approval=auto", f"--kubeconfig={config}"
    )
    said = f"rights-missing:Service/{ADDED} (blocks): this caller may not: delete services {ADDED}"
    assert (said in run.output) is denied, run.output
    assert (run.status, release.chart()) == ((1, "0.8.1 deployed") if denied else (0, "0.8.2 deployed")), run.output
    assert release.ready()


def test_a_rollback_by_hand_asks_before_it_stops_anything(release: Upgrading, status: Status, tmp_path: Path) -> None:
    """The caller who goes back, days later, may be another than the one who upgraded."""
    if release.chart() != "0.8.2 deployed":
        chart = release.world.harmful("companion-appears", tmp_path / "charts")
        done = release.run("suites", f"--chart={chart}", "--target-version=0.8.2", "--approval=auto")
        assert done.status == 0, done.output
    pods = release.kubectl("get", "pods", "--output=name")
    weak = account(
        release.world, status, release.namespace, role({"verbs": ["get", "create", "patch"]}), tmp_path / "w"
    )
    refused = release.run("suites/rollback", f"--kubeconfig={weak}")
    assert refused.status == 1, refused.output
    assert f"Service {ADDED}: delete services {ADDED}" in refused.output
    assert (release.chart(), release.kubectl("get", "pods", "--output=name")) == ("0.8.2 deployed", pods)
    shown = release.run("suites/rollback", "--dry-run")  # who may look at kube-system knows the cluster by another name
    assert shown.status == 0, shown.output
    enough = account(release.world, status, release.namespace, role({"verbs": ["get", "delete"]}), tmp_path / "e")
    back = release.run("suites/rollback", f"--kubeconfig={enough}")
    assert back.status == 0, back.output
    assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.1 deployed", True, "")
