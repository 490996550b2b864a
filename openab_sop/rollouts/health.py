"""Judge a rollout: wait until the new version has proved itself, or call early why it will not (SOP 3.2, 4.4).

At each look at most one problem is raised. When it lasts longer than its grace time, that is the symptom; if none is
left, the settle window runs, and at its end the agent is healthy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from openab_sop.agents.agent import Agent, Runner
from openab_sop.cluster.kube import Cluster
from openab_sop.escape import command
from openab_sop.rollouts import logs, rollout
from openab_sop.rollouts.logs import LogFacts, Patterns
from openab_sop.rollouts.problem import Baseline, Limits, Problem, Sample, Symptom, find_problem
from openab_sop.rollouts.rollout import Observation
from openab_sop.verdict import Finding, Verdict
from openab_sop.wait import LOOK

EVERY = 0.5
"""Seconds between two looks."""

Progress = Callable[[str], None]
LIMITS = Limits()
NO_BASELINE = Baseline()


@dataclass(frozen=True)
class RolloutJudgement:
    """What came of a rollout of one agent, with the facts for the report.

    Attributes:
        symptom: what is wrong; None if nothing is.
        settled: whether it was watched to the end of its settle window: not if another agent failed before.
        findings: the symptom in words, with what to do.
        observation: Deployment and pods as they were seen last.
        log: what the pod's agent has logged; ``ended_log``: of the container and run that ended, if one did.
        warnings: the cluster's events of the pod, if there is a symptom.
        replaced: whether the pod is another one than before the change.
        restarts: of all its containers, since then.
        ready_after, connected_after: seconds since the judgement began, at which that was first seen.
    """

    agent: str
    symptom: Symptom | None
    settled: bool
    findings: tuple[Finding, ...]
    observation: Observation
    log: LogFacts
    ended_log: LogFacts
    warnings: tuple[str, ...]
    replaced: bool
    restarts: int
    ready_after: float | None
    connected_after: float | None

    @property
    def healthy(self) -> bool:
        """Whether the new version has proved itself."""
        return self.settled and self.symptom is None

    @property
    def verdict(self) -> Verdict:
        """The findings as a verdict."""
        return Verdict(f"rollout of {self.agent}", self.findings)

    def __str__(self) -> str:
        pod = self.observation.pod
        reached = ", ".join(
            f"{what} after {seconds:.1f} s"
            for what, seconds in (("ready", self.ready_after), ("connected", self.connected_after))
            if seconds is not None
        )
        state = "healthy" if self.healthy else self.symptom.value if self.symptom else "not watched to the end"
        return f"{self.agent}: {state}; pod {pod.name if pod else 'none'}, {reached or 'never ready'}; log: {self.log}"


def baseline(cluster: Cluster, agent: Runner, patterns: Patterns = logs.DEFAULT) -> Baseline:
    """Note restarts and panic lines of the version that runs, before it is changed.

    Raises:
        ClusterError: the API did not answer, or refused.
    """
    seen = rollout.observe(cluster, agent)
    pods = seen.pods
    ended = [logs.fetch(cluster, pod.name, agent.container, previous=True) for pod in pods]
    running = [logs.fetch(cluster, pod.name, agent.container) for pod in pods]
    usual = patterns.connected == logs.DEFAULT.connected  # a pattern of the operator's own says all that is to be
    return Baseline(
        restarts={pod.uid: {container.name: container.restarts for container in pod.containers} for pod in pods},
        complaints=frozenset[str]().union(*(logs.complaints(text, patterns) for text in (*ended, *running))),
        well=seen.complete and all(container.waiting == "" for pod in pods for container in pod.containers),
        chats=frozenset[str]().union(*map(logs.chats, running)) if usual else frozenset(),
        jobs=max((logs.jobs(text) or 0 for text in running), default=0),
    )


def await_healthy(
    cluster: Cluster,
    agent: Runner,
    *,
    patterns: Patterns = logs.DEFAULT,
    limits: Limits = LIMITS,
    baseline: Baseline = NO_BASELINE,
    progress: Progress = lambda line: None,
) -> RolloutJudgement:
    """Judge the rollout of one agent; see ``await_all_healthy``."""
    baselines = {agent.deployment: baseline}
    return await_all_healthy(cluster, [agent], patterns, limits, baselines, progress)[0]


def await_all_healthy(
    cluster: Cluster,
    agents: Sequence[Runner],
    patterns: Patterns = logs.DEFAULT,
    limits: Limits = LIMITS,
    baselines: Mapping[str, Baseline] | None = None,
    progress: Progress = lambda line: None,
    *,
    each: bool = False,
) -> tuple[RolloutJudgement, ...]:
    """Judge the rollouts of several agents at once: until all are healthy, or the first is not (SOP 3.2, 3.5).

    Args:
        each: whether every agent is judged to its end, also after the first has failed.
        agents: agents and companions; of these none says that it is connected.
        baselines: by Deployment, taken before the change; without one, every restart and panic counts.
        progress: told what is waited for, whenever that changes.

    Raises:
        Forbidden: the caller lacks one of ``rollout.NEEDED``; NotFound: a Deployment is gone.
        Unreachable: the API did not answer for too long.
    """
    given = baselines or {}
    watches = [
        _Watch(
            cluster,
            agent,
            patterns if isinstance(agent, Agent) else replace(patterns, connected=""),
            limits,
            given.get(agent.deployment, NO_BASELINE),
            progress,
        )
        for agent in agents
    ]
    while True:
        for watch in watches:
            if not watch.symptom:
                watch.look()
        ended = [bool(watch.symptom) for watch in watches]
        if (any(ended) and not each) or all(watch.symptom or watch.settled for watch in watches):
            return tuple(watch.judgement() for watch in watches)
        time.sleep(EVERY)


@dataclass
class _Watch:
    """One agent's rollout as it is watched; moments are those of the monotonic clock."""

    cluster: Cluster
    agent: Runner
    patterns: Patterns
    limits: Limits
    baseline: Baseline
    progress: Progress
    begun: float = field(default_factory=time.monotonic)
    seen: Observation | None = None
    log: LogFacts = field(default_factory=LogFacts)
    ready: float | None = None
    connected: float | None = None
    whole: float | None = None
    problem: Problem | None = None
    since: float = 0.0
    symptom: Symptom | None = None
    settled: bool = False

    def look(self) -> None:
        """Look once, and conclude from it."""
        begun = time.monotonic()
        seen = rollout.observe(self.cluster, self.agent)
        self._read_log(seen)
        self.seen, now = seen, time.monotonic()
        self._pass_over(max(0, now - begun - LOOK))
        self._conclude(seen, now)

    def _pass_over(self, broken: float) -> None:
        """Let so many seconds count for nothing, in which nothing could be seen: no agent is blamed for them."""
        if broken:
            self.begun, self.since = self.begun + broken, self.since + broken
            self.whole = self.whole and self.whole + broken

    def _read_log(self, seen: Observation) -> None:
        before = self.seen.pod if self.seen else None
        if seen.pod is None or before is None or before.uid != seen.pod.uid:  # another pod begins anew
            self.log, self.ready, self.connected, self.whole = LogFacts(), None, None, None
        if seen.pod and seen.container and (seen.container.running or seen.container.ended):
            self.log = logs.follow(
                self.cluster,
                seen.pod.name,
                self.agent.container,
                self.log,
                self.patterns,
                self.baseline.complaints,
            )

    def _conclude(self, seen: Observation, now: float) -> None:
        if self.ready is None and seen.complete and seen.pod and seen.pod.ready:
            self.ready = now - self.begun
        if self.connected is None and self.ready is not None and self.log.is_connected(self.baseline.chats):
            self.connected = now - self.begun
        found = find_problem(Sample(seen, self.log, self.limits, self.baseline, self.patterns, self.whole is not None))
        if found is None:
            self.whole = self.whole or now
            self.settled = now - self.whole >= self.limits.settle
        else:
            self.settled = False
        self._weigh(found, now)

    def _weigh(self, found: Problem | None, now: float) -> None:
        """Time a problem; one that comes and goes with others ends when all grace times together have passed."""
        if (found and found.symptom) != (self.problem and self.problem.symptom) or self.since == 0.0:
            self.since = now
            self.progress(f"{self.agent.deployment}: {found.observed if found else 'healthy so far'}")
        self.problem = found
        limits = self.limits
        late = now - self.begun > limits.rollout + limits.ready + limits.connected + limits.settle
        if found and (late or now - self.since >= found.grace_seconds):
            self.symptom = found.symptom

    def judgement(self) -> RolloutJudgement:
        """Conclude."""
        seen = self.seen or rollout.observe(self.cluster, self.agent)  # another agent's symptom came before an answer
        pod = seen.pod
        found = self.problem if self.symptom else None
        ended = self._log_of(pod.name, found.container) if pod and found and found.container else LogFacts()
        return RolloutJudgement(
            agent=self.agent.deployment,
            symptom=self.symptom,
            settled=self.settled,
            findings=(self._finding(found, ended.last_words),) if found else (),
            observation=seen,
            log=self.log,
            ended_log=ended,
            warnings=rollout.warnings(self.cluster, pod) if pod and found else (),
            replaced=pod is not None and pod.uid not in self.baseline.restarts,
            restarts=sum(self.baseline.restarted(pod, container) for container in pod.containers) if pod else 0,
            ready_after=self.ready,
            connected_after=self.connected,
        )

    def _log_of(self, pod: str, container: str) -> LogFacts:
        """The log of a container's run that ended: the one before, else the present one.

        Between two runs there is a moment without either.
        """
        for previous in (True, False) * 3:
            if text := logs.fetch(self.cluster, pod, container, previous=previous):
                return LogFacts().read(text, self.patterns, self.baseline.complaints)
            time.sleep(EVERY)
        return self.log if container == self.agent.container else LogFacts()

    def _finding(self, found: Problem, last_words: str) -> Finding:
        pod = self.seen.pod if self.seen else None
        said = f"; its log: {last_words}" if last_words else ""
        if pod and found.symptom in _LOGGED:
            words = ("logs", pod.name, "-c", found.container or self.agent.container)
        else:
            words = ("describe", "pods", "-l", self.agent.selector)
        return Finding(
            self.agent.deployment,
            f"{found.symptom.value}: {found.observed}{said}",
            found.expected,
            command("kubectl", "-n", self.cluster.namespace, *words),
        )


_LOGGED = (Symptom.CRASH_LOOP, Symptom.PANIC_LOGGED, Symptom.NOT_CONNECTED)
"""Symptoms that the log says more about than the cluster."""
