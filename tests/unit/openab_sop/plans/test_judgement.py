"""What is made of the findings: merged, ordered, accepted, told to programs; and what every rule must have."""

from __future__ import annotations

import json
import re
from types import ModuleType

import pytest

from openab_sop.errors import SettingsError
from openab_sop.plans import rules
from openab_sop.plans.judgement import SCHEMA, PlanJudgement, judge
from openab_sop.plans.plan import Plan, Refusal
from openab_sop.plans.rules import (
    authority,
    cluster,
    configuration,
    data,
    drift,
    images,
    path,
    restarts,
    volumes,
    workloads,
)
from openab_sop.redact import mask
from openab_sop.rule import Rule, RuleFinding, Severity
from openab_sop.verdict import Finding
from tests.unit.openab_sop.plans.drawn import drawn, now, secret, then

MODULES: dict[str, ModuleType] = {
    "volumes": volumes,
    "workloads": workloads,
    "images": images,
    "configuration": configuration,
    "restarts": restarts,
    "drift": drift,
    "cluster": cluster,
    "authority": authority,
    "data": data,
    "path": path,
}
EVERY = [rule for subject in rules.SUBJECTS.values() for rule in subject]
BETA, STABLE = ("0.8.1", "0.9.0-beta.1"), ("0.8.1", "0.9.0")


def off(versions: tuple[str, str] = STABLE) -> Plan:
    """A plan that warns of its chart, then blocks for its agent."""
    return drawn(after=then(replicas=0), versions=versions, charts=("agent-broker", "openab"))


def ids(judgement: PlanJudgement) -> list[str]:
    return [rule_finding.id for rule_finding in judgement.findings]


def test_nothing_found() -> None:
    judgement = judge([drawn()], {})
    assert (judgement.passed, judgement.summary, judgement.findings) == (True, "no findings", ())


def test_what_blocks_comes_first() -> None:
    judgement = judge([off()], {})
    assert ids(judgement) == ["agent-off:rel-kiro", "chart-renamed:rel"]
    assert judgement.summary == "1 block, 1 warn"
    assert not judgement.passed
    assert [rule_finding.id for rule_finding in judgement.stopping] == ["agent-off:rel-kiro"]


def test_the_same_of_two_versions_is_one_finding() -> None:
    well = drawn(versions=BETA, charts=("agent-broker", "openab"))
    judgement = judge([well, off()], {})
    assert {rule_finding.id: rule_finding.versions for rule_finding in judgement.findings} == {
        "agent-off:rel-kiro": ("0.9.0",),
        "chart-renamed:rel": ("0.9.0-beta.1", "0.9.0"),
    }
    assert judgement.summary == "1 block, 1 warn"


def test_one_finding_twice_in_a_version_is_of_one_version() -> None:
    twice = (Refusal("Service", "x", "refused", "a"), Refusal("Service", "x", "refused", "b"))
    (rule_finding,) = judge([drawn(refusals=twice)], {}).findings
    assert rule_finding.versions == ("0.8.2",)


def test_what_was_accepted_does_not_stop_and_is_told() -> None:
    judgement = judge([off()], {"agent-off:rel-kiro": "it retires"})
    assert judgement.passed
    assert judgement.summary == "1 accepted, 1 warn"
    assert "agent-off:rel-kiro (accepted: it retires)" in str(judgement)


@pytest.mark.parametrize(
    ("accepted", "summary"),
    [
        ({"agent-off:rel-kiro": "a", "chart-renamed:rel": "b"}, "2 accepted"),
        ({"chart-renamed:rel": "b"}, "1 block, 1 accepted"),
    ],
)
def test_accepted_warnings_are_counted_once(accepted: dict[str, str], summary: str) -> None:
    assert judge([off()], accepted).summary == summary


def test_several_blocks_accepted_are_no_warnings() -> None:
    plan = drawn(after=())
    assert judge([plan], dict.fromkeys(ids(judge([plan], {})), "all of it")).summary == "2 accepted"


def test_one_accepted_lets_no_other_pass() -> None:
    """Two keys that are missing are two findings: who has looked at the one has not looked at the other."""
    plan = drawn(now(secret(a="eA=="), keys={}), then(keys={}, env=[{"name": "B", "valueFrom": BELOW}]))
    one, other = ids(judge([plan], {}))
    assert [rule_finding.id for rule_finding in judge([plan], {one: "known"}).stopping] == [other]


BELOW = {"secretKeyRef": {"name": "nowhere", "key": "b"}}


