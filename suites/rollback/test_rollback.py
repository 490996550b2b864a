"""Rollback: decide by the table, roll back the release, and restore the data that the old version needs (SOP 4)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from fixtures.human import Consent
from openab_sop.agents.container import HostOf
from openab_sop.backups.backup import Backup
from openab_sop.backups.remote import RemoteBackup
from openab_sop.errors import NothingToDo
from openab_sop.settings import Settings
from openab_sop.upgrades.rollback import Rollback
from openab_sop.upgrades.rollback_decision import RollbackDecision

remedy = pytest.mark.remedy


@remedy
def test_upgrade_is_taken_up(
    rollback_decision: RollbackDecision,
    way_back_to: Backup | RemoteBackup | None,
    consent: Consent,
    settings: Settings,
    evidence: Evidence,
) -> None:
    """4.1a Take the release's lock, and find what to roll back; by hand, check that it is wanted."""
    if settings.abandon:
        evidence("wanted", consent("close what is under way as it is; nothing leads on or back from it then"))
        raise NothingToDo(rollback_decision.abandon(settings.reason))
    evidence("wanted", consent(rollback_decision.intent(way_back_to)))
    evidence("rollback", rollback_decision.take_up(way_back_to))


@remedy
def test_way_back_is_chosen(rollback_decision: RollbackDecision, audit: Audit, evidence: Evidence) -> None:
    """4.1b Choose by the decision table: the first rule that matches is taken."""
    decision = rollback_decision.decide()
    audit.facts["decision"] = str(decision)
    evidence("rules", "\n  ".join(map(str, decision.rows)))


@remedy
def test_target_revision_is_known(rollback_decision: RollbackDecision, rollback: Rollback, evidence: Evidence) -> None:
    """4.2a Find the revision deployed before; check that nobody has changed it or its images, and Helm's rights."""
    evidence("revision", rollback_decision.target())
    evidence("rights", rollback.require_rights())
    evidence("images", rollback.require_images())


@remedy
def test_helpers_start(rollback: Rollback, evidence: Evidence) -> None:
    """4.3a Start a helper pod beside each agent before any agent is stopped."""
    evidence("helpers", rollback.try_helpers())


@remedy
def test_agents_are_stopped(rollback: Rollback, evidence: Evidence) -> None:
    """4.3b Stop the agents: nothing writes to the volumes."""
    evidence("stopped", ", ".join(rollback.stop()))


@remedy
def test_volumes_are_compared(rollback: Rollback, evidence: Evidence) -> None:
    """4.3c Compare the volumes with the backup, and find what the old version cannot read."""
    evidence("volumes", "\n  ".join(f"{name}: {summary}" for name, summary in rollback.compare().items()))


@remedy
def test_data_are_restored(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3d Restore what the old version cannot read before it starts, proved by digests."""
    evidence("restored", rollback.restore(progress))


@remedy
def test_release_is_rolled_back(rollback: Rollback, evidence: Evidence) -> None:
    """4.2b Roll the release back with Helm; the old version starts."""
    evidence("runs", rollback.roll_back())


@remedy
def test_new_claims_are_filled(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3e Fill each claim that was replaced with the whole home of the backup."""
    evidence("restored", rollback.refill(progress))


@remedy
def test_old_version_is_judged(rollback: Rollback, evidence: Evidence) -> None:
    """4.4a Judge the old version: rollout, Ready, connected, no panic; if it fails, the data are restored next."""
    evidence("verdict", rollback.judge())
    evidence("companions", rollback.companions())


@remedy
def test_data_are_restored_after_all(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3f Restore the data after all, if the old version does not run on what the new one left."""
    evidence("restored", rollback.restore_after_all(progress))


@remedy
@pytest.mark.gate
def test_old_version_is_verified(rollback: Rollback, host_of: HostOf, audit: Audit, evidence: Evidence) -> None:
    """4.4b Verify that health, version, image, process, claim and files are as before the upgrade."""
    seen = rollback.verify(host_of)
    audit.facts["result"] = seen.summary()
    evidence("volumes", seen.changes)
    audit.facts |= seen.highlights
    if left := rollback.left_over():
        audit.facts["left behind"] = f"WARNING: the version that was taken back has made {', '.join(left)}"
    seen.require()
    audit.facts["version now"] = str(rollback.now)


@pytest.mark.remedy(always=True)
def test_agents_run_again(rollback: Rollback, evidence: Evidence) -> None:
    """4.3g Start agents whose volumes are unchanged or proved, if the rollback stops early."""
    evidence("started", ", ".join(rollback.start_again()))


@pytest.mark.remedy(always=True)
def test_end_is_announced(rollback: Rollback, audit: Audit, evidence: Evidence) -> None:
    """1.8 Announce how it ended."""
    evidence("announced", rollback.announce())
    audit.next_step = rollback.next_step
