"""What the rules say of the plans of one upgrade, and what of it was accepted (SOP 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openab_sop.objects import Object
from openab_sop.plans import rules
from openab_sop.plans.plan import Plan
from openab_sop.rule import Harm, Harms, Rule, weighed

_WITHOUT_TARGET = ("does-not-render", "release-not-deployed", "downgrade", "not-validated")
"""Rules that look at no rendered object."""
SCHEMA = 1
"""Version of the shape of ``plan.json``."""


@dataclass(frozen=True)
class PlanJudgement(Harms):
    """The findings of every rule, in the order of the rules.

    Attributes:
        plans: what was judged: each version on the way, in the order in which they would be applied.
    """

    plans: tuple[Plan, ...]

    def about(self, subject: str) -> PlanJudgement:
        """Return the findings of the rules that look at one thing alone, a key of ``rules.SUBJECTS``."""
        of = {rule.name for rule in rules.SUBJECTS[subject]}
        return replace(self, harms=tuple(harm for harm in self.harms if harm.rule.name in of))

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


def judge(plans: Sequence[Plan], reasons: Mapping[str, str]) -> PlanJudgement:
    """Ask every rule about every plan.

    Args:
        plans: one for each version on the way.
        reasons: by id of a finding, why it is let pass.

    Raises:
        SettingsError: something was accepted that was not found.
    """
    found = (harm for plan in plans for harm in _harms(plan))
    return PlanJudgement(weighed(found, reasons, "plan"), tuple(plans))


def _harms(plan: Plan) -> list[Harm]:
    every: list[Rule[Plan]] = [rule for subject in rules.SUBJECTS.values() for rule in subject]
    if plan.unrenderable:  # there is no target to compare with
        every = [rule for rule in every if rule.name in _WITHOUT_TARGET]
    return [Harm(rule, finding, (str(plan.target.version),)) for rule in every for finding in rule.judge(plan)]
