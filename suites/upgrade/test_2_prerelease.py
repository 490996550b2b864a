"""Upgrade, the pre-release: apply it, judge it, ask for confirmation (SOP 3.2, 3.3)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from fixtures.human import Human
from openab_sop.agents.container import HostOf
from openab_sop.upgrades.phase import Phase


def test_prerelease_is_applied(prerelease: Phase, evidence: Evidence) -> None:
    """3.2a Upgrade to the pre-release with the backup's values; a short outage is expected (Recreate, one writer)."""
    evidence("runs", prerelease.apply())


@pytest.mark.gate
def test_prerelease_runs_well(prerelease: Phase, evidence: Evidence) -> None:
    """3.2b Judge the pre-release for a while: rollout, Ready, connected, no panic in the log."""
    verdict = prerelease.judge()
    verdict.require()
    evidence("verdict", verdict)


def test_prerelease_has_its_configuration(prerelease: Phase, progress: Progress, evidence: Evidence) -> None:
    """4.1a Restore configuration files that are missing from the backup, and restart the agents."""
    evidence("restored", prerelease.mend_config(progress))


@pytest.mark.gate
def test_prerelease_is_verified(prerelease: Phase, host_of: HostOf, audit: Audit, evidence: Evidence) -> None:
    """3.5a Verify version, image, process and claim, and that every file from before is still there."""
    seen = prerelease.verify(host_of)
    evidence("images", seen.images)
    evidence("jobs", seen.jobs or "none of the home's own")
    evidence("volumes", seen.changes)
    evidence("since it settled", seen.later or "nothing changed")
    audit.facts |= seen.highlights
    seen.require()


@pytest.mark.gate
def test_prerelease_is_confirmed(prerelease: Phase, human: Human, evidence: Evidence) -> None:
    """3.3a Ask for confirmation: somebody tries the bot in the chat."""
    evidence("answer", prerelease.ask(human))


@pytest.mark.gate
def test_prerelease_is_confirmed_after_a_restart(prerelease: Phase, human: Human, evidence: Evidence) -> None:
    """4.1b Restart agents that gave no answer, and ask again."""
    evidence("answer", prerelease.restart_and_ask(human))
