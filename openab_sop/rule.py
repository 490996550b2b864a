"""A rule: one known way in which an upgrade hurts, how bad it is, why, and how it is shown and accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from openab_sop.errors import SettingsError
from openab_sop.escape import one_line
from openab_sop.verdict import Finding, NotPassed


class Severity(StrEnum):
    """What a finding does to a run: it stops it unless it was accepted, or it is only told."""

    BLOCKS = "blocks"
    WARNS = "warns"


Judged = TypeVar("Judged")


@dataclass(frozen=True)
class Rule(Generic[Judged]):
    """One way in which an upgrade hurts.

    Attributes:
        name: the first half of its findings' ids.
        severity: it blocks if data, connection or service are lost, or nothing would be gained; else it warns.
        why: why that hurts, for someone who has never seen it.
        judge: finds it in what was seen, and only looks. A finding's subject, a bare name, is the id's second half.
    """

    name: str
    severity: Severity
    why: str
    judge: Callable[[Judged], Iterable[Finding]]


def blocks(name: str, why: str) -> Callable[[Callable[[Judged], Iterable[Finding]]], Rule[Judged]]:
    """Make a function a rule whose findings stop a run."""
    return lambda judge: Rule(name, Severity.BLOCKS, why, judge)


def warns(name: str, why: str) -> Callable[[Callable[[Judged], Iterable[Finding]]], Rule[Judged]]:
    """Make a function a rule whose findings are only told."""
    return lambda judge: Rule(name, Severity.WARNS, why, judge)


@dataclass(frozen=True)
class RuleFinding:
    """A finding of a rule.

    Attributes:
        versions: the chart versions that have it, in the order in which the upgrade would apply them.
        accepted: why it is let pass; empty if it is not.
    """

    rule: Rule[Any]
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
        how = f"accepted: {one_line(self.accepted)}" if self.accepted else str(self.rule.severity)
        return (
            f"{self.id} ({how}): {one_line(self.finding.observed)}; expected {one_line(self.finding.expected)}\n"
            f"    why: {self.rule.why}\n    next: {one_line(self.finding.next_step)}"
        )


@dataclass(frozen=True)
class RuleFindings:
    """Everything that was found, what stops the run first."""

    findings: tuple[RuleFinding, ...]

    @property
    def summary(self) -> str:
        """How many findings there are of each kind, in words."""
        warn = len(self.findings) - len(self.stopping) - len(self.accepted)
        counts = {"block": len(self.stopping), "accepted": len(self.accepted), "warn": warn}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "no findings"

    @property
    def stopping(self) -> tuple[RuleFinding, ...]:
        """What stops the run."""
        return tuple(rule_finding for rule_finding in self.findings if rule_finding.stops)

    @property
    def accepted(self) -> dict[str, str]:
        """What was let pass, as a report's summary says it, and why."""
        return {
            f"accepted {rule_finding.id}": rule_finding.accepted
            for rule_finding in self.findings
            if rule_finding.accepted
        }

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run."""
        return not self.stopping

    def require(self) -> None:
        """Raise ``NotPassed`` if something stops the run."""
        if not self.passed:
            raise NotPassed(str(self), [rule_finding.finding for rule_finding in self.stopping])

    def __str__(self) -> str:
        return "\n  ".join([self.summary, *map(str, self.findings)])


def weighed(found: Iterable[RuleFinding], reasons: Mapping[str, str], where: str) -> tuple[RuleFinding, ...]:
    """Return findings, those that stop a run first, each with the reason for which it is let pass.

    Args:
        found: the same finding of several versions becomes one.
        reasons: by id of a finding, why it is let pass.
        where: what was judged, as it stands in the message.

    Raises:
        SettingsError: something was accepted that was not found, so that nobody accepts in advance or by mistake.
    """
    known: dict[str, RuleFinding] = {}
    for rule_finding in found:
        seen = known.get(rule_finding.id)
        versions = dict.fromkeys((*seen.versions, *rule_finding.versions) if seen else rule_finding.versions)
        known[rule_finding.id] = replace(
            rule_finding, versions=tuple(versions), accepted=reasons.get(rule_finding.id, "")
        )
    if unknown := sorted(reasons.keys() - known.keys()):
        raise SettingsError(
            f"--accept={unknown[0]}: the {where} has no such finding",
            f"leave it out; found were: {', '.join(known) or 'none'}",
        )
    return tuple(sorted(known.values(), key=lambda rule_finding: rule_finding.rule.severity is not Severity.BLOCKS))
