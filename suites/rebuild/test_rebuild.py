"""Rebuild: the release from the backup's directory alone, where there is nothing of it any more (SOP 5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.backups.backup import Backup
from openab_sop.backups.proof import prove
from openab_sop.restores.reconstruction import Reconstruction


@pytest.mark.gate
def test_backup_is_sound(backup: Backup, evidence: Evidence) -> None:
    """5.1a Read the backup back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.place)


@pytest.mark.gate
def test_nothing_is_in_the_way(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1b Check that the release is gone; a claim may stay if it is empty, or holds the backup's files or newer."""
    verdict = reconstruction.fits()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_kept_chart_renders(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1c Check that the cluster accepts the stored chart with the stored values (helm's dry run)."""
    evidence("rendered", reconstruction.render())


def test_namespace_is_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1d Create the namespace."""
    evidence("made", reconstruction.make_namespace())


def test_references_are_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1e Create the Secrets and ConfigMaps that the agents refer to and the chart does not render."""
    evidence("references", reconstruction.make_references())


def test_claims_are_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1f Create or keep the agents' claims, before there is any agent."""
    evidence("claims", reconstruction.make_claims())


@pytest.mark.gate
def test_volumes_may_be_filled(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1g Check that each volume is empty or holds this backup, is not in use, and is large enough."""
    verdict = reconstruction.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_volumes_are_filled(reconstruction: Reconstruction, progress: Progress, evidence: Evidence) -> None:
    """5.1h Fill the homes: owner, mode, mtime and links as they were."""
    evidence("filled", reconstruction.fill(progress))


@pytest.mark.gate
def test_volumes_are_proved(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.2a Compare the digests in the helper pods with the backup's, file by file, before any agent runs."""
    verdict = reconstruction.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_release_is_installed(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1i Install the release from the stored chart with the stored values; its revisions start at 1."""
    evidence("release", reconstruction.install())


def test_agents_run(reconstruction: Reconstruction, audit: Audit, evidence: Evidence) -> None:
    """5.2b Check that the agents run."""
    evidence("running", ", ".join(reconstruction.start()))
    evidence("not as in the backup", ", ".join(reconstruction.unlike()) or "no Secret, no ConfigMap")
    audit.next_step = "send a test message in the chat; then take a new backup: pytest suites/backup"
