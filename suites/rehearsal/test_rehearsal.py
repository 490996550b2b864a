"""Rehearsal: run the upgrade on an isolated copy of the backup, while the old version serves (SOP 3.2, 5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.rehearsals.rehearsal import Rehearsal


def test_a_copy_can_be_made(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2a Remove what killed rehearsals left; check rights, storage, and that there is a backup of this revision."""
    evidence("place", rehearsal.prepare())


def test_the_copy_is_cut_off(rehearsal: Rehearsal, audit: Audit, evidence: Evidence) -> None:
    """3.2b Create an isolated place for the copy, and test whether the network policy is enforced."""
    isolation = rehearsal.isolate()
    evidence("isolation", isolation)
    audit.facts["isolation"] = str(isolation)


def test_backup_is_restored(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """5.1a Restore the backup into temporary claims."""
    evidence("restored", rehearsal.restore(progress))
    evidence("volumes", rehearsal.notes())


@pytest.mark.gate
def test_restore_is_proved(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """5.2 Compare every file of the copy with the backup by digest: this backup can be restored."""
    verdict = rehearsal.prove()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_logins_are_harmless(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2c Remove working logins from the copied homes; one that cannot be removed blocks if the network is open."""
    evidence("harmless", rehearsal.make_harmless())


def test_old_version_runs_on_the_copy(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2d Run the old version on the copy: the new version is compared with what it does there."""
    for agent, behaviour in rehearsal.run_old().items():
        evidence(agent, behaviour)


def test_copy_is_fresh_again(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """5.1b Restore what the old version has changed, and prove it."""
    for agent, traces in rehearsal.refresh(progress).items():
        evidence(f"changes of {agent}", traces.changes)


def test_prerelease_runs_on_the_copy(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """3.2e Run the pre-release on a fresh copy, if it is validated here and not on the release."""
    for agent, behaviour in rehearsal.run_new("prerelease", progress).items():
        evidence(agent, behaviour)


def test_old_version_runs_after_the_prerelease(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """4.3a Run the old version on the data that the pre-release left: if it fails, a rollback has to restore data."""
    for agent, behaviour in rehearsal.run_back("prerelease").items():
        evidence(agent, behaviour)


def test_target_runs_on_the_copy(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """3.2f Run the target on a fresh copy."""
    for agent, behaviour in rehearsal.run_new("stable", progress).items():
        evidence(agent, behaviour)


def test_old_version_runs_after_the_target(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """4.3b Run the old version on the data that the target left: if it fails, a rollback has to restore data."""
    for agent, behaviour in rehearsal.run_back("stable").items():
        evidence(agent, behaviour)


@pytest.mark.remedy
def test_copy_is_removed(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """6.1 Remove the copy."""
    evidence("removed", rehearsal.remove())


@pytest.mark.gate
def test_rehearsal_passes(rehearsal: Rehearsal, audit: Audit, evidence: Evidence) -> None:
    """3.2g Gate: the new version does nothing bad that the old one does not, or it was accepted with a reason."""
    judged = rehearsal.judge()
    audit.facts |= rehearsal.highlights(judged)
    judged.require()
    evidence("verdict", judged)
