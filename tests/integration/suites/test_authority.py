"""A backup whose chart reaches beyond its release: nothing of it is made, unless it was accepted thing by thing."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.tiny import DEPLOYMENT, VERSION, Tiny, tiny_release
from world import World

CHART = f"openab-{VERSION}.tgz"
MORE = """
{{- if .Release.IsInstall }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Namespace }}
  namespace: default
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .Release.Namespace }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
  - {kind: ServiceAccount, name: default, namespace: {{ .Release.Namespace }}}
{{- end }}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.hostile.test
spec:
  group: hostile.test
  scope: Cluster
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


CHANGED = f"--accept=not-from-chart:Deployment/{DEPLOYMENT}"
"""The Deployment in the backup's manifest is not what the chart makes."""


@pytest.fixture(scope="module")
def hostile(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tiny, Path]]:
    """A release, and a backup of it whose chart somebody has added to, with digests that fit."""
    directory = tmp_path_factory.mktemp("authority")
    with tiny_release(world, status, directory) as tiny:
        _, backup = tiny.backup()
        poison(backup, directory / "chart")
        yield tiny, backup
        world.kubectl("delete", "clusterrolebinding", tiny.namespace, "--ignore-not-found")
        world.kubectl("delete", "crd", "widgets.hostile.test", "--ignore-not-found")
        world.kubectl("--namespace", "default", "delete", "configmap", tiny.namespace, "--ignore-not-found")


def poison(backup: Path, scratch: Path) -> None:
    """Add to the chart of a backup, and to the Deployment that its helpers are like; all digests are right."""
    with tarfile.open(backup / CHART) as tar:
        tar.extractall(scratch, filter="data")
    root = scratch / "openab"
    (root / "templates" / "more.yaml").write_text(MORE)
    (root / "crds").mkdir()
    (root / "crds" / "widgets.yaml").write_text(CRD)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(root, "openab")
    (backup / CHART).write_bytes(packed.getvalue())
    manifest = (backup / "manifest.yaml").read_text()
    assert manifest.count("      securityContext:\n        fsGroup") == 1
    pod = manifest.replace(
        "      securityContext:\n        fsGroup", "      hostPID: true\n      securityContext:\n        fsGroup"
    )
    (backup / "manifest.yaml").write_text(pod)
    told = json.loads((backup / "backup.json").read_text())
    for file in told["contents"]:
        content = (backup / file["path"]).read_bytes()
        file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (backup / "backup.json").write_text(json.dumps(told))


def ids(run: Run) -> set[str]:
    """What may be accepted, by the findings' own words."""
    return set(re.findall(r"--accept=(\S+)", run.output))


def made(tiny: Tiny) -> tuple[str, str, str]:
    """What of the chart's additions is there."""
    name = (tiny.namespace, "--ignore-not-found", "--output=name")
    return (
        tiny.world.kubectl("get", "clusterrolebinding", *name),
        tiny.world.kubectl("--namespace", "default", "get", "configmap", *name),
        tiny.world.kubectl("get", "crd", "widgets.hostile.test", "--ignore-not-found", "--output=name"),
    )


def test_nothing_of_it_is_made_unless_each_was_accepted(hostile: tuple[Tiny, Path]) -> None:
    tiny, backup = hostile
    expected = {
        f"beyond-namespace:ConfigMap/{tiny.namespace}@default",
        f"beyond-namespace:ClusterRoleBinding/{tiny.namespace}",
        f"grants-rights:ClusterRoleBinding/{tiny.namespace}",
        "beyond-namespace:CustomResourceDefinition/widgets.hostile.test",
        "grants-rights:CustomResourceDefinition/widgets.hostile.test",
        f"host-access:Deployment/{DEPLOYMENT}.hostPID",
    }
    where = (f"--namespace={tiny.namespace}", f"--backup={backup}")
    before = tiny.kubectl("get", "deployments,pods", "--output=name")
    run = tiny.suites.run("suites/reinstall", "--yes", *where)
    assert run.status == 1, run.output
    assert expected <= ids(run), run.output
    assert tiny.kubectl("get", "deployments,pods", "--output=name") == before
    assert made(tiny) == ("", "", "")

    tiny.kubectl("delete", "namespace", tiny.namespace, "--timeout=120s")
    run = tiny.suites.run("suites/rebuild", *where)
    assert run.status == 1, run.output
    assert expected <= ids(run), run.output
    assert tiny.world.kubectl("get", "namespace", tiny.namespace, "--ignore-not-found") == ""
    assert made(tiny) == ("", "", "")

    some = [f"--accept={id}" for id in sorted(expected)]
    run = tiny.suites.run("suites/rebuild", *where, *some[1:], "--reason=a test")
    assert run.status == 1, run.output
    assert expected & ids(run) == {sorted(expected)[0]}
    assert made(tiny) == ("", "", "")

    run = tiny.suites.run("suites/rebuild", *where, *some, CHANGED, "--reason=a test")
    assert run.status == 0, run.output
    assert all(made(tiny))
