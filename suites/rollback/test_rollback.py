"""Rollback: the decision table, then the release and, where the old version needs it, the data (SOP 4)."""

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
from openab_sop.upgrades.way_back import WayBack

remedy = pytest.mark.remedy


@remedy
def test_upgrade_is_taken_up(
    way_back: WayBack,
    way_back_to: Backup | RemoteBackup | None,
    consent: Consent,
    settings: Settings,
    evidence: Evidence,
) -> None:
    """4.1 No other run maintains this release, and what is to be rolled back is known, and wanted if by hand."""
    if settings.abandon:
        evidence("wanted", consent("close what is under way as it is; nothing leads on or back from it then"))
        raise NothingToDo(way_back.abandon(settings.reason))
    evidence("wanted", consent(way_back.intent(way_back_to)))
    evidence("rollback", way_back.take_up(way_back_to))


@remedy
def test_way_back_is_chosen(way_back: WayBack, audit: Audit, evidence: Evidence) -> None:
    """4.1 The decision table: the first rule that matches is taken."""
    decision = way_back.decide()
    audit.facts["decision"] = str(decision)
    evidence("rules", "\n  ".join(map(str, decision.rows)))


@remedy
def test_target_revision_is_known(way_back: WayBack, rollback: Rollback, evidence: Evidence) -> None:
    """4.2 The revision is the last that was deployed before; nobody else has changed it since; Helm may roll back."""
    evidence("revision", way_back.target())
    evidence("rights", rollback.require_rights())


@remedy
def test_helpers_start(rollback: Rollback, evidence: Evidence) -> None:
    """4.3 A helper starts beside each agent before any is stopped."""
    evidence("helpers", rollback.try_helpers())


@remedy
def test_agents_are_stopped(rollback: Rollback, evidence: Evidence) -> None:
    """4.3 The agents stand still: nothing writes to the volumes any more."""
    evidence("stopped", ", ".join(rollback.stop()))


@remedy
def test_volumes_are_compared(rollback: Rollback, evidence: Evidence) -> None:
    """4.3 What changed on the volumes since the backup is known, and whether the old version can read it."""
    evidence("volumes", "\n  ".join(f"{name}: {told}" for name, told in rollback.compare().items()))


@remedy
def test_data_are_restored(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3 What the old version could not read is restored before it starts, proved by digests."""
    evidence("restored", rollback.restore(progress))


@remedy
def test_release_is_rolled_back(rollback: Rollback, evidence: Evidence) -> None:
    """4.2 Helm rolls the release back; the old version starts."""
    evidence("runs", rollback.roll_back())


@remedy
def test_new_claims_are_filled(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3 A claim that was replaced gets the whole home of the backup."""
    evidence("restored", rollback.refill(progress))


@remedy
def test_old_version_is_judged(rollback: Rollback, evidence: Evidence) -> None:
    """4.4 Rollout, Ready, connected, no panic in the log; where that fails, the data are restored next."""
    evidence("verdict", rollback.judge())
    evidence("companions", rollback.companions())


@remedy
def test_data_are_restored_after_all(rollback: Rollback, progress: Progress, evidence: Evidence) -> None:
    """4.3 The data are restored after all if the old version does not run on what the new one has left."""
    evidence("restored", rollback.restore_after_all(progress))


@remedy
@pytest.mark.gate
def test_old_version_is_verified(rollback: Rollback, host_of: HostOf, audit: Audit, evidence: Evidence) -> None:
    """4.4 Health, version, image, process, claim and files are as before the upgrade."""
    seen = rollback.verify(host_of)
    audit.facts["result"] = seen.told()
    evidence("volumes", seen.changes)
    audit.facts |= seen.highlights
    if left := rollback.left_over():
        audit.facts["left behind"] = f"WARNING: the version that was taken back has made {', '.join(left)}"
    seen.require()
    audit.facts["version now"] = str(rollback.now)


@pytest.mark.remedy(always=True)
def test_agents_run_again(rollback: Rollback, evidence: Evidence) -> None:
    """4.3 If the rollback stops early, agents whose volumes are unchanged or proved are started again."""
    evidence("started", ", ".join(rollback.start_again()))


@pytest.mark.remedy(always=True)
def test_end_is_announced(rollback: Rollback, audit: Audit, evidence: Evidence) -> None:
    """1.8 How it ended is announced, whatever it was."""
    evidence("announced", rollback.announce())
    audit.next_step = rollback.next_step
