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
    """5.1 The backup is read back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.place)


@pytest.mark.gate
def test_nothing_is_in_the_way(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The release is not there; its claims are not, are empty, or hold the backup's files or newer ones."""
    verdict = reconstruction.fits()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_kept_chart_renders(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The cluster would take the kept chart with the kept values (helm's dry run)."""
    evidence("rendered", reconstruction.render())


def test_namespace_is_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The namespace."""
    evidence("made", reconstruction.make_namespace())


def test_references_are_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The Secrets and ConfigMaps that the agents refer to and the chart does not render."""
    evidence("references", reconstruction.make_references())


def test_claims_are_made(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The agents' claims, made or kept, before there is any agent."""
    evidence("claims", reconstruction.make_claims())


@pytest.mark.gate
def test_volumes_may_be_filled(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 Each volume is empty but for this backup, in nobody's use, and large enough."""
    verdict = reconstruction.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_volumes_are_filled(reconstruction: Reconstruction, progress: Progress, evidence: Evidence) -> None:
    """5.1 The homes, with owner, mode, mtime and links as they were."""
    evidence("filled", reconstruction.fill(progress))


@pytest.mark.gate
def test_volumes_are_proved(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.2 The digests in the helper pods equal the backup's, file by file, before any agent runs."""
    verdict = reconstruction.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_release_is_installed(reconstruction: Reconstruction, evidence: Evidence) -> None:
    """5.1 The release, from the kept chart with the kept values; its revisions begin anew."""
    evidence("release", reconstruction.install())


def test_agents_run(reconstruction: Reconstruction, audit: Audit, evidence: Evidence) -> None:
    """5.2 The agents run."""
    evidence("running", ", ".join(reconstruction.start()))
    evidence("not as in the backup", ", ".join(reconstruction.unlike()) or "no Secret, no ConfigMap")
    audit.next_step = "send a test message in the chat; then take a new backup: pytest suites/backup"
