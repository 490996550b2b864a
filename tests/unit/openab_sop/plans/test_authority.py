"""A target that could do more than the release does; and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.objects import Object
from openab_sop.plans.plan import Plan
from openab_sop.plans.rules import authority
from openab_sop.releases.manifest import ManifestObject, ReleaseManifest
from tests.unit.openab_sop.plans.drawn import deployment, drawn, hook, now, then, thing, told

ROLE = thing("Role", "reader", rules=[{"resources": ["secrets"], "verbs": ["get"]}])
THERE = thing("ConfigMap", "x")
THERE["metadata"]["namespace"] = "kube-system"
HOST: dict[str, Any] = {"pod": {"hostPID": True}}
HOOKED = thing("Role", "reader", annotations={"helm.sh/hook": "pre-upgrade"}, rules=ROLE["rules"])
FREE = thing("Widget", "x")


def hooks_before(*hooks: Object) -> ReleaseManifest:
    return ReleaseManifest(tuple(ManifestObject(body["kind"], body["metadata"]["name"], body) for body in hooks))


CASES: dict[str, tuple[Plan, list[str]]] = {
    "an object in another namespace": (drawn(after=then(THERE)), ["beyond-namespace:ConfigMap/x@kube-system"]),
    "one that was there": (drawn(now(THERE), then(THERE)), []),
    "one of the same name in its own": (
        drawn(after=then(thing("ConfigMap", "x"), THERE)),
        ["beyond-namespace:ConfigMap/x@kube-system"],
    ),
    "one of the same name in its own, after it": (
        drawn(after=then(THERE, thing("ConfigMap", "x"))),
        ["beyond-namespace:ConfigMap/x@kube-system"],
    ),
    "what no namespace holds": (
        drawn(after=then(FREE), wide=frozenset({("v1", "Widget")})),
        ["beyond-namespace:Widget/x"],
    ),
    "a Role": (drawn(after=then(ROLE)), ["grants-rights:Role/reader"]),
    "the same Role": (drawn(now(ROLE), then(ROLE)), []),
    "a Role that goes": (drawn(now(ROLE), then()), []),
    "a hook's Role": (drawn(hooks=(HOOKED,)), ["grants-rights:Role/reader"]),
    "a hook's Role that was there": (drawn(hooks=(HOOKED,), hooks_before=hooks_before(HOOKED)), []),
    "a hook that runs on the node": (
        drawn(hooks=({**hook("post-upgrade", "true"), "spec": {"template": {"spec": {"hostPID": True}}}},)),
        ["hook-runs:Job/migrate", "host-access:Job/migrate.hostPID"],
    ),
    "an agent on the node": (drawn(after=then(**HOST)), ["host-access:Deployment/rel-kiro.hostPID"]),
    "one that was there already": (drawn(now(**HOST), then(**HOST)), []),
    "one that leaves it": (drawn(now(**HOST), then()), []),
    "another that comes there": (
        drawn(
            now(deployment("gw", container="gw", mounts=()), **HOST),
            then(deployment("gw", container="gw", mounts=(), **HOST), **HOST),
        ),
        ["host-access:Deployment/gw.hostPID"],
    ),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_the_target_could_do(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in authority.RULES} <= {i.partition(":")[0] for _, ids in CASES.values() for i in ids}
