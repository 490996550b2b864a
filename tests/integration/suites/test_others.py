"""Others act on the release too: who they are is named, and no two write to a volume (issue 13)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox import SandboxError, Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from tests.line import Line
from world import World

LARGE = 12_000_000
FLUX = "helm.toolkit.fluxcd.io"


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    """A release whose backup takes a while to be restored."""
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("others")) as found:
        found.shell(f"head -c {LARGE} /dev/urandom > .kiro/large")
        assert found.run("suites/backup").status == 0
        yield found


def restore(release: Upgrading, *arguments: str, **more: Any) -> Any:
    return release.run("suites/restore", f"--backup={release.suites.backups()[0]}", *arguments, **more)


def pods(release: Upgrading) -> str:
    return release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")


def test_a_controller_that_starts_the_agent_while_its_volume_is_written(
    release: Upgrading, switched: Line, tmp_path: Path
) -> None:
    """The writer ends, and says who it was; the agent does not run on half of it; the same command again ends well."""
    release.shell("rm -rf .kiro/large .kiro/steering; echo new > newer")
    switched.pace = 1_000_000
    begun = threading.Event()
    switched.in_stream(3_000_000, begun.set)

    def controller() -> None:
        begun.wait(120)
        change = ("--type=merge", "--patch", '{"spec": {"replicas": 1}}', "--field-manager=keda")
        release.kubectl("patch", "deploy", AGENT, *change)

    other = threading.Thread(target=controller)
    other.start()
    run = restore(release, env={"KUBECONFIG": str(switched.kubeconfig)})
    other.join()
    assert run.status == 13, run.output
    assert f"{AGENT} was scaled to 1 by keda" in run.output
    (told,) = (line for line in run.output.splitlines() if line.startswith("standing still: "))
    backup = release.suites.backups()[0]
    assert re.search(rf"WARNING: {AGENT}, since \d{{4}}-.*: the data are neither as before nor as {backup} says", told)
    assert f"pytest suites/restore --backup={backup} --namespace={release.namespace} --backup-root=" in told
    assert release.kubectl("get", "deploy", AGENT, "--output=jsonpath={.spec.replicas}") == "0"
    again = restore(release, "--accept=owned-elsewhere:openab-kiro", "--reason=keda is paused")
    assert again.status == 0, again.output
    assert (release.volume() / ".kiro/large").stat().st_size == LARGE
    assert (release.ready(), release.kept(), release.leftovers()) == (True, True, "")


def test_a_manager_of_the_replicas_is_named_before_anything_is_stopped(release: Upgrading, tmp_path: Path) -> None:
    metadata = {"name": AGENT, "namespace": release.namespace}

    def apply(spec: dict[str, int]) -> None:
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        (tmp_path / "scaled.json").write_text(json.dumps(body))
        applied = ("apply", "--server-side", "--field-manager=keda-operator", "--force-conflicts")
        release.kubectl(*applied, "--filename", str(tmp_path / "scaled.json"))

    apply({"replicas": 1})
    before, backup = pods(release), f"--backup={release.suites.backups()[0]}"
    try:
        for stage in (("suites/restore", backup), ("suites", "--target-version=0.8.2")):
            run = release.run(*stage)
            assert run.status == 1, run.output
            assert "keda-operator, which manages spec.replicas" in run.output
            assert "owned-elsewhere:openab-kiro" in run.html
        assert pods(release) == before
        kept = release.run("suites/backup")
        assert kept.status == 0, kept.output
        assert "keda-operator" in kept.output
    finally:
        apply({})


@pytest.fixture
def helm_releases(world: World, tmp_path: Path) -> Iterator[None]:
    """The cluster serves Flux's HelmRelease; nobody reconciles it."""
    names = {"plural": "helmreleases", "singular": "helmrelease", "kind": "HelmRelease"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v2", "served": True, "storage": True, "schema": schema}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"helmreleases.{FLUX}"},
        "spec": {"group": FLUX, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    (tmp_path / "crd.json").write_text(json.dumps(body))
    world.kubectl("create", "--filename", str(tmp_path / "crd.json"))
    world.kubectl("wait", "--for=condition=Established", f"crd/helmreleases.{FLUX}", "--timeout=30s")
    yield
    world.kubectl("delete", "crd", f"helmreleases.{FLUX}")


def test_flux_is_named_until_it_is_suspended(release: Upgrading, helm_releases: None, tmp_path: Path) -> None:
    metadata = {"name": "openab", "namespace": release.namespace}
    body = {"apiVersion": f"{FLUX}/v2", "kind": "HelmRelease", "metadata": metadata, "spec": {"suspend": False}}
    (tmp_path / "release.json").write_text(json.dumps(body))
    release.kubectl("create", "--filename", str(tmp_path / "release.json"))
    release.kubectl("label", "deploy", AGENT, f"{FLUX}/name=openab", f"{FLUX}/namespace={release.namespace}")
    before = pods(release)
    try:
        refused = restore(release)
        assert refused.status == 1, refused.output
        assert f"flux suspend helmrelease openab -n {release.namespace}" in refused.output
        assert pods(release) == before
        release.kubectl("patch", "helmrelease", "openab", "--type=merge", "--patch", '{"spec": {"suspend": true}}')
        assert restore(release).status == 0
    finally:
        release.kubectl("label", "deploy", AGENT, f"{FLUX}/name-", f"{FLUX}/namespace-")
    assert release.kept()


def test_argo_is_named(release: Upgrading) -> None:
    tracked = f"team_chat:apps/Deployment:{release.namespace}/{AGENT}"
    release.kubectl("annotate", "deploy", AGENT, f"argocd.argoproj.io/tracking-id={tracked}")
    before = pods(release)
    try:
        run = release.run("suites/reinstall", f"--backup={release.suites.backups()[0]}")
    finally:
        release.kubectl("annotate", "deploy", AGENT, "argocd.argoproj.io/tracking-id-")
    assert run.status == 1, run.output
    assert "argocd app set chat --sync-policy none" in run.output
    assert pods(release) == before


def test_a_release_without_a_record_is_named_as_what_it_is(release: Upgrading, tmp_path: Path) -> None:
    """Argo CD and helm template leave Deployments of OpenAB that Helm knows nothing of."""
    record = release.kubectl("get", "secrets", "--selector=owner=helm", "--output=json")
    (tmp_path / "record.json").write_text(record)
    release.kubectl("delete", "secrets", "--selector=owner=helm")
    try:
        run = release.run("suites/backup")
    finally:
        with suppress(SandboxError):
            release.kubectl("create", "--filename", str(tmp_path / "record.json"))
    assert run.status == 1, run.output
    assert f"Deployments of OpenAB are there: {AGENT}" in run.output
