"""What the rules say of the plans of one upgrade, and what of it was accepted (SOP 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openab_sop.errors import SettingsError
from openab_sop.objects import Object
from openab_sop.plans import rules
from openab_sop.plans.plan import Plan
from openab_sop.plans.rule import Harm, Rule, Severity

SCHEMA = 1
"""Version of the shape of ``plan.json``."""


@dataclass(frozen=True)
class Judgement:
    """The findings of every rule, in the order of the rules.

    Attributes:
        plans: what was judged: each version on the way, in the order in which they would be applied.
        harms: what was found; the same finding of several versions is one.
    """

    plans: tuple[Plan, ...]
    harms: tuple[Harm, ...]

    @property
    def summary(self) -> str:
        """How many findings there are of each kind, in words."""
        accepted = [harm for harm in self.harms if harm.accepted]
        warn = len(self.harms) - len(self.stopping) - len(accepted)
        counts = {"block": len(self.stopping), "accepted": len(accepted), "warn": warn}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "no findings"

    @property
    def stopping(self) -> tuple[Harm, ...]:
        """What stops the run."""
        return tuple(harm for harm in self.harms if harm.stops)

    def about(self, subject: str) -> Judgement:
        """Return the findings of the rules that look at one thing alone, a key of ``rules.SUBJECTS``."""
        of = {rule.name for rule in rules.SUBJECTS[subject]}
        return replace(self, harms=tuple(harm for harm in self.harms if harm.rule.name in of))

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run."""
        return not self.stopping

    def as_json(self) -> Object:
        """Return it for programs: no object, no value, nothing secret."""
        first = self.plans[0]
        return {
            "schema": SCHEMA,
            "release": first.release,
            "namespace": first.namespace,
            "from": f"{first.current.name} {first.current.version}",
            "to": [f"{plan.target.name} {plan.target.version}" for plan in self.plans],
            "verdict": "blocked" if self.stopping else "passed",
            "findings": [
                {
                    "id": harm.id,
                    "rule": harm.rule.name,
                    "severity": str(harm.rule.severity),
                    "subject": harm.finding.subject,
                    "observed": harm.finding.observed,
                    "expected": harm.finding.expected,
                    "why": harm.rule.why,
                    "next": harm.finding.next_step,
                    "versions": list(harm.versions),
                    "accepted": harm.accepted,
                }
                for harm in self.harms
            ],
        }

    def __str__(self) -> str:
        return "\n  ".join([self.summary, *map(str, self.harms)])


def judge(plans: Sequence[Plan], accepted: Mapping[str, str]) -> Judgement:
    """Ask every rule about every plan.

    Args:
        plans: one for each version on the way.
        accepted: by id of a finding, why it is let pass.

    Raises:
        SettingsError: something was accepted that was not found, so that nobody accepts in advance or by mistake.
    """
    found: dict[str, Harm] = {}
    for plan in plans:
        for harm in _harms(plan):
            seen = found.get(harm.id, harm)
            versions = dict.fromkeys((*seen.versions, str(plan.target.version)))
            found[harm.id] = replace(seen, versions=tuple(versions))
    if unknown := sorted(accepted.keys() - found.keys()):
        raise SettingsError(
            f"--accept={unknown[0]}: the plan has no such finding",
            f"leave it out; found were: {', '.join(found) or 'none'}",
        )
    ordered = sorted(found.values(), key=lambda harm: harm.rule.severity is not Severity.BLOCKS)
    return Judgement(tuple(plans), tuple(replace(harm, accepted=accepted.get(harm.id, "")) for harm in ordered))


def _harms(plan: Plan) -> list[Harm]:
    every: list[Rule] = [rule for subject in rules.SUBJECTS.values() for rule in subject]
    if plan.unrenderable:  # there is no target to compare with
        every = [rule for rule in every if rule.name in ("does-not-render", "release-not-deployed", "downgrade")]
    return [Harm(rule, finding) for rule in every for finding in rule.judge(plan)]
