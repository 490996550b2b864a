"""What a series of looks says about an outage, by made-up clocks."""

from __future__ import annotations

import threading
from argparse import Namespace
from typing import cast

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import Cluster
from openab_sop.rollouts.logs import DEFAULT
from openab_sop.rollouts.outage import Outage, OutageWatch, Run, Track

AGENT = Agent("openab-kiro", "openab", "app=openab", "/home/agent", "openab-kiro", (), (), ())
OLD, NEW, THIRD = ("old", 0), ("new", 0), ("third", 0)
NONE = set[Run]()


def outage(*looks: tuple[float, set[Run]], ended: float = 20.0) -> Outage:
    """Looks that take 0.1 s each, by when they began."""
    track = Track(cast(Cluster, None), AGENT, DEFAULT)
    for begun, up in looks:
        track.note(frozenset(up), begun, begun + 0.1)
    return track.outage(ended)


@pytest.mark.parametrize(
    ("looks", "gaps", "seconds"),
    [
        pytest.param([(0, {OLD}), (1, {OLD})], (), 0, id="nothing happens"),
        pytest.param(
            [(0, {OLD}), (1, {OLD}), (2, NONE), (3, NONE), (4, {NEW}), (5, {NEW})], ((1, 4.1),), 3.1, id="one"
        ),
        pytest.param([(0, {OLD}), (1, {OLD, NEW}), (2, {NEW})], (), 0, id="the new one is up before the old one goes"),
        pytest.param([(0, {OLD}), (5, {NEW})], ((0, 5.1),), 5.1, id="no look between: it may have been all of it"),
        pytest.param([(0, {OLD}), (1, {("old", 1)})], ((0, 1.1),), 1.1, id="restarted in the same pod"),
        pytest.param([(0, {OLD}), (1, NONE), (2, {OLD})], ((0, 2.1),), 2.1, id="not ready for a moment"),
        pytest.param(
            [(0, {OLD}), (1, NONE), (2, {NEW}), (3, {NEW}), (4, NONE), (5, {THIRD})],
            ((0, 2.1), (3, 5.1)),
            4.2,
            id="a beta and then the stable version",
        ),
        pytest.param([(0, {OLD}), (1, {OLD}), (2, NONE)], ((1, None),), 19, id="it does not come back"),
        pytest.param([(0, NONE), (1, NONE), (2, {NEW})], ((0, 2.1),), 2.1, id="it was out before"),
        pytest.param([], (), 0, id="no look at all"),
    ],
)
def test_gaps(
    looks: list[tuple[float, set[Run]]], gaps: tuple[tuple[float, float | None], ...], seconds: float
) -> None:
    measured = outage(*looks)
    assert measured.gaps == gaps
    assert measured.seconds == pytest.approx(seconds)  # pyright: ignore[reportUnknownMemberType]
    assert measured.open == (bool(gaps) and gaps[-1][1] is None)
    assert ("at least" in str(measured)) == measured.open


def test_a_watch_that_ended_early_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured then is not moved by the end of its block."""
    monkeypatch.setattr("openab_sop.rollouts.outage.Cluster", dict)
    with OutageWatch(cast(Cluster, Namespace(watched=lambda: None)), []) as watch:
        watch.stop()
        ended = watch.ended
        assert ended is not None
        assert "outage" not in {thread.name for thread in threading.enumerate()}
    assert watch.ended == ended
