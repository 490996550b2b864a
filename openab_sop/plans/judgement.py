"""What the rules say of the plans of one upgrade, and what of it was accepted (SOP 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openab_sop.objects import Object
from openab_sop.plans import rules
from openab_sop.plans.plan import Plan
from openab_sop.rule import Rule, RuleFinding, RuleFindings, weighed

_WITHOUT_TARGET = ("does-not-render", "release-not-deployed", "downgrade", "not-validated")
"""Rules that look at no rendered object."""
SCHEMA = 1
"""Version of the shape of ``plan.json``."""


@dataclass(frozen=True)
class PlanJudgement(RuleFindings):
    """The findings of every rule, in the order of the rules.

    Attributes:
        plans: what was judged: each version on the way, in the order in which they would be applied.
    """

    plans: tuple[Plan, ...]

    def about(self, subject: str) -> PlanJudgement:
        """Return the findings of the rules that look at one thing alone, a key of ``rules.SUBJECTS``."""
        of = {rule.name for rule in rules.SUBJECTS[subject]}
        return replace(
            self, findings=tuple(rule_finding for rule_finding in self.findings if rule_finding.rule.name in of)
        )

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
                    "id": rule_finding.id,
                    "rule": rule_finding.rule.name,
                    "severity": str(rule_finding.rule.severity),
                    "subject": rule_finding.finding.subject,
                    "observed": rule_finding.finding.observed,
                    "expected": rule_finding.finding.expected,
                    "why": rule_finding.rule.why,
                    "next": rule_finding.finding.next_step,
                    "versions": list(rule_finding.versions),
                    "accepted": rule_finding.accepted,
                }
                for rule_finding in self.findings
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
    found = (rule_finding for plan in plans for rule_finding in _findings(plan))
    return PlanJudgement(weighed(found, reasons, "plan"), tuple(plans))


def _findings(plan: Plan) -> list[RuleFinding]:
    every: list[Rule[Plan]] = [rule for subject in rules.SUBJECTS.values() for rule in subject]
    if plan.unrenderable:  # there is no target to compare with
        every = [rule for rule in every if rule.name in _WITHOUT_TARGET]
    return [RuleFinding(rule, finding, (str(plan.target.version),)) for rule in every for finding in rule.judge(plan)]
