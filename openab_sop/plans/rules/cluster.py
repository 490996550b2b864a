"""What the cluster, or the release as it is, has against the upgrade."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import quantity
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts
from openab_sop.plans.plan import Plan
from openab_sop.releases.manifest import hook_of, runs_in_upgrade
from openab_sop.rule import blocks, warns
from openab_sop.targets.capacity import requests
from openab_sop.verdict import Finding

_CLAIM = "PersistentVolumeClaim"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_HARMFUL = re.compile(r"\bdelete\b|(?<![-\w])rm\s|\buninstall\b|--force\b|\bpatch\b")
_SELECTOR = ("spec", "selector")
_NAMES = {"count/pods": "pods", **{name: f"requests.{name}" for name in ("cpu", "memory", "ephemeral-storage")}}
"""Names of a quota that mean the same as others."""


@blocks("does-not-render", "Helm stops before it sends anything, and there is nothing to judge.")
def does_not_render(plan: Plan) -> Iterator[Finding]:
    """The target cannot be rendered with its values."""
    if plan.unrenderable:
        yield Finding(
            str(plan.target.version),
            plan.unrenderable,
            "a chart that takes these values",
            command("pytest", "suites/values", f"--target-version={plan.target.version}")
            + " proposes values that it takes; "
            "or write them (helm show values CHART), chmod 600 FILE; then run again with --values=FILE",
        )


@blocks("helm-refuses", "Helm stops before it sends anything: objects belong to somebody else, or a kind is unknown.")
def helm_refuses(plan: Plan) -> Iterator[Finding]:
    """The target can be rendered, but Helm would not submit it to this cluster."""
    if plan.refused:
        yield Finding(plan.release, plan.refused, "an upgrade that Helm begins", "do what it says, then run again")


@blocks("release-not-deployed", "Helm refuses to upgrade it, or continues from a state that never worked.")
def release_not_deployed(plan: Plan) -> Iterator[Finding]:
    """The current revision is pending or failed."""
    if plan.status != "deployed":
        yield Finding(
            plan.release, f"its current revision is {plan.status}", "deployed", "bring it back: pytest suites/rollback"
        )


@blocks("agent-unwell", "There is no working version to roll back to, and no way to tell what the upgrade breaks.")
def agent_unwell(plan: Plan) -> Iterator[Finding]:
    """An agent does not run well before the upgrade."""
    for name, seen in plan.unwell.items():
        yield Finding(
            name,
            seen,
            "an agent that runs well now",
            f"{command('kubectl', 'describe', 'deployment', name)}; fix it first",
        )


@blocks(
    "rights-missing", "Helm or the rollback stops halfway: agents stay stopped, or a version stays that does not run."
)
def rights_missing(plan: Plan) -> Iterator[Finding]:
    """The caller lacks a right that the upgrade, or a rollback of it, needs."""
    for (kind, name), denied in plan.forbidden.items():
        yield Finding(
            f"{kind}/{name}",
            f"this caller may not: {', '.join(denied)}",
            "the rights for the way there and back",
            "have them granted in the namespace: kubectl auth can-i --list shows what there is",
        )


@blocks("kind-unknown", "Helm stops before it sends anything.")
def kind_unknown(plan: Plan) -> Iterator[Finding]:
    """The cluster does not serve the kind of an object of the target."""
    for refusal in plan.refusals:
        if refusal.reason == "unknown":
            yield Finding(
                f"{refusal.kind}/{refusal.name}", refusal.said, "a kind that it serves", "kubectl api-versions"
            )


@blocks("object-refused", "Helm would stop halfway, with some objects new and some old.")
def object_refused(plan: Plan) -> Iterator[Finding]:
    """The API refuses an object of the target: admission, a policy, an immutable field."""
    for refusal in plan.refusals:
        old, new = (side.get((refusal.kind, refusal.name), {}) for side in (plan.old, plan.new))
        is_found_already = (
            refusal.kind == "Deployment" and old and at(old, *_SELECTOR) != at(new, *_SELECTOR)
        )  # selector-changed
        if refusal.reason == "refused" and refusal.kind not in (_CLAIM, "Pod") and not is_found_already:
            yield Finding(f"{refusal.kind}/{refusal.name}", refusal.said, "an object that the API takes", _VALUES)


@blocks("pod-refused", "The Deployment is accepted and its pod is not: the old pod stops, and no new one starts.")
def pod_refused(plan: Plan) -> Iterator[Finding]:
    """The API refuses a pod of the target: pod security, limit ranges."""
    for refusal in plan.refusals:
        if refusal.reason == "refused" and refusal.kind == "Pod":
            yield Finding(refusal.name, refusal.said, "a pod that the API takes", _VALUES)


@blocks("quota-exceeded", "The old pod stops, and the new pod or its volume is not admitted.")
def quota_exceeded(plan: Plan) -> Iterator[Finding]:
    """The target needs more than a ResourceQuota allows, even without the old pods."""
    for refusal in plan.refusals:
        if refusal.reason == "quota" and refusal.kind != "Pod":
            yield Finding(f"{refusal.kind}/{refusal.name}", refusal.said, "room in the quota", _QUOTA)
    freed = _sum([old for old, new in plan.staying if old.name in plan.running and new.strategy == "Recreate"])
    wanted = _sum([change.after for change in plan.agents if change.after])
    for quota in plan.quotas:
        used = part(quota, "status", "used")
        for name, hard in part(quota, "status", "hard").items():
            key = _NAMES.get(name, name)
            more = wanted.get(key, Decimal(0)) - freed.get(key, Decimal(0))
            if more > 0 and quantity(used.get(name, "0")) + more > quantity(hard):
                yield Finding(
                    f"{quota['metadata']['name']}.{name}",
                    f"{used.get(name, 0)} of {hard} are used, and the target wants {more} more",
                    "room in the quota",
                    _QUOTA,
                )


@blocks("storage-class-missing", "The claim stays Pending, and so does its pod.")
def storage_class_missing(plan: Plan) -> Iterator[Finding]:
    """A claim that the target creates names a missing storage class, or none where there is no default."""
    for (kind, name), body in plan.new.items():
        if kind != _CLAIM or (kind, name) in plan.live or plan.classes is None:
            continue
        wanted = at(body, "spec", "storageClassName")
        defaults = [c for c in plan.classes.values() if part(c, "metadata", "annotations").get(_DEFAULT) == "true"]
        if (wanted and wanted not in plan.classes) or (wanted is None and not defaults):
            seen = (
                f"the cluster has no storage class {wanted}" if wanted else "the cluster has no default storage class"
            )
            next_step = plan.in_values("persistence.storageClass", of=plan.mounting(name))
            yield Finding(name, seen, "a class that makes its volume", next_step)


@blocks("hook-deletes", "It runs in the middle of the upgrade; Helm neither shows nor undoes what it deletes.")
def hook_deletes(plan: Plan) -> Iterator[Finding]:
    """A hook replaces an existing object that no earlier hook made, or runs a command that deletes."""
    for item in plan.hooks.objects:
        subject = f"{item.kind}/{item.name}"
        if not runs_in_upgrade(item.body):
            continue
        there = plan.live.get((item.kind, item.name)) or plan.old.get((item.kind, item.name))
        if there and item.kind not in ("Job", "Pod") and (item.kind == _CLAIM or not hook_of(there)):
            yield Finding(subject, "the target makes it anew by a hook", "an object that stays", _ASK)
        elif command := _harmful(item.body):
            yield Finding(subject, f"it runs {command!r}", "a hook that deletes nothing", _ASK)


@warns("hook-runs", "No manifest shows what it does, and its failure fails the upgrade.")
def hook_runs(plan: Plan) -> Iterator[Finding]:
    """A hook runs something before or after the upgrade."""
    for item in plan.hooks.objects:
        if item.kind in ("Job", "Pod") and runs_in_upgrade(item.body) and not _harmful(item.body):
            yield Finding(f"{item.kind}/{item.name}", "the target runs it around the upgrade", "no hook", _ASK)


RULES = (
    does_not_render,
    helm_refuses,
    release_not_deployed,
    agent_unwell,
    rights_missing,
    kind_unknown,
    object_refused,
    pod_refused,
    quota_exceeded,
    storage_class_missing,
    hook_deletes,
    hook_runs,
)

_VALUES = "bring the values to what the cluster allows, or ask who set the policy"
_QUOTA = "kubectl describe resourcequota; have it raised, or lower resources in the values"
_ASK = "read it in the chart; ask its authors before you accept it"


def _harmful(body: Object) -> str:
    """Return the command of a hook that deletes something; empty if none does, as far as can be seen."""
    spec = part(body, "spec", "template", "spec") or part(body, "spec")
    for container in parts(spec, "initContainers") + parts(spec, "containers"):
        words = " ".join(map(str, [*(container.get("command") or ()), *(container.get("args") or ())]))
        if _HARMFUL.search(words):
            return words[:100]
    return ""


def _sum(workloads: list[Workload]) -> Mapping[str, Decimal]:
    """What the pods of Deployments take of a quota, by the quota's names."""
    total: dict[str, Decimal] = {}
    for workload in workloads:
        for name, amount in _amounts(workload.pod).items():
            total[name] = total.get(name, Decimal(0)) + amount * workload.replicas
    return total


def _amounts(pod: Object) -> dict[str, Decimal]:
    asked = requests(pod)
    amounts = {name if name == "pods" else f"requests.{name}": amount for name, amount in asked.items()}
    for container in parts(pod, "containers"):
        for name, amount in part(container, "resources", "limits").items():
            amounts[f"limits.{name}"] = amounts.get(f"limits.{name}", Decimal(0)) + quantity(amount)
    return amounts
