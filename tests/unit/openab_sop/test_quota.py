"""Whether a quota has room for our pods once the agents' own have stopped."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from openab_sop.agents.quota import QuotaRefusal, by_quality, counts, usage

_SAID = 'pods "a" is forbidden: exceeded quota: small, requested: {0}, used: {1}, limited: {2}'


def pod(deadline: int | None = None, qos: str = "Burstable", priority: str = "", **requests: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"resources": {"requests": requests}}], "priorityClassName": priority}
    spec |= {"activeDeadlineSeconds": deadline} if deadline else {}
    return {"spec": spec, "status": {"phase": "Running", "qosClass": qos}}


def refusal(requested: str, used: str, limited: str) -> QuotaRefusal:
    found = QuotaRefusal.parse(_SAID.format(requested, used, limited))
    assert found
    return found


@pytest.mark.parametrize(
    ("used", "limited", "helpers", "stopping", "fits"),
    [
        (1, 1, 1, 1, True),
        (1, 1, 2, 1, False),  # two helpers in the place of one pod
        (2, 2, 2, 2, True),
        (2, 2, 1, 0, False),  # nothing stops: the agent stands still already
        (3, 3, 2, 1, False),
        (3, 4, 2, 1, True),
    ],
)
def test_pods(used: int, limited: int, helpers: int, stopping: int, fits: bool) -> None:
    said = refusal("pods=1", f"pods={used}", f"pods={limited}")
    found = said.lacking([said.requested] * helpers, [pod()] * stopping, None)
    assert (found == "") is fits
    assert fits or f"quota small allows {limited} pods" in found
    assert fits or f"{helpers} helper pods" in found


def test_amounts() -> None:
    said = refusal(
        "requests.cpu=100m,requests.memory=64Mi",
        "requests.cpu=1,requests.memory=64Mi",
        "requests.cpu=1,requests.memory=64Mi",
    )
    assert said.lacking([said.requested], [pod(cpu="100m", memory="64Mi")], None) == ""
    assert "requests.memory" in said.lacking([said.requested], [pod(cpu="1", memory="32Mi")], None)
    ended = {**pod(cpu="100m", memory="64Mi"), "status": {"phase": "Succeeded"}}
    assert "requests.cpu" in said.lacking([said.requested], [ended], None)


def test_a_pod_that_a_quota_does_not_count_gives_nothing_back() -> None:
    said = refusal("pods=1", "pods=1", "pods=1")
    assert said.lacking([said.requested], [pod()], {"spec": {"scopes": ["Terminating"]}})
    assert not said.lacking([said.requested], [pod()], {"spec": {"scopes": ["NotTerminating"]}})


@pytest.mark.parametrize(
    ("scopes", "one", "counted"),
    [
        ([], pod(), True),
        (["Terminating"], pod(deadline=9), True),
        (["NotTerminating"], pod(deadline=9), False),
        (["BestEffort"], pod(qos="BestEffort"), True),
        (["NotBestEffort"], pod(qos="BestEffort"), False),
        (["NotTerminating", "BestEffort"], pod(), False),
    ],
)
def test_scopes(scopes: Sequence[str], one: dict[str, Any], counted: bool) -> None:
    assert counts({"spec": {"scopes": scopes}}, one) is counted


@pytest.mark.parametrize(
    ("operator", "values", "counted"),
    [("In", ["high"], True), ("NotIn", ["high"], False), ("Exists", [], True), ("DoesNotExist", [], False)],
)
def test_a_scope_of_priorities(operator: str, values: list[str], counted: bool) -> None:
    one = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    assert counts({"spec": {"scopeSelector": {"matchExpressions": [one]}}}, pod(priority="high")) is counted


def test_what_a_pod_takes() -> None:
    """Containers together, or an init container that takes more."""
    spec = {
        "initContainers": [{"resources": {"requests": {"cpu": "2"}}}],
        "containers": [{"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}}] * 2,
    }
    taken = usage({"spec": spec})
    assert (taken["pods"], taken["count/pods"]) == (1, 1)
    assert (taken["requests.cpu"], taken["cpu"], taken["limits.memory"]) == (Decimal(2), Decimal(2), Decimal(2 << 30))


def test_another_refusal() -> None:
    assert QuotaRefusal.parse("0/1 nodes are available: 1 Insufficient cpu.") is None
    assert QuotaRefusal.parse("failed quota: small: must specify requests.cpu for: openab") is None


def test_a_quota_that_nobody_was_refused_by() -> None:
    """The API names only the first that refuses."""
    late = {
        "metadata": {"name": "late"},
        "spec": {"scopes": ["Terminating"]},
        "status": {"hard": {"pods": "1", "requests.cpu": "1"}, "used": {"pods": "0", "requests.cpu": "0"}},
    }
    helper = usage(pod(deadline=9, cpu="100m"))
    assert QuotaRefusal.read(late).lacking([helper], [pod()], late) == ""
    assert "quota late allows 1 pods" in QuotaRefusal.read(late).lacking([helper, helper], [pod()], late)
    assert not by_quality(late)
    assert by_quality({"spec": {"scopes": ["NotBestEffort"]}})
