"""Readiness: check what must be true before anything else; the gate at the end lists all problems (SOP 0)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop import process, readiness
from openab_sop.backups.store import Store
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.kubeconfig import KubeConfig
from openab_sop.settings import Settings

collecting = pytest.mark.collecting
needs = pytest.mark.dependency


@collecting
@needs()
def test_kubectl_is_installed(evidence: Evidence) -> None:
    """0.1a Check that kubectl is installed."""
    evidence("kubectl", f"{readiness.kubectl_version()} at {process.find('kubectl')}")


@collecting
@needs()
def test_helm_is_installed(evidence: Evidence) -> None:
    """0.1b Check that helm is installed, 3.13 or later, or 4."""
    evidence("helm", f"{readiness.helm_version()} at {process.find('helm')}")


@collecting
@needs()
def test_kubeconfig_and_context_are_resolved(access: KubeConfig, evidence: Evidence) -> None:
    """0.2 Check that the kubeconfig exists and can be read; 0.3 its context and the namespace."""
    evidence("kubeconfig", f"{access.joined} (from {access.origin})")
    evidence("context", f"{access.context}, server {access.server}")
    evidence("namespace", f"{access.namespace} (from {access.namespace_origin})")


@collecting
@needs(depends=["test_kubeconfig_and_context_are_resolved"])
def test_cluster_answers(cluster: Cluster, audit: Audit, evidence: Evidence) -> None:
    """0.4a Check that the cluster answers."""
    version, _ = cluster.version()
    audit.facts["cluster"] = f"Kubernetes {version} at {cluster.access.server}, context {cluster.access.context}"
    evidence("server", version)


@collecting
@needs(depends=["test_kubectl_is_installed", "test_cluster_answers"])
def test_kubectl_fits_the_cluster(cluster: Cluster, stages: tuple[str, ...], evidence: Evidence) -> None:
    """0.1c Check that kubectl is at most one minor version away from the cluster."""
    server, _ = cluster.version()
    evidence("versions", readiness.check_skew_of_versions(readiness.kubectl_version(), server, stages))


@collecting
@needs(depends=["test_kubectl_is_installed", "test_cluster_answers"])
def test_caller_is_one(cluster: Cluster, evidence: Evidence) -> None:
    """0.4b Check that kubectl and our own requests are the same user to the cluster."""
    evidence("caller", readiness.check_caller(cluster))


@collecting
@needs(depends=["test_cluster_answers"])
def test_namespace_exists(cluster: Cluster, stages: tuple[str, ...], evidence: Evidence) -> None:
    """0.3 Check that the namespace exists, or that the caller may create it if the stage does."""
    evidence(f"namespace {cluster.namespace}", readiness.check_namespace(cluster, stages))


@collecting
@needs(depends=["test_cluster_answers"])
def test_permissions_suffice(cluster: Cluster, stages: tuple[str, ...], evidence: Evidence) -> None:
    """0.4c Check that the caller may do what the chosen stages need (SelfSubjectAccessReview)."""
    evidence("allowed", ", ".join(readiness.check_permissions(cluster, stages)))


@collecting
@needs(depends=["test_cluster_answers"])
def test_clocks_agree(cluster: Cluster, evidence: Evidence) -> None:
    """0.5a Check that this machine's clock and the cluster's agree."""
    _, theirs = cluster.version()
    evidence("skew", f"{readiness.check_clock(theirs):.0f} s")


@collecting
@needs()
def test_backups_can_be_written(settings: Settings, store: Store | None, evidence: Evidence) -> None:
    """0.5b Check that the backup root can be written and has room."""
    evidence(str(settings.backup_root), f"{readiness.check_backup_root(settings.backup_root, store)} bytes free")
    evidence("backups are kept in", settings.kept_in)


@pytest.mark.gate
def test_everything_is_ready() -> None:
    """0.5c Gate: every readiness check passed."""
