"""Reinstall: the way back where Helm cannot roll back; the rebuild follows (SOP 4.5)."""

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
    """4.5 The backup is read back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.directory)


@pytest.mark.gate
def test_backup_belongs_here(reinstall: Reinstall, consent: Consent, evidence: Evidence) -> None:
    """4.5 The backup is of this namespace, what follows is wanted, and no other run maintains its release."""
    verdict = reinstall.fits()
    verdict.require()
    evidence("wanted", consent(reinstall.intent))
    evidence("lock", reinstall.hold())


def test_helpers_start(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 A helper starts beside each agent before any is stopped."""
    evidence("helpers", reinstall.try_helpers())


def test_volumes_are_protected(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 The PersistentVolumes are set to Retain: whatever happens to a claim, its volume stays."""
    evidence("protected", reinstall.protect())


def test_agents_are_stopped(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 The agents stand still: nothing writes to a volume that is restored."""
    evidence("replicas before", reinstall.stop())


@pytest.mark.gate
def test_volumes_may_be_restored_into(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 Each claim is the backup's own, and large enough."""
    verdict = reinstall.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_volumes_are_restored(reinstall: Reinstall, progress: Progress, evidence: Evidence) -> None:
    """4.5 The homes come back as the backup has them; what is newer is set aside beside it."""
    evidence("restored", reinstall.restore(progress))


@pytest.mark.gate
def test_volumes_are_proved(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 The pod's own digests equal the backup's, file by file."""
    verdict = reinstall.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_release_is_uninstalled(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 Helm's release goes with its history; a claim that went with it is made again for the same volume."""
    evidence("uninstalled", reinstall.uninstall())


@pytest.mark.remedy
def test_agents_run_again_if_it_came_to_nothing(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 If the release was not uninstalled, its agents start again."""
    evidence("started", ", ".join(reinstall.start()))


@pytest.mark.remedy
def test_volumes_have_their_policy_again(reinstall: Reinstall, evidence: Evidence) -> None:
    """4.5 The PersistentVolumes have their own policy again; claims and volumes are told."""
    evidence("claims", reinstall.release_volumes())
