"""Rehearsal: the upgrade on a copy, restored from the backup and cut off, while the old version serves (SOP 3.2, 5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.rehearsals.rehearsal import Rehearsal


def test_a_copy_can_be_made(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2 What killed rehearsals left is removed; rights, storage and a backup of this revision are there."""
    evidence("place", rehearsal.prepare())


def test_the_copy_is_cut_off(rehearsal: Rehearsal, audit: Audit, evidence: Evidence) -> None:
    """3.2 The copy gets a place of its own; a policy denies it everything, and a probe tells whether that is heeded."""
    isolation = rehearsal.isolate()
    evidence("isolation", isolation)
    audit.facts["isolation"] = str(isolation)


def test_backup_is_restored(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """5.1 The backup is restored into scratch claims."""
    evidence("restored", rehearsal.restore(progress))
    evidence("volumes", rehearsal.notes())


@pytest.mark.gate
def test_restore_is_proved(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """5.2 Every file of the copy is as the backup says, by digests: this backup can be restored."""
    verdict = rehearsal.prove()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_logins_are_harmless(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2 No login that works is left in the copied homes; one that cannot be opened blocks where nothing is denied."""
    evidence("harmless", rehearsal.make_harmless())


def test_old_version_runs_on_the_copy(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """3.2 The old version runs on the copy: what it does there, cut off, is what the new one is compared with."""
    for agent, behaviour in rehearsal.run_old().items():
        evidence(agent, behaviour)


def test_copy_is_fresh_again(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """5.1 What the old version has changed is restored, and proved."""
    for agent, traces in rehearsal.refresh(progress).items():
        evidence(f"changes of {agent}", traces.changes)


def test_prerelease_runs_on_the_copy(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """3.2 The pre-release runs on a fresh copy, if it is to be validated here and not on the release."""
    for agent, behaviour in rehearsal.run_new("prerelease", progress).items():
        evidence(agent, behaviour)


def test_old_version_runs_after_the_prerelease(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """4.3 The old version runs on what the pre-release has left, or a rollback has to restore."""
    for agent, behaviour in rehearsal.run_back("prerelease").items():
        evidence(agent, behaviour)


def test_target_runs_on_the_copy(rehearsal: Rehearsal, progress: Progress, evidence: Evidence) -> None:
    """3.2 The target runs on a fresh copy."""
    for agent, behaviour in rehearsal.run_new("stable", progress).items():
        evidence(agent, behaviour)


def test_old_version_runs_after_the_target(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """4.3 The old version runs on what the target has left, or a rollback has to restore."""
    for agent, behaviour in rehearsal.run_back("stable").items():
        evidence(agent, behaviour)


@pytest.mark.remedy
def test_copy_is_removed(rehearsal: Rehearsal, evidence: Evidence) -> None:
    """6.1 Nothing of the copy stays."""
    evidence("removed", rehearsal.remove())


@pytest.mark.gate
def test_rehearsal_passes(rehearsal: Rehearsal, audit: Audit, evidence: Evidence) -> None:
    """3.2 Gate: the new version does nothing bad that the old one does not, or it was accepted with a reason."""
    judged = rehearsal.judge()
    audit.facts |= rehearsal.highlights(judged)
    judged.require()
    evidence("verdict", judged)
