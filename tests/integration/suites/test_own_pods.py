"""Our own pods start wherever the agent's can: under a quota, restricted, with an image that only the node has."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import Status
from sandbox.errors import SandboxError
from tests.integration.sandbox.support import eventually
from tests.integration.suites.callers import account, least_rights
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


def test_a_quota_limits_restricted_pods_and_the_least_rights(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """A version that migrates and fails comes back: room for one pod at a time, and no right but those printed."""
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
        least = account(world, status, release.namespace, least_rights("upgrade"), tmp_path / "least")
        version = "--target-version=0.9.0-migration-fails.1"
        failed = release.run("suites", version, "--approval=auto", f"--kubeconfig={least}")
        assert failed.status == 11, failed.output
        assert failed.verdicts()["test_data_are_restored"] == "passed"
        assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.1 deployed", True, "")
        assert (release.claim(), release.kept(), release.database()[:2]) == (claim, True, database[:2])
        assert release.shell("cat marker") == FILES["marker"]


def test_nothing_is_stopped_where_no_helper_starts(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """A rule of the cluster's lets the agent's pod be and refuses ours: told before the first change and every stop."""
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.1") as release:
        done = release.run("suites", "--target-version=0.8.2", "--approval=auto")
        assert "starts within" in done.evidence("test_helpers_for_the_way_back_start")
        pods = release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")
        backup = f"--backup={release.suites.backups()[0]}"
        with helpers_refused(world, release.namespace, tmp_path):
            for suite in (
                ("suites", "--target-version=0.9.0-migrates-data.1", "--approval=auto"),
                ("suites/restore", backup),
                ("suites/rollback", backup),
            ):
                run = release.run(*suite)
                assert (run.status, "no helpers here" in run.output) == (1, True), run.output
                assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") == pods
        assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.2 deployed", True, "")


def test_a_way_back_that_is_cut_short_leaves_no_untouched_agent_standing(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """A helper with a volume is refused when the agents stand still already: they run again; the rest comes later."""
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.1") as release:
        with helpers_refused(world, release.namespace, tmp_path, "!has(object.spec.volumes)"):
            run = release.run("suites", "--target-version=0.9.0-panics-at-start.1", "--approval=auto")
        assert run.status == 15, run.output
        assert "no helpers here" in run.output
        assert run.verdicts()["test_release_is_rolled_back"] == "not run"
        assert "openab-kiro" in run.evidence("test_agents_run_again")
        assert release.kubectl("get", "deployment", "openab-kiro", "--output=jsonpath={.spec.replicas}") == "1"
        back = release.run("suites/rollback")
        assert back.status == 0, back.output
        assert (release.chart(), release.ready(), release.kept()) == ("0.8.1 deployed", True, True)
        assert release.leftovers() == ""


@contextmanager
def helpers_refused(world: World, namespace: str, directory: Path, but_if: str = "false") -> Generator[None]:
    """Have the API refuse pods of ours in a namespace.

    Args:
        but_if: a CEL expression about the pod: such ones are let in.
    """
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    ours = f"!has(object.metadata.labels) || !('openab-sop/agent' in object.metadata.labels) || {but_if}"
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    specs = {
        "ValidatingAdmissionPolicy": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": ours, "message": "no helpers here"}],
        },
        "ValidatingAdmissionPolicyBinding": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": selector,
        },
    }
    api = "admissionregistration.k8s.io/v1"
    rules = [{"apiVersion": api, "kind": k, "metadata": {"name": namespace}, "spec": s} for k, s in specs.items()]
    volumes: list[dict[str, Any]] = [{"name": "scratch", "emptyDir": {}}]
    pod = {"containers": [{"name": "it", "image": "none"}], "volumes": volumes}
    labels = {"openab-sop/agent": "it"}
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "labels": labels}, "spec": pod}
    (directory / "rules.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": rules}))
    (directory / "probe.json").write_text(json.dumps(probe))
    world.kubectl("create", "--filename", str(directory / "rules.json"))
    try:
        eventually(lambda: refused(world, namespace, directory / "probe.json"))
        yield
    finally:
        world.kubectl("delete", "--filename", str(directory / "rules.json"))


def refused(world: World, namespace: str, pod: Path) -> bool:
    try:
        world.kubectl("--namespace", namespace, "create", "--dry-run=server", "--filename", str(pod))
    except SandboxError as error:
        return "no helpers here" in str(error)
    return False
