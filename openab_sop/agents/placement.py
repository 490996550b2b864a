"""Which nodes may take a pod, and whether it fits there: the scheduler's rules that can be known before (SOP 1.7).

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and taint-and-toleration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from openab_sop.objects import Object, at, part, parts

Amounts = Mapping[str, Decimal]
"""By resource ("cpu" in cores, "memory" in bytes, "pods"): how much of it."""


@dataclass(frozen=True)
class Need:
    """A pod that has to run somewhere.

    Attributes:
        who: the Deployment that it belongs to.
        spec: the pod's spec.
        amounts: what it requests.
        volumes: the node affinity of each volume that it mounts (a list of node selector terms).
        preferred: the node that it runs on now; empty if it runs nowhere.
    """

    who: str
    spec: Object
    amounts: Amounts
    volumes: tuple[Sequence[Object], ...] = ()
    preferred: str = ""


def refusal(need: Need, node: Object) -> str:
    """Return why a node may not take a pod, however much room it has; empty if it may."""
    if not all(matches(terms, node) for terms in need.volumes):
        return "its volume is elsewhere"
    if not _has_labels(need.spec, node):
        return "its nodeSelector excludes it"
    if not _is_near(need.spec, node):
        return "its affinity excludes it"
    if not any(c.get("type") == "Ready" and c.get("status") == "True" for c in parts(node, "status", "conditions")):
        return "not Ready"
    taints = [taint for taint in _taints(node) if not _tolerated(taint, parts(need.spec, "tolerations"))]
    return f"taint {taints[0].get('key')}" if taints else ""


def selects(spec: Object, node: Object) -> bool:
    """Tell whether a pod's node selector and required node affinity fit a node, whatever else there is against it."""
    return _has_labels(spec, node) and _is_near(spec, node)


def _has_labels(spec: Object, node: Object) -> bool:
    labels = part(node, "metadata", "labels")
    return all(labels.get(key) == value for key, value in part(spec, "nodeSelector").items())


def _is_near(spec: Object, node: Object) -> bool:
    affinity = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return not affinity or matches(parts(affinity, "nodeSelectorTerms"), node)


def missing(amounts: Amounts, free: Amounts) -> dict[str, Decimal]:
    """Return what of each resource is too little."""
    return {name: wanted - free.get(name, Decimal(0)) for name, wanted in amounts.items() if wanted > free.get(name, 0)}


def subtract(one: Amounts, others: Iterable[Amounts]) -> dict[str, Decimal]:
    """Return what is left of ``one``."""
    left = dict(one)
    for other in others:
        for name, amount in other.items():
            left[name] = left.get(name, Decimal(0)) - amount
    return left


def matches(terms: Sequence[Object], node: Object) -> bool:
    """Tell whether a node fits one of several node selector terms."""
    labels = part(node, "metadata", "labels")
    fields = {"metadata.name": at(node, "metadata", "name")}
    return any(
        bool(parts(term, "matchExpressions") or parts(term, "matchFields"))
        and all(_holds(expression, labels) for expression in parts(term, "matchExpressions"))
        and all(_holds(expression, fields) for expression in parts(term, "matchFields"))
        for term in terms
    )


def _holds(expression: Object, labels: Object) -> bool:
    label, values = labels.get(str(expression.get("key"))), [str(value) for value in parts(expression, "values")]
    match expression.get("operator"):
        case "In":
            return label in values
        case "NotIn":
            return label not in values
        case "Exists":
            return label is not None
        case "DoesNotExist":
            return label is None
        case "Gt" | "Lt" as operator:
            numbers = [int(text) for text in (str(label), *values) if text.isdecimal()]
            return len(numbers) == 2 and (numbers[0] > numbers[1] if operator == "Gt" else numbers[0] < numbers[1])
        case _:
            return False


def _taints(node: Object) -> list[Object]:
    """The taints that keep new pods away; a cordoned node has one that it may not list yet."""
    taints = [taint for taint in parts(node, "spec", "taints") if taint.get("effect") in ("NoSchedule", "NoExecute")]
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return [*taints, cordoned] if at(node, "spec", "unschedulable") else taints


def _tolerated(taint: Object, tolerations: list[Object]) -> bool:
    return any(
        toleration.get("effect") in (None, "", taint["effect"])
        and toleration.get("key") in ((None, "", taint["key"]) if _exists(toleration) else (taint["key"],))
        and (_exists(toleration) or (toleration.get("value") or "") == (taint.get("value") or ""))
        for toleration in tolerations
    )


def _exists(toleration: Object) -> bool:
    return toleration.get("operator") == "Exists"
