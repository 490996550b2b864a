"""Preparation: find the release, its agents and its version, and store them for later runs and other shells (SOP 1)."""

from __future__ import annotations

from fixtures.audit import Audit, Evidence
from openab_sop import readiness
from openab_sop.cluster.helm import Listed
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.orphans import wait_for_orphans
from openab_sop.releases.release import Release
from openab_sop.releases.session import Session
from openab_sop.settings import Settings


def test_no_helm_is_at_work(cluster: Cluster, evidence: Evidence) -> None:
    """1.1a Wait for a helm that a killed run left behind."""
    evidence("ended meanwhile", ", ".join(map(str, wait_for_orphans(cluster))) or "none")


def test_release_is_resolved(listed: Listed, evidence: Evidence) -> None:
    """1.1b Find the release: the one named, or the only one of the chart in the namespace."""
    evidence("release", listed)


def test_agents_are_resolved(release: Release, evidence: Evidence) -> None:
    """1.2a Find its agents: the Deployments of its manifest with a container openab; other workloads are companions."""
    evidence("agents", "\n  ".join(map(str, release.agents)))
    evidence("companions", ", ".join(map(str, release.companions)) or "none")


def test_helpers_can_mount(release: Release, stages: tuple[str, ...], evidence: Evidence) -> None:
    """1.2b Check that a helper pod can mount each agent's volume, if a stage needs one."""
    evidence("mounts", readiness.check_mounts(release, stages))


def test_current_version_is_known(release: Release, evidence: Evidence) -> None:
    """1.3 Read the current chart version and revision."""
    evidence("current", release)


def test_session_is_stored(release: Release, settings: Settings, audit: Audit, evidence: Evidence) -> None:
    """1.9 Store what was found in the session file, for later stages, later runs and other shells."""
    session = Session.of(release, release.cluster.identity(), settings.kept_in)
    audit.facts["session"] = str(session.store(settings.backup_root))
    evidence("session", audit.facts["session"])
