"""Cleanup: list backups, and delete those that are named or outside the retention (SOP 6)."""

from __future__ import annotations

from fixtures.audit import Audit, Evidence
from openab_sop.backups import cleanup
from openab_sop.backups.cleanup import Kept
from openab_sop.backups.store import Store
from openab_sop.cluster.kube import Cluster
from openab_sop.journal import Journal
from openab_sop.rehearsals import scratch
from openab_sop.settings import Settings


def test_backups_are_listed(kept: list[Kept], audit: Audit, evidence: Evidence) -> None:
    """6.1a List every backup with release, version, size and proof, whether it may be deleted, and the kept copies."""
    evidence("backups", "\n  ".join(map(str, kept)) or "none")
    audit.facts["total"] = cleanup.total(kept)


def test_leftovers_are_removed(
    kept: list[Kept], settings: Settings, store: Store | None, journal: Journal, evidence: Evidence
) -> None:
    """6.1b Remove what killed runs left: drafts, decrypted copies of backups, interrupted uploads."""
    evidence("removed", ", ".join(cleanup.clear(settings.backup_root, store, journal)))


def test_copies_are_removed(cluster_at_hand: Cluster, evidence: Evidence) -> None:
    """6.1c Remove what killed rehearsals left on the cluster, if a cluster is reachable."""
    evidence("removed", ", ".join(scratch.sweep(cluster_at_hand)) or "nothing")


def test_named_backups_are_deleted(kept: list[Kept], settings: Settings, journal: Journal, evidence: Evidence) -> None:
    """6.1d Delete the backups named with --delete, but never the newest good backup of a release."""
    evidence("deleted", ", ".join(cleanup.delete_named(kept, settings.delete, journal, force=settings.force)))


def test_old_backups_go(
    kept: list[Kept], settings: Settings, journal: Journal, audit: Audit, evidence: Evidence
) -> None:
    """6.1e Show backups outside the retention; with --yes delete them, but never the newest good one of a release."""
    gone = cleanup.expire(kept, settings.retention, journal, delete=settings.yes, without=settings.delete)
    audit.facts["retention"] = gone
    evidence("deleted", gone)
