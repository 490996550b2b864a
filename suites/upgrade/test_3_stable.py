"""Upgrade, the target: apply it, judge it, ask for confirmation (SOP 3.4, 3.5)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from fixtures.human import Human
from openab_sop.agents.container import HostOf
from openab_sop.upgrades.phase import Phase


def test_stable_is_applied(stable: Phase, evidence: Evidence) -> None:
    """3.4a Upgrade to the target with the backup's values; a short outage is expected."""
    evidence("runs", stable.apply())


@pytest.mark.gate
def test_stable_runs_well(stable: Phase, evidence: Evidence) -> None:
    """3.4b Judge the target for a while: rollout, Ready, connected, no panic in the log."""
    verdict = stable.judge()
    verdict.require()
    evidence("verdict", verdict)


def test_stable_has_its_configuration(stable: Phase, progress: Progress, evidence: Evidence) -> None:
    """4.1c Restore configuration files that are missing from the backup, and restart the agents."""
    evidence("restored", stable.mend_config(progress))


@pytest.mark.gate
def test_stable_is_verified(stable: Phase, host_of: HostOf, audit: Audit, evidence: Evidence) -> None:
    """3.5b Verify version, image, process and claim, and that every file from before is still there."""
    seen = stable.verify(host_of)
    evidence("images", seen.images)
    evidence("jobs", seen.jobs or "none of the home's own")
    evidence("volumes", seen.changes)
    evidence("since it settled", seen.later or "nothing changed")
    audit.facts |= seen.highlights
    seen.require()


@pytest.mark.gate
def test_stable_is_confirmed(stable: Phase, human: Human, evidence: Evidence) -> None:
    """3.3b Ask for confirmation: somebody tries the bot in the chat."""
    evidence("answer", stable.ask(human))


@pytest.mark.gate
def test_stable_is_confirmed_after_a_restart(stable: Phase, human: Human, evidence: Evidence) -> None:
    """4.1d Restart agents that gave no answer, and ask again."""
    evidence("answer", stable.restart_and_ask(human))
