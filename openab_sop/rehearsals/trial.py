"""Runs a version on copies, and looks at it until it is told to end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from openab_sop.agents import scaling
from openab_sop.agents.agent import Agent
from openab_sop.agents.container import lacking, process_alive
from openab_sop.agents.helper_pod import node_of
from openab_sop.cluster.kube import MANAGER
from openab_sop.cluster.pod import Pod
from openab_sop.errors import CutOff, Forbidden, PodError
from openab_sop.journal import Journal
from openab_sop.objects import Object, at
from openab_sop.rehearsals import copies
from openab_sop.rehearsals.behaviour import Behaviour
from openab_sop.rehearsals.copies import RenderedVersion
from openab_sop.rehearsals.isolation import ISOLATED
from openab_sop.rehearsals.scratch import Scratch
from openab_sop.releases.release import Release
from openab_sop.rollouts import logs
from openab_sop.rollouts.health import RolloutJudgement, await_all_healthy
from openab_sop.rollouts.logs import LogFacts, Patterns
from openab_sop.rollouts.problem import Baseline, Limits
from openab_sop.rollouts.rollout import Observation

_AGENT = f"{MANAGER}/copy-of"
LOOKS = 3
"""How often it is looked into a container that ends again and again."""
_GRACE = 30
"""Seconds that Kubernetes gives a pod to end where nothing is said."""


@dataclass
class TrialEnvironment:
    """Where versions of a release are tried, one after the other.

    Attributes:
        claims: the copies of the release's claims, by their names.
    """

    release: Release
    scratch: Scratch
    claims: Mapping[str, str]
    limits: Limits
    patterns: Patterns
    journal: Journal
    _pulls: set[str] = field(default_factory=set[str])

    def find(self, version: RenderedVersion, kind: str, name: str) -> Object | None:
        """Return an object as a version renders it, or as it is beside the release."""
        return version.manifest.find(kind, name) or self.release.cluster.find(kind, name)

    def allow_pulls(self, version: RenderedVersion, agent: str) -> None:
        """Copy the Secrets with which an agent's image is pulled."""
        for name in self._pulls_of(version, agent):
            if name not in self._pulls and (body := self.find(version, "Secret", name)):
                self.scratch.cluster.create("Secret", copies.pull_secret(body, self.scratch.name))
                self._pulls.add(name)

    def _pulls_of(self, version: RenderedVersion, agent: str) -> list[str]:
        def account(name: str) -> Object | None:
            with suppress(Forbidden):
                return self.release.cluster.find("ServiceAccount", name)
            return None

        return copies.pulls(version.agents[agent], account)

    def body(self, version: RenderedVersion, agent: str) -> Object:
        """Return the Deployment of an agent's copy."""
        labels = {**self.scratch.labels, ISOLATED: self.scratch.id, _AGENT: agent[:63].rstrip("-.")}
        node = next((node_of(self.release.cluster, a) for a in self.release.agents if a.deployment == agent), None)
        pulls = self._pulls_of(version, agent)
        return copies.deployment(version.agents[agent], self.scratch.name, self.claims, labels, node, pulls)

    def run(
        self, version: RenderedVersion, agents: Sequence[str], known: Mapping[str, Behaviour]
    ) -> dict[str, Behaviour]:
        """Start copies of a version, watch them to their end, and end them; nothing of them stays but their volumes.

        Args:
            agents: names of Deployments that it has.
            known: by agent, how the old version behaved: what it complained of, and whether it connected.

        Returns:
            By agent, how it behaved.

        Raises:
            ClusterError: the API did not answer, or refused.
        """
        run = _Run(self, version, known)
        with self.journal.action("run copies", version=version.name, agents=agents):
            try:
                for agent in agents:
                    run.start(agent)
                return run.watched()
            finally:
                run.clear()


