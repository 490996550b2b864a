"""Our own pods start wherever the agent's can: under a quota, restricted, with an image that only the node has."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import FILES, upgrading
from world import World

AMOUNTS = {"cpu": "100m", "memory": "128Mi"}
ONE = {f"{kind}.{name}": amount for kind in ("requests", "limits") for name, amount in AMOUNTS.items()}
"""A quota that has room for one pod like the agent's, and for no other beside it."""
RANGE = {"type": "Container", "max": {"cpu": "100m", "memory": "128Mi"}, "min": {"cpu": "50m", "memory": "64Mi"}}


def test_an_image_that_only_the_node_has(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Its tag is "latest": kubelet would ask a registry if nobody says otherwise, and the chart does."""
    latest = {"image": {"tag": "latest"}}
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.1", top=latest) as release:
        release.kubectl("scale", "deployment", "openab-kiro", "--replicas=0")
        release.kubectl("wait", "--for=delete", "pods", "--selector=app.kubernetes.io/component=kiro", "--timeout=60s")
        stopped = release.run("suites/backup")
        assert stopped.status == 0, stopped.output
        release.kubectl("scale", "deployment", "openab-kiro", "--replicas=1")
        release.kubectl("rollout", "status", "deployment", "openab-kiro", "--timeout=60s")
        release.shell("rm marker; echo of today >newer")
        back = release.run("suites/restore", f"--backup={release.suites.backups()[-1]}")
        assert back.status == 0, back.output
        assert (release.ready(), release.kept(), release.leftovers()) == (True, True, "")


def test_a_quota_limits_and_restricted_pods(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """A version that migrates and fails comes back although there is room for one pod at a time only."""
    resources = {"resources": {"requests": AMOUNTS, "limits": AMOUNTS}}
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.1", each=resources) as release:
        release.kubectl(
            "create", "quota", "small", "--hard=" + ",".join(f"{name}={amount}" for name, amount in ONE.items())
        )
        limits = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [RANGE]}}
        (tmp_path / "limits.json").write_text(json.dumps(limits))
        release.kubectl("create", "--filename", str(tmp_path / "limits.json"))
        world.kubectl("label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
        claim, database = release.claim(), release.database()
        failed = release.run("suites", "--target-version=0.9.0-migration-fails.1", "--approval=auto")
        assert failed.status == 11, failed.output
        assert failed.verdicts()["test_data_are_restored"] == "passed"
        assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.1 deployed", True, "")
        assert (release.claim(), release.kept(), release.database()[:2]) == (claim, True, database[:2])
        assert release.shell("cat marker") == FILES["marker"]
