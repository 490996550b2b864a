"""What cluster and release have against an upgrade; and what looks so and is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.objects import Object
from openab_sop.plans.plan import Plan, Refusal
from openab_sop.plans.rules import cluster
from tests.unit.openab_sop.plans.drawn import (
    AGENT,
    CLAIM,
    DEPLOYMENT,
    claim,
    deployment,
    drawn,
    hook,
    now,
    secret,
    then,
    thing,
    told,
)

FAST = {"fast": thing("StorageClass", "fast")}
DEFAULT = {"x": thing("StorageClass", "x", annotations={"storageclass.kubernetes.io/is-default-class": "true"})}
RUNS = frozenset({AGENT})
HOOKED = {"helm.sh/hook": "pre-upgrade"}
ACCOUNT = thing("ServiceAccount", "x", annotations=HOOKED)


def refused(reason: str, kind: str = "Deployment", said: str = "denied by policy") -> Plan:
    """The API refuses one object of the target."""
    return drawn(refusals=(Refusal(kind, AGENT, reason, said),))


def hooked(*hooks: Object, **facts: Any) -> Plan:
    """The target has hooks."""
    return drawn(hooks=hooks, **facts)


def limited(hard: dict[str, str], used: dict[str, str], was: str, would: str, **facts: Any) -> Plan:
    """A quota, and an agent that asks for CPU."""
    old, new = ({"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}} for cpu in (was, would))
    quota = thing("ResourceQuota", "quota", status={"hard": hard, "used": used})
    tweaks: dict[str, Any] = facts.pop("tweaks", {})
    given: dict[str, Any] = {"running": RUNS, **facts}
    return drawn(now(more=old, **tweaks), then(more=new, **tweaks), quotas=(quota,), **given)


def makes(body: Object, classes: dict[str, Object] | None) -> Plan:
    """The target brings one more claim."""
    return drawn(after=then(body), classes=classes)


CASES: dict[str, tuple[Plan, list[str]]] = {
    "it cannot be rendered": (drawn(after=then(), unrenderable="nil pointer"), ["does-not-render:0.8.2"]),
    "Helm would not begin": (drawn(refused="invalid ownership metadata"), ["helm-refuses:rel"]),
    "pending": (drawn(status="pending-upgrade"), ["release-not-deployed:rel"]),
    "failed": (drawn(status="failed"), ["release-not-deployed:rel"]),
    "an agent crashes": (drawn(unwell={AGENT: "CrashLoopBackOff"}), ["agent-unwell:rel-kiro"]),
    # rights-missing
    "a right of the way back": (
        drawn(forbidden={("Service", "web"): ("delete services web",)}),
        ["rights-missing:Service/web"],
    ),
    # kind-unknown, object-refused, pod-refused
    "a kind that is not served": (refused("unknown", "Gateway"), ["kind-unknown:Gateway/rel-kiro"]),
    "a policy": (refused("refused"), ["object-refused:Deployment/rel-kiro"]),
    "a policy that speaks of selectors": (
        refused("refused", said="label selector required"),
        ["object-refused:Deployment/rel-kiro"],
    ),
    "a live selector that the record does not know": (
        refused("refused", said="spec.selector: field is immutable"),
        ["object-refused:Deployment/rel-kiro"],
    ),
    "a Service": (refused("refused", "Service"), ["object-refused:Service/rel-kiro"]),
    "pod security": (refused("refused", "Pod"), ["pod-refused:rel-kiro"]),
    # quota-exceeded
    "a quota of claims": (refused("quota", CLAIM[0]), [f"quota-exceeded:{'/'.join(CLAIM)}"]),
    "a quota of objects": (refused("quota", "Secret"), ["quota-exceeded:Secret/rel-kiro"]),
    "a quota of pods while the old one runs": (refused("quota", "Pod"), []),
    "more CPU than there is": (limited({"cpu": "2"}, {"cpu": "1"}, "1", "3"), ["quota-exceeded:quota.cpu"]),
    "requests and limits": (
        limited({"requests.cpu": "2", "limits.cpu": "2"}, {"requests.cpu": "1", "limits.cpu": "1"}, "1", "3"),
        ["quota-exceeded:quota.requests.cpu", "quota-exceeded:quota.limits.cpu"],
    ),
    "the whole of it, freed by the pod that stops": (limited({"cpu": "2"}, {"cpu": "2"}, "2", "2"), []),
    "its pod, freed too": (limited({"pods": "1"}, {"pods": "1"}, "1", "1"), []),
    "as much as there is": (limited({"cpu": "3"}, {"cpu": "1"}, "1", "3"), []),
    "less, in a quota that is exceeded already": (limited({"cpu": "1"}, {"cpu": "2"}, "2", "1"), []),
    "a quota of something else": (limited({"services": "0"}, {"services": "0"}, "1", "3"), []),
    "nothing is freed by an agent that does not run": (
        limited({"pods": "1"}, {"pods": "1"}, "1", "1", running=frozenset()),
        ["quota-exceeded:quota.pods"],
    ),
    "nothing is freed before the new pod is there": (
        limited({"count/pods": "1"}, {"count/pods": "1"}, "1", "1", tweaks={"strategy": "RollingUpdate"}),
        ["quota-exceeded:quota.count/pods"],
    ),
    "an agent without a pod wants nothing": (
        limited({"pods": "0"}, {"pods": "0"}, "1", "1", running=frozenset(), tweaks={"replicas": 0}),
        [],
    ),
    # storage-class-missing
    "no such class": (makes(claim("x"), DEFAULT), ["storage-class-missing:x"]),
    "no default class": (makes(claim("x", storage=None), FAST), ["storage-class-missing:x"]),
    "its class": (makes(claim("x"), FAST), []),
    "the default class": (makes(claim("x", storage=None), DEFAULT), []),
    "no class on purpose": (makes(claim("x", storage=""), FAST), []),
    "classes that may not be seen": (makes(claim("x"), None), []),
    "a claim that is there": (drawn(classes={}), []),
    # hook-deletes, hook-runs
    "a hook that deletes": (
        hooked(hook("pre-upgrade", "kubectl delete pvc --all")),
        ["hook-deletes:Job/migrate"],
    ),
    "a hook that removes files": (hooked(hook("post-upgrade", "rm /data/x")), ["hook-deletes:Job/migrate"]),
    "a hook that overwrites": (hooked(hook("pre-upgrade", "kubectl apply --force")), ["hook-deletes:Job/migrate"]),
    "a pod that deletes": (hooked(hook("pre-upgrade", "rm -rf x", "Pod")), ["hook-deletes:Pod/migrate"]),
    "one of several times": (
        hooked(hook("pre-install, pre-upgrade", "helm uninstall x")),
        ["hook-deletes:Job/migrate"],
    ),
    "a hook that runs": (hooked(hook("pre-upgrade", "alarm confirm")), ["hook-runs:Job/migrate"]),
    "a hook that cleans up behind itself": (
        hooked(hook("pre-upgrade", "kubectl run --rm x")),
        ["hook-runs:Job/migrate"],
    ),
    "hooks for install, test and delete only": (
        hooked(
            *(
                hook(when, "rm -rf /", name=when)
                for when in ("pre-install", "post-install", "test", "pre-delete", "post-rollback")
            )
        ),
        [],
    ),
    "a Secret becomes a hook": (
        hooked(thing("Secret", annotations=HOOKED)),
        ["hook-deletes:Secret/rel-kiro"],
    ),
    "a claim that was a hook is one again": (
        hooked(thing(CLAIM[0], "x", annotations=HOOKED), live=[thing(CLAIM[0], "x", annotations=HOOKED)]),
        [f"hook-deletes:{CLAIM[0]}/x"],
    ),
    "an account that an earlier hook left": (
        hooked(ACCOUNT, live=[ACCOUNT]),
        [],
    ),
    "a new account for a hook": (hooked(ACCOUNT), []),
    "a Secret for a test": (hooked(thing("Secret", annotations={"helm.sh/hook": "test"})), []),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_the_cluster_has_against_it(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in cluster.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_a_companion_that_is_refused_is_told_too() -> None:
    gateway = deployment("gateway", container="gateway", mounts=())
    plan = drawn(now(gateway), then(gateway), refusals=(Refusal(DEPLOYMENT[0], "gateway", "refused", "no"),))
    assert told(plan) == ["object-refused:Deployment/gateway"]


def test_one_default_class_is_enough() -> None:
    assert told(makes(claim("x", storage=None), FAST | DEFAULT)) == []
    assert told(drawn(after=then(secret("x")), classes={})) == []
