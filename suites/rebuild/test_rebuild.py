"""Rebuild: rebuild a lost release from a backup alone (SOP 5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.backups.backup import Backup
from openab_sop.backups.proof import prove
from openab_sop.restores.rebuild import Rebuild


@pytest.mark.gate
def test_backup_is_sound(backup: Backup, evidence: Evidence) -> None:
    """5.1a Read the backup back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.place)


@pytest.mark.gate
def test_nothing_is_in_the_way(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1b Check that the release is gone; a claim may stay if it is empty, or holds the backup's files or newer."""
    verdict = rebuild.fits()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_kept_chart_renders(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1c Check that the cluster accepts the stored chart with the stored values (helm's dry run)."""
    evidence("rendered", rebuild.render())


def test_namespace_is_made(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1d Create the namespace."""
    evidence("made", rebuild.make_namespace())


def test_references_are_made(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1e Create the Secrets and ConfigMaps that the agents refer to and the chart does not render."""
    evidence("references", rebuild.make_references())


def test_claims_are_made(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1f Create or keep the agents' claims, before there is any agent."""
    evidence("claims", rebuild.make_claims())


@pytest.mark.gate
def test_volumes_may_be_filled(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1g Check that each volume is empty or holds this backup, is not in use, and is large enough."""
    verdict = rebuild.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_volumes_are_filled(rebuild: Rebuild, progress: Progress, evidence: Evidence) -> None:
    """5.1h Fill the homes: owner, mode, mtime and links as they were."""
    evidence("filled", rebuild.fill(progress))


@pytest.mark.gate
def test_volumes_are_proved(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.2a Compare the digests in the helper pods with the backup's, file by file, before any agent runs."""
    verdict = rebuild.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_release_is_installed(rebuild: Rebuild, evidence: Evidence) -> None:
    """5.1i Install the release from the stored chart with the stored values; its revisions start at 1."""
    evidence("release", rebuild.install())


def test_agents_run(rebuild: Rebuild, audit: Audit, evidence: Evidence) -> None:
    """5.2b Check that the agents run."""
    evidence("running", ", ".join(rebuild.start()))
    evidence("not as in the backup", ", ".join(rebuild.unlike()) or "no Secret, no ConfigMap")
    audit.next_step = "send a test message in the chat; then take a new backup: pytest suites/backup"
