"""Upgrade, before the first change: lock, backup, dry run, images, baseline (SOP 3.0, 3.1)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.upgrades.answers import Reply
from openab_sop.upgrades.upgrade import Upgrade


def test_release_is_held(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0 No other run maintains this release: its lock is ours."""
    evidence("lock", upgrade.hold())


def test_upgrade_is_taken_up(upgrade: Upgrade, reply: Reply | None, audit: Audit, evidence: Evidence) -> None:
    """3.0 An upgrade that is under way goes on where it stands, or one begins."""
    evidence("upgrade", upgrade.begin(reply))
    audit.facts["upgrade"] = upgrade.maintenance.course.id
    audit.facts["pre-release"] = upgrade.path


@pytest.mark.gate
def test_backup_is_valid(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0 A valid backup of this release, at the revision that the upgrade starts from, exists."""
    verdict = upgrade.require_backup()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_dry_run_passes(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.1 Helm renders each version, and the API takes each object of it by dryRun=All."""
    verdict = upgrade.dry_run()
    verdict.require()
    evidence("verdict", verdict)


def test_images_are_pulled(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.1 The nodes have the images of each version, pulled while the old version serves."""
    evidence("images", "\n  ".join(f"{image}: {how}" for image, how in upgrade.pull_images().items()))


def test_helpers_for_the_way_back_start(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0 A helper pod for a rollback can start next to each agent; it is tried without the volume."""
    evidence("helpers", upgrade.try_helpers())


def test_start_is_announced(upgrade: Upgrade, evidence: Evidence) -> None:
    """1.8 The start is announced, with the expected outage."""
    evidence("announced", upgrade.announce_start())


def test_baseline_is_taken(upgrade: Upgrade, progress: Progress, evidence: Evidence) -> None:
    """3.0 The backup is refreshed right before the first change: the baseline of 3.5 and 4.3."""
    evidence("baseline", upgrade.refresh_backup(progress))
