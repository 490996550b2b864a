"""Whether a refused helper pod is room that the agent itself takes, or a quota that has become too small."""

from __future__ import annotations

import pytest

from openab_sop.agents.helper_pod import is_overdrawn

_SAID = 'pods "a" is forbidden: exceeded quota: tight, requested: {0}, used: {1}, limited: {2}'


@pytest.mark.parametrize(
    ("used", "limited", "overdrawn"),
    [
        ("pods=2", "pods=1", True),
        ("pods=2", "pods=2", False),
        ("pods=1,requests.memory=2Gi", "pods=2,requests.memory=1500Mi", True),
        ("pods=2,requests.cpu=500m", "pods=2,requests.cpu=1", False),
    ],
)
def test_a_quota_below_what_runs(used: str, limited: str, overdrawn: bool) -> None:
    """4.3 A quota that is full when the agents run is room after they stop; one that is overdrawn is not."""
    assert is_overdrawn(_SAID.format(used, used, limited)) is overdrawn


def test_a_node_that_is_full() -> None:
    """4.3 Of the scheduler's words nothing of the kind follows."""
    assert not is_overdrawn("0/1 nodes are available: 1 Insufficient cpu.")
