"""The start of what was stopped or made anew: wait until it runs, in the cluster's own words (SOP 3.2, 5.2).

What kubelet or a controller refuses and will go on refusing, such as a Secret that is nowhere or a quota, ends the wait
early, and so does what no scheduler can do: a claim that is not there, labels that no node has. A container that
crashes may come up at its next try, and another pod without a node may get one: these get their time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openab_sop.agents.agent import Agent, Companion, Runner
from openab_sop.agents.unplaceable import Unplaced
from openab_sop.agents.workload import is_agent
from openab_sop.cluster.kube import Cluster
from openab_sop.escape import command
from openab_sop.objects import Object
from openab_sop.rollouts import rollout
from openab_sop.rollouts.problem import Limits, Problem, start_problem, state
from openab_sop.rollouts.rollout import Observation
from openab_sop.wait import wait

START = 300
"""Seconds until all of it must run (SOP 3.2)."""
_EVERY = 0.3
_LIMITS = Limits(rollout=START)


def runner(body: Object) -> Runner:
    """Return whose pods a workload's are: an agent's, or a companion's."""
    return Agent.of(body) if is_agent(body) else Companion.of(body)


def await_start(cluster: Cluster, started: Runner) -> None:
    """Wait until all replicas of a workload are available, those of its present template.

    Raises:
        SopError: they do not become so; the message says what holds them.
    """
    start = _Start(cluster, started)
    wait(
        start.unready,
        what=f"the start of {started.deployment}",
        timeout=START,
        next_step=command("kubectl", "-n", cluster.namespace, "describe", "pods", "-l", started.selector),
        failed=start.failed,
        every=_EVERY,
    )


@dataclass
class _Start:
    cluster: Cluster
    runner: Runner
    problem: Problem | None = None
    since: float = field(default_factory=time.monotonic)
    unplaced: Unplaced = field(default_factory=Unplaced)
    hopeless: str = ""

    def unready(self) -> str | None:
        """Look once; None if it runs."""
        seen = rollout.observe(self.cluster, self.runner)
        self._weigh(start_problem(seen, _LIMITS))
        self._place(seen)
        return None if _runs(seen) else f"{seen.available} of {seen.wanted} replicas available; {state(seen)}"

    def failed(self) -> str | None:
        """Return what will not pass by itself, once it has lasted longer than it may."""
        if self.hopeless:
            return self.hopeless
        late = self.problem and time.monotonic() - self.since > self.problem.grace_seconds
        return self.problem.observed if self.problem and late else None

    def _place(self, seen: Observation) -> None:
        held = seen.pod if seen.current and seen.pod and seen.pod.held else None
        pod = self.cluster.find("Pod", held.name) if held else None
        if held and (why := self.unplaced.hopeless(self.cluster, pod)):
            self.hopeless = f"{why}; {state(seen)}"

    def _weigh(self, found: Problem | None) -> None:
        if (found and found.symptom) != (self.problem and self.problem.symptom):
            self.since = time.monotonic()
        self.problem = found


def _runs(seen: Observation) -> bool:
    return seen.current and seen.updated == seen.available == seen.wanted
