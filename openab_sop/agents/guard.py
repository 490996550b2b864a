"""Agents that were stopped stand still, and somebody watches that they do: two writers on a volume are one too many."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Thread

from openab_sop.agents import scaling
from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import SopError

EVERY = 0.4
"""Seconds between two looks."""


class Guard:
    """Watches in a thread of its own; what starts an agent ends every stream of this run within a second.

    Attributes:
        seen: who started what, in words; empty while they stand still.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.seen = ""
        self._cluster = cluster
        self._looks = cluster.watched()
        self._ended = Event()
        self._thread: Thread | None = None

    def begin(self, agents: Sequence[Agent]) -> None:
        """Watch these, which were stopped; the same again changes nothing."""
        if self._thread is None:
            self._cluster.retry.halted = ""
            self._thread = Thread(target=self._run, args=(tuple(agents),), name="guard", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Watch no longer; streams may be opened again."""
        if self._thread:
            self._ended.set()
            self._thread.join()
            self._thread, self._ended = None, Event()
            self._cluster.retry.halted = ""

    def _run(self, agents: Sequence[Agent]) -> None:
        while not self._ended.wait(EVERY):
            try:
                self.seen = next((seen for agent in agents if (seen := self._moves(agent))), "")
            except SopError:  # what cannot be seen for a moment is looked at again
                continue
            if self.seen:
                self._cluster.retry.halted = self.seen
                return

    def _moves(self, agent: Agent) -> str:
        if seen := scaling.scaled(self._looks, agent):
            return f"{seen} while its volume was held"
        pods = [str(pod["metadata"]["name"]) for pod in self._looks.list("Pod", agent.selector)]
        return f"{agent.deployment} stands still, and {', '.join(pods)} runs all the same" if pods else ""
