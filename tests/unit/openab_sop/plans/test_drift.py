"""Edits by hand: what the record would take back, and the bookkeeping that is none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from openab_sop.objects import Object
from openab_sop.plans.plan import Plan, Refusal
from openab_sop.plans.rules import drift
from openab_sop.verdict import Finding
from tests.unit.openab_sop.plans.drawn import (
    AGENT,
    DEPLOYMENT,
    HOME,
    claim,
    config,
    deployment,
    drawn,
    now,
    secret,
    then,
    told,
)


def edited(live: Object, recorded: Object) -> Plan:
    """An object is live as it is, and would be as recorded if Helm applied it again."""
    return drawn(live=[live], restored=[recorded])


def with_(body: Object, path: str, value: Any) -> Object:
    """An object with something else at a path."""
    changed = deepcopy(body)
    *above, last = path.split(".")
    inner = changed
    for key in above:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return changed


RECORDED = deployment()
TWICE = [(HOME, "home"), ("/data", "data")]
HASH = "spec.template.metadata.annotations"
ANNOTATED = with_(RECORDED, HASH, {"checksum/config": "a"})

CASES: dict[str, tuple[Plan, list[str]]] = {
    "nothing was edited": (edited(RECORDED, RECORDED), []),
    # owned-elsewhere
    "scaled by another": (
        drawn(owned=(Finding("rel-kiro", "it is kept as it should be by keda", "nobody else", "pause it"),)),
        ["owned-elsewhere:rel-kiro"],
    ),
    # not-from-chart
    "a sidecar of nobody's chart": (
        drawn(added={DEPLOYMENT: ("spec.template.spec.containers[sidecar]",)}),
        ["not-from-chart:Deployment/rel-kiro"],
    ),
    # edit-overwritten
    "another image": (edited(deployment(image="x:1"), RECORDED), ["edit-overwritten:Deployment/rel-kiro"]),
    "one more variable": (
        edited(deployment(env=[{"name": "A", "value": "b"}]), RECORDED),
        ["edit-overwritten:Deployment/rel-kiro"],
    ),
    "scaled to nothing": (edited(deployment(replicas=0), RECORDED), ["edit-overwritten:Deployment/rel-kiro"]),
    "the configuration": (edited(config("x = 1"), config()), ["edit-overwritten:ConfigMap/rel-kiro"]),
    "a rotated token": (edited(secret(token="bmV3"), secret()), ["edit-overwritten:Secret/rel-kiro"]),
    "the first of two mounts of one volume": (
        edited(deployment(mounts=[(HOME, "other"), TWICE[1]]), deployment(mounts=TWICE)),
        ["edit-overwritten:Deployment/rel-kiro"],
    ),
    # edit-lost
    "resources": (
        edited(deployment(more={"resources": {"limits": {"cpu": "2"}}}), RECORDED),
        ["edit-lost:Deployment/rel-kiro"],
    ),
    "a label": (edited(with_(RECORDED, "metadata.labels", {"x": "y"}), RECORDED), ["edit-lost:Deployment/rel-kiro"]),
    "the size of a claim": (
        edited(claim(size="5Gi"), claim()),
        ["edit-lost:PersistentVolumeClaim/rel-kiro"],
    ),
    "both": (
        edited(deployment(image="x:1", more={"resources": {"limits": {"cpu": "2"}}}), RECORDED),
        ["edit-overwritten:Deployment/rel-kiro", "edit-lost:Deployment/rel-kiro"],
    ),
    # no edits
    "a restart by kubectl": (
        edited(with_(ANNOTATED, HASH, {"checksum/config": "a", "kubectl.kubernetes.io/restartedAt": "x"}), ANNOTATED),
        [],
    ),
    "the controller's revision": (
        edited(
            with_(RECORDED, "metadata.annotations", {"deployment.kubernetes.io/revision": "4", "a": "b"}),
            with_(RECORDED, "metadata.annotations", {"a": "b"}),
        ),
        [],
    ),
    "what the API keeps of it": (
        edited(
            with_(with_(with_(RECORDED, "metadata.generation", 3), "metadata.managedFields", [{}]), "status", {"x": 1}),
            with_(RECORDED, "metadata.generation", 2),
        ),
        [],
    ),
    "variables in another order": (
        edited(
            deployment(env=[{"name": "A", "value": "a"}, {"name": "B", "value": "b"}]),
            deployment(env=[{"name": "B", "value": "b"}, {"name": "A", "value": "a"}]),
        ),
        [],
    ),
    "what the target drops": (
        drawn(now(config("", "x")), live=[config("y = 1", "x")], restored=[config("", "x")]),
        [],
    ),
    "what is not there": (
        drawn(gone=[("ConfigMap", AGENT)], restored=[config()]),
        ["object-gone:ConfigMap/rel-kiro"],
    ),
    # edit-in-the-way
    "others own a field": (
        drawn(refusals=(Refusal(*DEPLOYMENT, "edited", 'conflict with "kubectl-edit"'),)),
        ["edit-in-the-way:Deployment/rel-kiro"],
    ),
    # object-gone
    "an object that the target drops too": (drawn(now(config("", "x")), gone=[("ConfigMap", "x")]), []),
    "an object that comes": (drawn(after=then(config("", "x"))), []),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_somebody_edited(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in drift.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_an_edit_is_named_by_its_place_and_never_by_its_value() -> None:
    (found,) = drift.edit_overwritten.judge(edited(secret(token="bmV3LXRva2Vu"), secret(token="b2xkLXRva2Vu")))
    assert found.observed == "edited by hand since the revision: data.token"
    assert "LXRva2Vu" not in str(found)
    (found,) = drift.edit_overwritten.judge(edited(deployment(image="x:1"), RECORDED))
    assert found.observed.endswith("spec.template.spec.containers.openab.image")


def test_of_many_edits_few_are_named() -> None:
    many: dict[str, Any] = {f"k{number}": "x" for number in range(9)}
    others: dict[str, Any] = dict.fromkeys(many, "y")
    (found,) = drift.edit_overwritten.judge(edited(secret(**many), secret(**others)))
    assert found.observed.endswith("data.k4 and 4 more")