@dataclass
class _Run:
    stage: TrialEnvironment
    version: RenderedVersion
    known: Mapping[str, Behaviour]
    copied: dict[str, Agent] = field(default_factory=dict[str, Agent])
    bodies: dict[str, Object] = field(default_factory=dict[str, Object])
    made: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def start(self, agent: str) -> None:
        """Make an agent's copy, and what it refers to."""
        stage, find = self.stage, partial(self.stage.find, self.version)
        stage.allow_pulls(self.version, agent)
        for kind, body in copies.references(self.version.agents[agent], find, stage.scratch.name):
            if (kind, body["metadata"]["name"]) not in self.made:  # agents may share one
                self._make(kind, body)
        body = self.stage.body(self.version, agent)
        self.copied[agent], self.bodies[agent] = Agent.of(body), body
        self._make("Deployment", body)

    def watched(self) -> dict[str, Behaviour]:
        """Watch each copy until it has proved itself or failed, and end them."""
        judged: dict[str, RolloutJudgement] = {}
        for connects in (True, False):
            names = [name for name in self.copied if self._connects(name) == connects]
            judged |= zip(names, self._judge(names, connects=connects), strict=True)
        return {name: self._behaviour(name, judgement) for name, judgement in judged.items()}

    def clear(self) -> None:
        """Remove what was made, Deployments first."""
        for (kind, name), uid in reversed(self.made.items()):
            self.stage.scratch.cluster.delete(kind, name, uid)

    def _make(self, kind: str, body: Object) -> None:
        made = self.stage.scratch.cluster.create(kind, body)
        self.made[kind, str(body["metadata"]["name"])] = str(made["metadata"]["uid"])

    def _connects(self, name: str) -> bool:
        return name in self.known and self.known[name].connected

    def _judge(self, names: list[str], *, connects: bool) -> tuple[RolloutJudgement, ...]:
        stage = self.stage
        patterns = stage.patterns if connects else replace(stage.patterns, connected="")
        agents = [self.copied[name] for name in names]
        marks = {self.copied[n].deployment: Baseline(complaints=frozenset(k.complaints)) for n, k in self._known(names)}
        return await_all_healthy(stage.scratch.cluster, agents, patterns, stage.limits, marks, each=True)

    def _known(self, names: list[str]) -> list[tuple[str, Behaviour]]:
        return [(name, self.known[name]) for name in names if name in self.known]

    def _behaviour(self, name: str, judgement: RolloutJudgement) -> Behaviour:
        agent, cluster, patterns = self.copied[name], self.stage.scratch.cluster, self.stage.patterns
        pod = judgement.observation.pod
        texts = [logs.fetch(cluster, pod.name, agent.container, previous=old) for old in (True, False)] if pod else []
        facts = LogFacts().read("".join(texts), patterns)
        process, lacks = self._looked_into(agent)
        begun = time.monotonic()
        scaling.stop(cluster, agent)
        return Behaviour(
            version=self.version.name,
            judgement=judgement,
            exit_code=_exit_code(judgement.observation, agent.container),
            connected=facts.connected_at is not None,
            lost=facts.disconnected_at is not None,
            complaints=logs.lines_by_fingerprint("".join(texts), "error", "panic", patterns=patterns),
            process=process,
            lacks=lacks,
            ended_after=time.monotonic() - begun,
            grace=float(at(self.bodies[name], "spec", "template", "spec", "terminationGracePeriodSeconds") or _GRACE),
        )

    def _looked_into(self, agent: Agent) -> tuple[bool | None, frozenset[str]]:
        cluster = self.stage.scratch.cluster
        for _ in range(LOOKS):
            try:
                inside = _Inside(agent.pod(cluster))
                return process_alive(inside), frozenset(lacking(inside))
            except PodError:  # it does not run, or has no shell
                break
            except CutOff:  # it ended meanwhile; or the line broke, and that is no answer
                cluster.version()
        return None, frozenset()


@dataclass(frozen=True)
class _Inside:
    """A pod as what looks into containers wants it."""

    pod: Pod

    def run(self, command: str) -> _Ran:
        """Run one of our commands in it."""
        return _Ran(self.pod.capture(command, "/").decode(errors="replace"))


@dataclass(frozen=True)
class _Ran:
    stdout: str


def _exit_code(seen: Observation, container: str) -> int | None:
    """Return how the agent's container ended last by itself."""
    for pod in reversed(seen.pods):
        if (found := pod.container(container)) and (ended := found.ended or found.last):
            return ended.exit_code
    return None
