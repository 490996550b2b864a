"""Reinstall: uninstall a release that Helm cannot roll back; the rebuild follows (SOP 4.5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Evidence
from fixtures.console import Progress
from fixtures.human import Consent
from openab_sop.backups.backup import Backup
from openab_sop.backups.proof import prove
from openab_sop.restores.reinstall import Reinstall


@pytest.mark.gate
def test_backup_is_sound(backup: Backup, evidence: Evidence) -> None:
    """4.5a Read the backup back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.directory)


@pytest.mark.gate
def test_backup_belongs_here(reinstall: Reinstall, consent: Consent, evidence: Evidence) -> None:
    """4.5b Check that the backup is of this namespace and a reinstall is wanted; take the release's lock."""
    verdict = reinstall.fits()
    verdict.require()
    evidence("wanted", consent(reinstall.intent))
    evidence("lock", reinstall.hold())


def test_helpers_start(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5c Start a helper pod beside each agent before any agent is stopped."""
    evidence("helpers", reinstall.try_helpers())


def test_volumes_are_protected(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5d Set the PersistentVolumes to Retain: a volume outlives its claim."""
    evidence("protected", reinstall.protect())


def test_agents_are_stopped(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5e Stop the agents: nothing writes to a volume that is restored."""
    evidence("replicas before", reinstall.stop())


@pytest.mark.gate
def test_volumes_may_be_restored_into(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5f Check that each claim is the backup's own, and large enough."""
    verdict = reinstall.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_volumes_are_restored(reinstall: Reinstall, progress: Progress, evidence: Evidence) -> None:
    """4.5g Restore the homes as the backup has them; what is newer is copied beside the backup first."""
    evidence("restored", reinstall.restore(progress))


@pytest.mark.gate
def test_volumes_are_proved(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5h Compare the pod's own digests with the backup's, file by file."""
    verdict = reinstall.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_release_is_uninstalled(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5i Uninstall the release with its history; create claims that went with it again, for the same volumes."""
    evidence("uninstalled", reinstall.uninstall())


@pytest.mark.remedy
def test_agents_run_again_if_it_came_to_nothing(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5j Start the agents again if the release was not uninstalled."""
    evidence("started", ", ".join(reinstall.start()))


@pytest.mark.remedy
def test_volumes_have_their_policy_again(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5k Give the PersistentVolumes their own policy again, and report claims and volumes."""
    evidence("claims", reinstall.release_volumes())