def test_what_was_not_found_cannot_be_accepted() -> None:
    with pytest.raises(SettingsError, match="--accept=agent-off:rel-claude: the plan has no such finding") as error:
        judge([off()], {"agent-off:rel-claude": "typo"})
    assert "found were: chart-renamed:rel, agent-off:rel-kiro" in error.value.next_step
    with pytest.raises(SettingsError, match="no such finding") as error:
        judge([drawn()], {"x": "in advance"})
    assert error.value.next_step.endswith("found were: none")


def test_warnings_never_stop() -> None:
    judgement = judge([drawn(charts=("agent-broker", "openab"))], {})
    assert judgement.passed
    assert judgement.summary == "1 warn"


def test_of_what_cannot_be_rendered_nothing_else_is_said() -> None:
    plan = drawn(after=(), unrenderable="nil pointer", status="failed", versions=("0.8.1", "0.8.0"))
    assert ids(judge([plan], {})) == ["does-not-render:0.8.0", "release-not-deployed:rel", "downgrade:rel"]


def test_a_beta_that_cannot_be_rendered_leaves_the_target_judged() -> None:
    beta = drawn(after=(), unrenderable="nil pointer", versions=BETA)
    assert ids(judge([beta, off()], {})) == ["does-not-render:0.9.0-beta.1", "agent-off:rel-kiro", "chart-renamed:rel"]


def test_the_findings_of_one_subject() -> None:
    judgement = judge([off()], {})
    assert [(s, ids(judgement.about(s))) for s in rules.SUBJECTS if judgement.about(s).findings] == [
        ("workloads", ["agent-off:rel-kiro", "chart-renamed:rel"])
    ]
    assert judgement.about("volumes").passed
    assert judgement.about("volumes").plans == judgement.plans


def test_what_programs_get() -> None:
    said = judge([off(BETA), off()], {"agent-off:rel-kiro": "it retires"}).as_json()
    assert {key: value for key, value in said.items() if key != "findings"} == {
        "schema": SCHEMA,
        "release": "rel",
        "namespace": "chat",
        "from": "agent-broker 0.8.1",
        "to": ["openab 0.9.0-beta.1", "openab 0.9.0"],
        "verdict": "passed",
    }
    assert said["findings"][0] == {
        "id": "agent-off:rel-kiro",
        "rule": "agent-off",
        "severity": "blocks",
        "subject": "rel-kiro",
        "observed": "it would have 0 replicas",
        "expected": "1",
        "why": workloads.agent_off.why,
        "next": "set agents.kiro.enabled=true or agents.kiro.replicas=1 in the values, then run: "
        "pytest suites --target-version=0.9.0 --values=FILE",
        "versions": ["0.9.0-beta.1", "0.9.0"],
        "accepted": "it retires",
    }
    assert judge([off()], {}).as_json()["verdict"] == "blocked"
    assert json.loads(json.dumps(said)) == said


def test_programs_get_no_value_of_a_secret() -> None:
    plan = drawn(
        after=then(keys=secret(token="bmV3LXRva2Vu")),
        live=[secret(token="bGl2ZS10b2tlbg==")],
        restored=[secret(token="b2xkLXRva2Vu")],
    )
    text = json.dumps(judge([plan], {}).as_json())
    assert "edit-overwritten:Secret/rel-kiro" in text
    assert not any(value in text for value in ("bmV3LXRva2Vu", "bGl2ZS10b2tlbg", "b2xkLXRva2Vu"))


def test_an_id_is_one_line_whatever_the_subject() -> None:
    rule_finding = RuleFinding(workloads.agent_off, Finding("a\nb\x1b[2J", "x", "y", "z"))
    assert rule_finding.id == "agent-off:a\\nb\\x1b[2J"


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_every_rule_can_be_named_and_says_why(rule: Rule[Plan]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.why.strip().endswith(".")
    assert rule.severity in Severity
    subject = f"{rule.name}:some-agent.some-name"
    assert mask(subject) == subject, "a name that sounds like a credential has its subject masked in every report"


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in EVERY}) == len(EVERY)


@pytest.mark.parametrize("subject", MODULES)
def test_no_rule_is_forgotten(subject: str) -> None:
    written: set[object] = {value for value in vars(MODULES[subject]).values() if isinstance(value, Rule)}
    assert written == set(rules.SUBJECTS[subject])


def test_every_file_of_rules_is_a_subject() -> None:
    assert list(MODULES) == list(rules.SUBJECTS)
