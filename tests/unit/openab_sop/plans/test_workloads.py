"""Deployments: renamed, gone, come, off, several, replaced otherwise; and what only looks like it."""

from __future__ import annotations

import pytest

from openab_sop.plans.plan import Effect, Plan, Refusal
from openab_sop.plans.rules import workloads
from tests.unit.openab_sop.plans.drawn import AGENT, DEPLOYMENT, deployment, drawn, hook, now, then, told

CLAUDE = deployment("rel-claude", component="claude", image="ghcr.io/openabdev/openab-claude:0.8.2", mounts=())
GATEWAY = deployment("rel-gateway", component="gateway", container="gateway", mounts=())
OFF = deployment("rel-gateway", component="gateway", container="gateway", mounts=(), replicas=0)

CASES: dict[str, tuple[Plan, list[str]]] = {
    "another chart": (drawn(charts=("agent-broker", "openab")), ["chart-renamed:rel"]),
    "the same chart": (drawn(charts=("agent-broker", "agent-broker")), []),
    # agent-renamed
    "renamed, the same by its label": (drawn(after=then(name="openab-kiro")), ["agent-renamed:rel-kiro"]),
    "renamed, without a label": (
        drawn(now(component=""), then(name="openab-kiro", component="")),
        ["agent-vanishes:rel-kiro", "agent-appears:openab-kiro"],
    ),
    "the name stays and the label changes": (drawn(after=then(component="bot")), []),
    "the container is renamed": (drawn(now(container="agent-broker")), []),
    # agent-vanishes, agent-appears
    "one of two goes": (drawn(now(CLAUDE)), ["agent-vanishes:rel-claude"]),
    "it becomes a StatefulSet": (
        drawn(after=tuple({**body, "kind": body["kind"].replace("Deployment", "StatefulSet")} for body in then())),
        ["agent-vanishes:rel-kiro"],
    ),
    # companion-vanishes, companion-appears
    "a companion goes": (drawn(now(GATEWAY)), ["companion-vanishes:rel-gateway"]),
    "one that was off goes": (drawn(now(OFF)), []),
    "one is switched off": (drawn(now(GATEWAY), then(OFF)), ["companion-vanishes:rel-gateway"]),
    "one is renamed": (drawn(now(GATEWAY), then({**GATEWAY, "metadata": {**GATEWAY["metadata"], "name": "gw"}})), []),
    "one stays": (drawn(now(GATEWAY), then(GATEWAY)), []),
    "one comes": (drawn(after=then(CLAUDE)), ["agent-appears:rel-claude"]),
    "one comes that is off": (
        drawn(after=then(deployment("rel-claude", component="claude", mounts=(), replicas=0))),
        [],
    ),
    "a companion comes": (drawn(after=then(GATEWAY)), ["companion-appears:rel-gateway"]),
    "one comes that does not run": (drawn(after=then(OFF)), []),
    "a hook comes": (drawn(hooks=(hook("test", "true"),)), []),
    # agent-off, several-writers
    "off": (drawn(after=then(replicas=0)), ["agent-off:rel-kiro"]),
    "off already": (drawn(now(replicas=0), then(replicas=0)), []),
    "two": (drawn(after=then(replicas=2)), ["several-writers:rel-kiro"]),
    "two already": (drawn(now(replicas=2), then(replicas=2)), []),
    "one of two": (drawn(now(replicas=2)), []),
    # strategy-changed
    "the old pod goes on": (drawn(after=then(strategy="RollingUpdate")), ["strategy-changed:rel-kiro"]),
    "nothing is said of it": (drawn(after=then(strategy=None)), ["strategy-changed:rel-kiro"]),
    "it went on before": (drawn(now(strategy=None), then(strategy="RollingUpdate")), []),
    "one after the other from now on": (drawn(now(strategy=None)), []),
    "without a volume": (
        drawn(now(pvc={}, mounts=()), then(pvc={}, mounts=(), strategy="RollingUpdate")),
        [],
    ),
    # selector-changed
    "another selector": (drawn(after=then(selector="bot")), ["selector-changed:rel-kiro"]),
    "another selector, refused by the API": (
        drawn(
            after=then(selector="bot"),
            refusals=(Refusal(*DEPLOYMENT, "refused", "spec.selector: field is immutable"),),
        ),
        ["selector-changed:rel-kiro"],
    ),
    "another selector of a companion": (
        drawn(now(GATEWAY), then(deployment("rel-gateway", container="gateway", mounts=(), selector="x"))),
        ["selector-changed:rel-gateway"],
    ),
    "another selector under another name": (
        drawn(after=then(name="openab-kiro", selector="bot")),
        ["agent-renamed:rel-kiro"],
    ),
    "more labels of its pods": (drawn(after=then(annotations={"a": "b"})), []),
    # override-honoured
    "an override that did nothing so far": (
        drawn(effects=(Effect(("fullnameOverride",), before=False, after=True),)),
        ["override-honoured:fullnameOverride"],
    ),
    "that of one agent": (
        drawn(effects=(Effect(("agents", "kiro", "nameOverride"), before=False, after=True),)),
        ["override-honoured:agents.kiro.nameOverride"],
    ),
    "an override that always counts": (drawn(effects=(Effect(("fullnameOverride",), before=True, after=True),)), []),
    "an override that never counts": (drawn(effects=(Effect(("fullnameOverride",), before=False, after=False),)), []),
    "another value that counts now": (drawn(effects=(Effect(("agents", "x"), before=False, after=True),)), []),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_becomes_of_the_deployments(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in workloads.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_agents_are_paired_by_name_before_their_label() -> None:
    """A copy under a new name must not take the place of the agent that stays."""
    copy = deployment("openab-kiro", mounts=())
    plan = drawn(after=then(copy))
    assert [(old.name, new.name) for old, new in plan.staying] == [(AGENT, AGENT)]
    assert told(plan) == ["agent-appears:openab-kiro"]
