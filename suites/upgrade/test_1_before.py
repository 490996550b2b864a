"""Upgrade, before the first change: lock, backup, dry run, images, baseline (SOP 3.0, 3.1)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop.upgrades.answers import Reply
from openab_sop.upgrades.upgrade import Upgrade


def test_release_is_held(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0a Take the release's lock: no other run maintains it."""
    evidence("lock", upgrade.hold())


def test_upgrade_is_taken_up(upgrade: Upgrade, reply: Reply | None, audit: Audit, evidence: Evidence) -> None:
    """3.0b Begin the upgrade, or continue the one in progress."""
    evidence("upgrade", upgrade.begin(reply))
    audit.facts["upgrade"] = upgrade.maintenance.state.id
    audit.facts["pre-release"] = upgrade.path


@pytest.mark.gate
def test_backup_is_valid(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0c Check that there is a valid backup of this release, at the revision that the upgrade starts from."""
    verdict = upgrade.require_backup()
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_dry_run_passes(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.1a Render each version with Helm; the API checks each object (dryRun=All)."""
    verdict = upgrade.dry_run()
    verdict.require()
    evidence("verdict", verdict)


def test_images_are_pulled(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.1b Pull the images of each version to the nodes while the old version still runs."""
    evidence("images", "\n  ".join(f"{image}: {how}" for image, how in upgrade.pull_images().items()))


def test_helpers_for_the_way_back_start(upgrade: Upgrade, evidence: Evidence) -> None:
    """3.0d Check that a helper pod for a rollback can start next to each agent; it is tried without the volume."""
    evidence("helpers", upgrade.try_helpers())


def test_start_is_announced(upgrade: Upgrade, evidence: Evidence) -> None:
    """1.8 Announce the start, with the expected outage."""
    evidence("announced", upgrade.announce_start())


def test_baseline_is_taken(upgrade: Upgrade, progress: Progress, evidence: Evidence) -> None:
    """3.0e Refresh the backup right before the first change: the baseline of 3.5 and 4.3."""
    evidence("baseline", upgrade.refresh_backup(progress))
