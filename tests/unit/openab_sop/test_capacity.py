"""Room on the nodes: what a pod requests, which nodes may take it, what is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openab_sop.agents.placement import Need, missing, refusal, subtract
from openab_sop.cluster.kube import quantity
from openab_sop.errors import ClusterError
from openab_sop.targets.capacity import requests


def container(cpu: str = "", *, limit: str = "", **more: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"cpu": limit} if limit else {}}
    return {"resources": resources, **more}


ALWAYS = {"restartPolicy": "Always"}

REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "containers together": ({"containers": [container("250m"), container("1")]}, "1.25"),
    "a limit alone": ({"containers": [container(limit="2")]}, "2"),
    "a request below its limit": ({"containers": [container("1", limit="2")]}, "1"),
    "the largest init container": (
        {"initContainers": [container("3"), container("2")], "containers": [container("1")]},
        "3",
    ),
    "a sidecar beside the containers": (
        {"initContainers": [container("3", **ALWAYS), container("1")], "containers": [container("2")]},
        "5",
    ),
    "a sidecar beside an init container": (
        {"initContainers": [container("3", **ALWAYS), container("4")], "containers": [container("2")]},
        "7",
    ),
    "a sidecar that comes later": (
        {"initContainers": [container("4"), container("3", **ALWAYS)], "containers": [container("2")]},
        "5",
    ),
    "the overhead": ({"containers": [container("1")], "overhead": {"cpu": "500m"}}, "1.5"),
    "the pod's own": ({"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}}, "4"),
}


@pytest.mark.parametrize(("spec", "cpu"), REQUESTS.values(), ids=REQUESTS)
def test_what_a_pod_requests(spec: dict[str, Any], cpu: str) -> None:
    assert requests(spec) == {"cpu": Decimal(cpu), "pods": 1}


def test_a_pod_that_requests_nothing_takes_one_place() -> None:
    assert requests({"containers": [{}]}) == {"pods": 1}


@pytest.mark.parametrize(
    ("text", "amount"), [("250m", "0.25"), ("1Gi", "1073741824"), ("2", "2"), (3, "3"), ("1e3", "1000")]
)
def test_amounts(text: object, amount: str) -> None:
    assert quantity(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    ["much", "1e999", "1e99999999", "-1e99", "NaN", "inf", "", "1" * 5000, "1_0", "\uff11", None, {}, [], True, 1e300],
)
def test_what_is_no_amount_is_told(text: object) -> None:
    """Issue 14: `1e99999999` took all memory, NaN ended a comparison."""
    with pytest.raises(ClusterError, match="is no amount"):
        quantity(text)


def test_what_is_missing() -> None:
    wanted = {"cpu": Decimal(2), "memory": Decimal(5), "pods": Decimal(1)}
    assert missing(wanted, {"cpu": Decimal(2), "memory": Decimal(5), "pods": Decimal(1)}) == {}
    assert missing(wanted, {"cpu": Decimal("1.5"), "memory": Decimal(9)}) == {"cpu": Decimal("0.5"), "pods": Decimal(1)}
    assert subtract({"cpu": Decimal(2)}, [{"cpu": Decimal(1)}, {"gpu": Decimal(1)}]) == {"cpu": 1, "gpu": -1}


def node(*, ready: str = "True", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "one", "labels": {"zone": "a", "size": "10", **(labels or {})}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def terms(*expressions: tuple[str, str, list[str]], kind: str = "matchExpressions") -> list[dict[str, Any]]:
    return [{kind: [{"key": key, "operator": operator, "values": values} for key, operator, values in expressions]}]


def affinity(selector: list[dict[str, Any]]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": selector}}
    return {"affinity": {"nodeAffinity": required}}


TAINT = {"key": "dedicated", "value": "chat", "effect": "NoSchedule"}


def tolerates(**toleration: str) -> dict[str, Any]:
    return {"tolerations": [toleration]}


ALLOWED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no rule at all": ({}, node()),
    "its selector": ({"nodeSelector": {"zone": "a"}}, node()),
    "In": (affinity(terms(("zone", "In", ["b", "a"]))), node()),
    "NotIn": (affinity(terms(("zone", "NotIn", ["b"]), ("other", "NotIn", ["x"]))), node()),
    "Exists": (affinity(terms(("zone", "Exists", []))), node()),
    "DoesNotExist": (affinity(terms(("other", "DoesNotExist", []))), node()),
    "Gt": (affinity(terms(("size", "Gt", ["9"]))), node()),
    "Lt": (affinity(terms(("size", "Lt", ["11"]))), node()),
    "its name": (affinity(terms(("metadata.name", "In", ["one"]), kind="matchFields")), node()),
    "one of two terms": (affinity(terms(("zone", "In", ["b"])) + terms(("zone", "In", ["a"]))), node()),
    "a taint that only prefers": ({}, node(taints=[{**TAINT, "effect": "PreferNoSchedule"}])),
    "tolerated": (tolerates(key="dedicated", value="chat", effect="NoSchedule"), node(taints=[TAINT])),
    "tolerated by key": (tolerates(key="dedicated", operator="Exists"), node(taints=[TAINT])),
    "tolerates everything": (tolerates(operator="Exists"), node(taints=[TAINT], unschedulable=True)),
}

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "its selector": ({"nodeSelector": {"zone": "b"}}, node(), "nodeSelector"),
    "In": (affinity(terms(("zone", "In", ["b"]))), node(), "affinity"),
    "NotIn": (affinity(terms(("zone", "NotIn", ["a"]))), node(), "affinity"),
    "Exists": (affinity(terms(("other", "Exists", []))), node(), "affinity"),
    "DoesNotExist": (affinity(terms(("zone", "DoesNotExist", []))), node(), "affinity"),
    "Gt": (affinity(terms(("size", "Gt", ["10"]))), node(), "affinity"),
    "Lt": (affinity(terms(("size", "Lt", ["10"]))), node(), "affinity"),
    "Gt of no number": (affinity(terms(("zone", "Gt", ["1"]))), node(), "affinity"),
    "an unknown operator": (affinity(terms(("zone", "Like", ["a"]))), node(), "affinity"),
    "both of one term": (affinity(terms(("zone", "In", ["a"]), ("size", "In", ["1"]))), node(), "affinity"),
    "an empty term": (affinity([{}]), node(), "affinity"),
    "a taint": ({}, node(taints=[TAINT]), "taint dedicated"),
    "another value": (tolerates(key="dedicated", value="x"), node(taints=[TAINT]), "taint dedicated"),
    "another effect": (tolerates(operator="Exists", effect="NoExecute"), node(taints=[TAINT]), "taint dedicated"),
    "another key": (tolerates(key="x", operator="Exists"), node(taints=[TAINT]), "taint dedicated"),
    "cordoned": ({}, node(unschedulable=True), "unschedulable"),
    "not ready": ({}, node(ready="Unknown"), "not Ready"),
}


@pytest.mark.parametrize(("spec", "there"), ALLOWED.values(), ids=ALLOWED)
def test_a_node_may_take_a_pod(spec: dict[str, Any], there: dict[str, Any]) -> None:
    assert refusal(Need("kiro", spec, {}), there) == ""


@pytest.mark.parametrize(("spec", "there", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_node_may_not_take_a_pod(spec: dict[str, Any], there: dict[str, Any], reason: str) -> None:
    assert reason in refusal(Need("kiro", spec, {}), there)


def test_a_volume_says_where_it_is() -> None:
    here, elsewhere = terms(("zone", "In", ["a"])), terms(("zone", "In", ["b"]))
    assert refusal(Need("kiro", {}, {}, (here,)), node()) == ""
    assert refusal(Need("kiro", {}, {}, (here, elsewhere)), node()) == "its volume is elsewhere"
