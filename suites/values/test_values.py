"""Values: propose the values that a version of another shape needs, and prove them; nothing is changed (SOP 3.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop.proposals.proposal import PAGE, Proposal
from openab_sop.targets.version import Version


def test_target_is_known(target_version: Version, target_chart: Path, audit: Audit, evidence: Evidence) -> None:
    """1.3 Choose the target: the version named, or the newest stable one; pull its chart."""
    audit.facts["target"] = f"chart {target_version}"
    evidence("chart", target_chart)


def test_values_are_proposed(proposal: Proposal, audit: Audit, evidence: Evidence) -> None:
    """3.2a Apply each change of the values' shape, from the configuration that runs; remove values without effect."""
    for move in proposal.propose():
        evidence(move.key, f"{move.to}: {move.why}")
        if move.decide:
            audit.facts[f"decide {move.key}"] = f"WARNING: {move.to}: {move.why}"
    audit.next_step = proposal.next_step


def test_values_are_compared(proposal: Proposal, audit: Audit, evidence: Evidence) -> None:
    """3.2b Compare what runs with the target by meaning: configuration, variables, images, claims, placement."""
    evidence("findings", proposal.prove())
    evidence("changed by the version itself", list(proposal.compared.own))
    audit.facts["page"] = str(audit.directory / PAGE)


def test_values_are_written(proposal: Proposal, audit: Audit, evidence: Evidence) -> None:
    """3.2c Write the proposal, readable by its owner alone; comments and order stay."""
    evidence("values", proposal.write())
    audit.facts["values"] = str(proposal.out)


@pytest.mark.gate
def test_values_are_ready(proposal: Proposal, audit: Audit, evidence: Evidence) -> None:
    """3.2d Gate: the target is proved to mean what runs now, or each difference was accepted with a reason."""
    proposal.findings.require()
    audit.facts |= proposal.findings.accepted
    evidence("verdict", proposal.findings.summary)
