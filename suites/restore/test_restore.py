"""Restore: bring back what a backup holds, the agents standing still meanwhile (SOP 5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from fixtures.human import Consent
from openab_sop.backups.backup import Backup
from openab_sop.backups.proof import prove
from openab_sop.restores.restore import Restoration


@pytest.mark.gate
def test_backup_is_sound(backup: Backup, evidence: Evidence) -> None:
    """5.1 The backup is read back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.place)


@pytest.mark.gate
def test_backup_is_of_this_release(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 The backup is of this release, and of agents that it has."""
    verdict = restoration.fits()
    verdict.require()
    evidence("to restore", restoration.selection)


def test_restore_is_wanted(restoration: Restoration, consent: Consent, evidence: Evidence) -> None:
    """5.1 What will be stopped and written is shown; at a terminal a human is asked once."""
    evidence("wanted", consent(restoration.intent))


def test_release_is_held(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 No other run maintains this release: its lock is ours."""
    evidence("lock", restoration.hold())


def test_helpers_start(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 A helper starts beside each agent before any is stopped."""
    evidence("helpers", restoration.try_helpers())


def test_agents_are_stopped(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 The agents stand still: nothing writes to a volume that is restored."""
    evidence("replicas before", restoration.stop())


@pytest.mark.gate
def test_volumes_may_be_restored_into(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 Each claim is the backup's own, or new and empty, and large enough."""
    verdict = restoration.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_what_is_newer_is_set_aside(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 What is newer on the volumes is set aside beside the backup, not lost; newer logins stay."""
    evidence("set aside", restoration.set_aside())


def test_volumes_are_restored(restoration: Restoration, progress: Progress, evidence: Evidence) -> None:
    """5.1 Owner, mode, mtime and links come back as they were; files mounted from ConfigMaps are left alone."""
    evidence("restored", restoration.write(progress))


def test_secrets_are_restored(restoration: Restoration, evidence: Evidence) -> None:
    """5.1 The Secrets, if asked for."""
    evidence("restored", ", ".join(restoration.restore_secrets()))


@pytest.mark.gate
def test_volumes_are_proved(restoration: Restoration, evidence: Evidence) -> None:
    """5.2 The pod's own digests equal the backup's, file by file."""
    verdict = restoration.verify()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.remedy
def test_agents_run_again(restoration: Restoration, audit: Audit, evidence: Evidence) -> None:
    """5.2 The agents run again."""
    audit.next_step = "send a test message in the chat"
    evidence("started", ", ".join(restoration.start()))


@pytest.mark.remedy
def test_what_the_start_changes_is_told(restoration: Restoration, evidence: Evidence) -> None:
    """5.2 Report what else writes to a volume when the agent starts, and what changed since the proof."""
    evidence("since the start", restoration.changed_by_start())
