"""How long agents were out, measured from outside the release (SOP 3.6).

An agent is up while a pod of it is Ready, is not being deleted, and has once logged that it is connected. An outage
lasts from the last look at which it was up to the first at which it, or the run that follows, is up again. Only our own
clock counts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType

from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import ClusterError, Unreachable
from openab_sop.objects import Object, at, parts
from openab_sop.rollouts import logs
from openab_sop.rollouts.logs import LogFacts, Patterns

EVERY = 0.2
"""Seconds between two looks; the resolution of what is measured."""
PATIENCE = 5
"""Seconds that the last look gets to end."""

Chats = Mapping[str, frozenset[str]]
"""By Deployment, the chats that an agent has to be connected to; whatever it says is enough where there are none."""
NO_CHATS: Chats = {}
Run = tuple[str, int]
"""A pod's UID and how often its container was restarted: what tells one run of the agent from the next."""


@dataclass(frozen=True)
class Outage:
    """When an agent was out, in seconds since the watch began.

    Attributes:
        gaps: begin and end of each time that it was out; the last one ends with None if it did not come back.
        ended: when the watch ended.
        looks: how often the API answered; ``missed``: how often it did not.
    """

    agent: str
    gaps: tuple[tuple[float, float | None], ...]
    ended: float
    looks: int
    missed: int

    @property
    def open(self) -> bool:
        """Whether it had not come back when the watch ended."""
        return bool(self.gaps) and self.gaps[-1][1] is None

    @property
    def seconds(self) -> float:
        """How long it was out altogether; at least that if ``open``."""
        return sum((self.ended if end is None else end) - begin for begin, end in self.gaps)

    def __str__(self) -> str:
        return f"{self.agent}: out for {'at least ' if self.open else ''}{self.seconds:.1f} s"


class OutageWatch:
    """Watches agents in a thread of its own while the block runs; ``outages`` tells at any time, also afterwards.

    Attributes:
        ended: when the watch ended, in seconds since it began; None while it lasts.
    """

    def __init__(
        self, cluster: Cluster, agents: Sequence[Agent], patterns: Patterns = logs.DEFAULT, chats: Chats = NO_CHATS
    ) -> None:
        own = cluster.watched()  # what cannot be seen for a moment is a look that was missed
        self._begun = time.monotonic()
        self._tracks = [Track(own, agent, patterns, chats.get(agent.deployment, frozenset())) for agent in agents]
        self._stop = Event()
        self._thread = Thread(target=self._run, name="outage", daemon=True)
        self.ended: float | None = None

    def __enter__(self) -> OutageWatch:
        self._look()  # what is up now is known before the block changes anything
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the watch before its block does; once is enough."""
        if self.ended is None:
            self._stop.set()
            self._thread.join(PATIENCE)
            self.ended = self._now()

    def follow(self, agents: Mapping[str, Agent]) -> None:
        """Watch for the pods of agents as they are called now; by what identified them when the watch began."""
        for track in self._tracks:
            track.agent = agents.get(track.agent.identity, track.agent)

    def outages(self) -> tuple[Outage, ...]:
        """Return what was measured so far, for each agent."""
        ended = self._now() if self.ended is None else self.ended
        return tuple(track.outage(ended) for track in self._tracks)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._look()

    def _look(self) -> None:
        for track in self._tracks:
            begun = self._now()
            try:
                up = track.up()
            except (ClusterError, Unreachable):
                track.missed += 1
            else:
                track.note(up, begun, self._now())


@dataclass
class Track:
    """One agent's ups and downs."""

    cluster: Cluster
    agent: Agent
    patterns: Patterns
    chats: frozenset[str] = frozenset()
    gaps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    last: float = 0.0
    runs: frozenset[Run] | None = None
    down: bool = False
    looks: int = 0
    missed: int = 0
    connected: set[Run] = field(default_factory=set[Run])
    facts: dict[Run, LogFacts] = field(default_factory=dict[Run, LogFacts])

    def up(self) -> frozenset[Run]:
        """Return the runs of the agent that are up now."""
        pods = self.cluster.list("Pod", self.agent.selector)
        return frozenset(run for pod in pods if (run := _ready(pod, self.agent)) and self._is_connected(pod, run))

    def _is_connected(self, pod: Object, run: Run) -> bool:
        if self.runs is None or not self.patterns.connected:  # what is ready at the first look has been so for long
            self.connected.add(run)
        if run not in self.connected:
            name, known = str(at(pod, "metadata", "name")), self.facts.get(run, LogFacts())
            self.facts[run] = logs.follow(self.cluster, name, self.agent.container, known, self.patterns)
            if self.facts[run].is_connected(self.chats):
                self.connected.add(run)
        return run in self.connected

    def note(self, up: frozenset[Run], begun: float, now: float) -> None:
        """Take in a look: what was up at its begin, at the latest, and at its end, at the earliest."""
        self.looks += 1
        if up and self.runs is not None and (self.down or not up & self.runs):
            self.gaps.append((self.last, now))
        self.down = not up
        if up or self.runs is None:
            self.runs, self.last = up, begun

    def outage(self, ended: float) -> Outage:
        """Return what was measured so far."""
        gaps = (*self.gaps, (self.last, None)) if self.down else tuple(self.gaps)
        return Outage(self.agent.deployment, gaps, ended, self.looks, self.missed)


def _ready(pod: Object, agent: Agent) -> Run | None:
    """Return which run of the agent a pod is, if it is Ready and stays."""
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in parts(pod, "status", "conditions"))
    if not ready or at(pod, "metadata", "deletionTimestamp"):
        return None
    for status in parts(pod, "status", "containerStatuses"):
        if status["name"] == agent.container:
            return str(at(pod, "metadata", "uid")), int(status.get("restartCount", 0))
    return None
