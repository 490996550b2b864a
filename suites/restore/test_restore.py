"""Restore: restore what a backup holds, while the agents are stopped (SOP 5)."""

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
    """5.1a Read the backup back in full before anything is touched."""
    verdict = prove(backup)
    verdict.require()
    evidence("backup", backup.place)


@pytest.mark.gate
def test_backup_is_of_this_release(restoration: Restoration, evidence: Evidence) -> None:
    """5.1b Check that the backup is of this release, and of agents that it has."""
    verdict = restoration.fits()
    verdict.require()
    evidence("to restore", restoration.selection)


def test_restore_is_wanted(restoration: Restoration, consent: Consent, evidence: Evidence) -> None:
    """5.1c Show what will be stopped and written; at a terminal, ask once."""
    evidence("wanted", consent(restoration.intent))


def test_release_is_held(restoration: Restoration, evidence: Evidence) -> None:
    """5.1d Take the release's lock: no other run maintains it."""
    evidence("lock", restoration.hold())


def test_helpers_start(restoration: Restoration, evidence: Evidence) -> None:
    """5.1e Start a helper pod beside each agent before any agent is stopped."""
    evidence("helpers", restoration.try_helpers())


def test_agents_are_stopped(restoration: Restoration, evidence: Evidence) -> None:
    """5.1f Stop the agents: nothing writes to a volume that is restored."""
    evidence("replicas before", restoration.stop())


@pytest.mark.gate
def test_volumes_may_be_restored_into(restoration: Restoration, evidence: Evidence) -> None:
    """5.1g Check that each claim is the backup's own, or new and empty, and large enough."""
    verdict = restoration.preflight()
    verdict.require()
    evidence("verdict", verdict)


def test_what_is_newer_is_set_aside(restoration: Restoration, evidence: Evidence) -> None:
    """5.1h Copy what is newer on the volumes beside the backup; newer logins stay in place."""
    evidence("set aside", restoration.set_aside())


def test_volumes_are_restored(restoration: Restoration, progress: Progress, evidence: Evidence) -> None:
    """5.1i Restore the homes: owner, mode, mtime and links as they were; files mounted from ConfigMaps stay."""
    evidence("restored", restoration.write(progress))


def test_secrets_are_restored(restoration: Restoration, evidence: Evidence) -> None:
    """5.1j Restore the Secrets, if asked for."""
    evidence("restored", ", ".join(restoration.restore_secrets()))


@pytest.mark.gate
def test_volumes_are_proved(restoration: Restoration, evidence: Evidence) -> None:
    """5.2a Compare the pod's own digests with the backup's, file by file."""
    verdict = restoration.verify()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.remedy
def test_agents_run_again(restoration: Restoration, audit: Audit, evidence: Evidence) -> None:
    """5.2b Start the agents again."""
    audit.next_step = "send a test message in the chat"
    evidence("started", ", ".join(restoration.start()))


@pytest.mark.remedy
def test_what_the_start_changes_is_told(restoration: Restoration, evidence: Evidence) -> None:
    """5.2c Report what else writes to a volume when the agent starts, and what changed since the comparison."""
    evidence("since the start", restoration.changed_by_start())
