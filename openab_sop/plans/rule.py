"""A rule: one known way in which an upgrade hurts, how bad it is, why, and how a plan shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from openab_sop.plans.plan import Plan
from openab_sop.shown import one_line
from openab_sop.verdict import Finding


class Severity(StrEnum):
    """What a finding does to a run: it stops it unless it was accepted, or it is only told."""

    BLOCKS = "blocks"
    WARNS = "warns"


Judge = Callable[[Plan], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """One way in which an upgrade hurts.

    Attributes:
        name: the first half of its findings' ids.
        severity: it blocks if data, connection or service are lost, or nothing would be gained; else it warns.
        why: why that hurts, for someone who has never seen it.
        judge: finds it in a plan; it only looks. A finding's subject is the second half of the id: a bare name.
    """

    name: str
    severity: Severity
    why: str
    judge: Judge


def blocks(name: str, why: str) -> Callable[[Judge], Rule]:
    """Make a function a rule whose findings stop a run."""
    return lambda judge: Rule(name, Severity.BLOCKS, why, judge)


def warns(name: str, why: str) -> Callable[[Judge], Rule]:
    """Make a function a rule whose findings are only told."""
    return lambda judge: Rule(name, Severity.WARNS, why, judge)


@dataclass(frozen=True)
class Harm:
    """A finding of a rule.

    Attributes:
        versions: the chart versions that have it, in the order in which the upgrade would apply them.
        accepted: why it is let pass; empty if it is not.
    """

    rule: Rule
    finding: Finding
    versions: tuple[str, ...] = ()
    accepted: str = ""

    @property
    def id(self) -> str:
        """What ``--accept`` takes."""
        return one_line(f"{self.rule.name}:{self.finding.subject}")

    @property
    def stops(self) -> bool:
        """Whether the run must end here."""
        return self.rule.severity is Severity.BLOCKS and not self.accepted

    def __str__(self) -> str:
        how = f"accepted: {self.accepted}" if self.accepted else str(self.rule.severity)
        return (
            f"{self.id} ({how}): {one_line(self.finding.observed)}; expected {one_line(self.finding.expected)}\n"
            f"    why: {self.rule.why}\n    next: {one_line(self.finding.next_step)}"
        )
