"""Whether a pod that no node takes may get one by itself."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.placement import selects
from openab_sop.agents.unplaceable import adds_nodes

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def event(by: str, reason: str, time: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"source": {"component": by}, "reason": reason, "lastTimestamp": time}


FAILED = event("default-scheduler", "FailedScheduling")
UP = event("cluster-autoscaler", "TriggeredScaleUp", "2026-01-01T00:00:10Z")
NO = event("cluster-autoscaler", "NotTriggerScaleUp", "2026-01-01T00:00:20Z")


@pytest.mark.parametrize(
    ("events", "added"),
    [
        ([], False),
        ([FAILED], False),
        ([FAILED, UP], True),
        ([FAILED, NO], False),
        ([NO, UP], False),  # the last word counts
        ([{"reportingComponent": "karpenter", "reason": "Nominated", "eventTime": "2026-01-01T00:00:00Z"}], True),
    ],
)
def test_an_autoscaler_speaks_up(events: list[dict[str, Any]], added: bool) -> None:
    assert adds_nodes({"spec": {}}, events) is added


def test_a_scheduler_of_its_own_is_no_autoscaler() -> None:
    assert not adds_nodes({"spec": {"schedulerName": "mine"}}, [event("mine", "FailedScheduling")])


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        _REQUIRED: {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
                            ]
                        }
                    }
                }
            },
            False,
        ),
    ],
)
def test_labels_alone(spec: dict[str, Any], fits: bool) -> None:
    """A node that is down, or tainted, may be there again: it counts."""
    node = {"metadata": {"name": "n", "labels": {"zone": "a"}}, "spec": {"unschedulable": True}}
    assert selects(spec, node) is fits
