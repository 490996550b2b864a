"""A pod that runs on with what it read before."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.plans.plan import Plan
from openab_sop.plans.rules import restarts
from tests.unit.openab_sop.plans.drawn import AGENT, config, drawn, now, secret, told, variable

NEW = secret(token="bmV3")
MOUNTED = {
    "volumes": [
        {"name": AGENT, "persistentVolumeClaim": {"claimName": AGENT}},
        {"name": "config", "projected": {"sources": [{"configMap": {"name": AGENT}}]}},
    ]
}


def same(before: dict[str, Any], after: dict[str, Any]) -> Plan:
    """An upgrade within one version, so that not even the image changes."""
    return drawn(now(**before), now(**after), versions=("0.8.1", "0.8.1"))


CASES: dict[str, tuple[Plan, list[str]]] = {
    "nothing changes": (same({}, {}), []),
    "the Secret changes": (same({}, {"keys": NEW}), ["not-restarted:rel-kiro.rel-kiro"]),
    "the configuration changes": (same({"text": ""}, {"text": "x = 1"}), ["not-restarted:rel-kiro.rel-kiro"]),
    "a projected one changes": (
        same({"text": "", "pod": MOUNTED}, {"text": "x = 1", "pod": MOUNTED}),
        ["not-restarted:rel-kiro.rel-kiro"],
    ),
    "two change": (
        drawn(
            now(secret("a", k="eA=="), secret("b", k="eA=="), env=[variable("A", "a", "k"), variable("B", "b", "k")]),
            now(secret("a", k="eQ=="), secret("b", k="eQ=="), env=[variable("A", "a", "k"), variable("B", "b", "k")]),
            versions=("0.8.1", "0.8.1"),
        ),
        ["not-restarted:rel-kiro.a", "not-restarted:rel-kiro.b"],
    ),
    "a checksum replaces the pod": (
        same({"annotations": {"checksum/config": "a"}}, {"annotations": {"checksum/config": "b"}, "keys": NEW}),
        [],
    ),
    "a new image replaces the pod": (drawn(after=(*now(keys=NEW)[:-1], drawn().after.objects[-1].body)), []),
    "a Secret that the pod does not read": (
        drawn(now(secret("x", k="eA==")), now(secret("x", k="eQ==")), versions=("0.8.1", "0.8.1")),
        [],
    ),
    "its label changes": (
        drawn(
            now(),
            tuple(
                {**b, "metadata": {**b["metadata"], "labels": {"x": "y"}}} if b["kind"] == "Secret" else b
                for b in now()
            ),
            versions=("0.8.1", "0.8.1"),
        ),
        [],
    ),
    "a file that nobody mounts": (
        drawn(now(config("", "x")), now(config("x = 1", "x")), versions=("0.8.1", "0.8.1")),
        [],
    ),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_runs_on_with_the_old(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in restarts.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}
