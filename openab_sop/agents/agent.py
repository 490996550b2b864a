"""An agent: a Deployment of the release with the container of OpenAB, its home and its volumes (SOP 1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from openab_sop import redact
from openab_sop.agents.workload import Workload, deployment_of, volume_key
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.pod import Pod
from openab_sop.errors import PodError, ReleaseError
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts

_POD = ("spec", "template", "spec")
RECENT = timedelta(minutes=10)
"""An agent that has crashed within this time is not well, however it looks now."""
WENT_WITH_ITS_NODE = "Unknown"
"""The reason of the kubelet for a container whose end it did not see: its node was restarted. The code is 255."""


@dataclass(frozen=True)
class Agent:
    """What of an agent stays the same while its pods come and go.

    Attributes:
        deployment: its Deployment's name; names its directory in a backup too.
        container: name of the container that it runs in.
        selector: label selector of its pods.
        home: absolute path of the home directory in the container.
        claim: the PersistentVolumeClaim that holds the home, None without persistence.
        excluded_mounts: paths in the home, relative to it, where something else is mounted (a ConfigMap's file).
        secrets, config_maps: names of what its pod refers to.
        volume: empty for the agent with its home; else this is the agent with a further volume in the home's place,
            and ``home``, ``claim`` and ``excluded_mounts`` are that volume's.
        part: which part of the claim that is; "." for all of it.
        inside: where in the agent's home that volume is mounted, empty if it is elsewhere; what is told of paths in a
            home goes by it.
        unmet: why no other pod can mount that part, in words; empty if one can.
        further: the agent with each further volume that it writes to.
        kept_as: the key of its data in the backup that it is compared with, where that is another than its own.
    """

    deployment: str
    container: str
    selector: str
    home: str
    claim: str | None
    excluded_mounts: tuple[str, ...]
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]
    volume: str = ""
    part: str = "."
    inside: str = ""
    unmet: str = ""
    further: tuple[Agent, ...] = ()
    kept_as: str = ""
    kind: str = field(default="Deployment", init=False)

    @property
    def name(self) -> str:
        """Name of its object of the API, as a companion's."""
        return self.deployment

    @property
    def key(self) -> str:
        """What names its data, also as a directory of a backup: the Deployment, and a further volume below it.

        ``kept_as`` where that is given: the Deployment may have got another name since.
        """
        return self.kept_as or volume_key(self.deployment, self.volume)

    @property
    def identity(self) -> str:
        """What its Deployment was called when the backup was taken; by that it is known however it is called now."""
        return deployment_of(self.key)

    @property
    def volumes(self) -> tuple[Agent, ...]:
        """The agent with its home, and with each further volume in the home's place."""
        return (self, *self.further)

    @classmethod
    def of(cls, deployment: Object) -> Agent:
        """Read an agent from its live Deployment.

        Raises:
            ReleaseError: the home cannot be told for sure.
        """
        workload = Workload(deployment)
        home = workload.home
        if home is None:
            raise ReleaseError(
                f"Deployment {workload.name} sets no HOME, and mounts {len(workload.mounts)} persistent volumes: "
                "its home cannot be told",
                "set HOME in the container's environment by the chart's values",
            )
        holding = workload.where(home)
        agent = cls(
            deployment=workload.name,
            container=str(workload.container["name"]),
            selector=workload.selector,
            home=str(home),
            claim=holding[0] if holding else None,
            excluded_mounts=workload.below(home),
            secrets=tuple(sorted(set(_references(workload.pod, "secret")))),
            config_maps=tuple(sorted(set(_references(workload.pod, "configMap")))),
            part=str(holding[1]) if holding else ".",
            unmet=workload.unmet(home),
        )
        further = (
            replace(
                agent,
                home=str(mount.path),
                claim=mount.claim,
                excluded_mounts=workload.below(mount.path),
                volume=name,
                part=str(mount.inside),
                unmet="",
                inside=str(mount.path.relative_to(home)) if mount.path.is_relative_to(home) else "",
            )
            for name, mount in workload.further().items()
        )
        return replace(agent, further=tuple(further))

    def pod(self, cluster: Cluster) -> Pod:
        """Look up the pod that runs now; never kept, since each rollout makes a new one.

        Raises:
            PodError: none runs, or more than one does.
        """
        pods = [p for p in cluster.list("Pod", self.selector) if not p["metadata"].get("deletionTimestamp")]
        running = [p for p in pods if _runs(p, self.container)]
        if len(running) != 1:
            seen = ", ".join(f"{p['metadata']['name']} {_state(p, self.container)}" for p in pods) or "no pod at all"
            raise PodError(
                f"agent {self.deployment} needs one pod with a running container {self.container}; there is {seen}",
                command("kubectl", "-n", cluster.namespace, "describe", "pods", "-l", self.selector)
                + "; bring it up, then run again",
            )
        return Pod.of(cluster, running[0], self.container)


@dataclass(frozen=True)
class Companion:
    """What of the release keeps pods running and is no agent, such as a gateway: watched, not backed up.

    Attributes:
        deployment: its Deployment's name; of another kind, as ``Workload.called`` has it.
        container: name of its first container.
        selector: label selector of its pods.
        replicas: how many pods it wants.
        kind, name: the object of the API.
    """

    deployment: str
    container: str
    selector: str
    replicas: int
    kind: str
    name: str

    @classmethod
    def of(cls, body: Object) -> Companion:
        """Read a companion from what is live: a Deployment, a StatefulSet or a DaemonSet."""
        own = Workload(body)
        return cls(own.called, str(own.container.get("name")), own.selector, own.replicas, own.kind, own.name)

    def __str__(self) -> str:
        return self.deployment


Runner = Agent | Companion
"""Whose pods are watched, and of whose kind ours are."""


def references(deployment: Object, kind: str) -> set[str]:
    """Return the names that a Deployment's pod refers to; ``kind`` is "secret" or "configMap" (SOP 2.6)."""
    return set(_references(part(deployment, *_POD), kind))


def environment(deployment: Object) -> Iterator[tuple[str, str]]:
    """Yield the names and plain values of all variables of a Deployment's containers."""
    pod = part(deployment, *_POD)
    for container in parts(pod, "initContainers") + parts(pod, "containers"):
        yield from ((e["name"], e["value"]) for e in parts(container, "env") if e.get("value"))


def learn_environment(deployment: Object) -> None:
    """Mask from now on what a Deployment's containers get under names that sound secret."""
    for name, value in environment(deployment):
        if redact.is_secret_name(name):
            redact.learn(value)


def trouble(pod: Object, container: str) -> str:
    """Return why a pod's agent is not well; empty if it is."""
    for status in parts(pod, "status", "containerStatuses"):
        if status["name"] != container:
            continue
        state = part(status, "state")
        if "running" not in state:
            reasons = [str(part(state, word).get("reason") or word) for word in state]
            return f"pod {pod['metadata']['name']}: {', '.join(reasons) or 'not running'}"
        ended = part(status, "lastState", "terminated")
        if ended.get("exitCode") and ended.get("reason") != WENT_WITH_ITS_NODE and _is_recent(ended["finishedAt"]):
            return f"it was restarted {status['restartCount']} times, last after exit code {ended['exitCode']}"
        return "" if status.get("ready") else f"pod {pod['metadata']['name']} is not Ready"
    return f"pod {pod['metadata']['name']} is {at(pod, 'status', 'phase')}"


def _is_recent(timestamp: str) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(timestamp) < RECENT


def _references(pod: Object, kind: str) -> Iterator[str]:
    """Yield every name of a Secret or ConfigMap in a pod's spec: environment, volumes, projections, pull secrets."""
    for container in parts(pod, "initContainers") + parts(pod, "containers"):
        for variable in parts(container, "env"):
            if source := part(variable, "valueFrom", f"{kind}KeyRef"):
                yield source["name"]
        for origin in parts(container, "envFrom"):
            if source := part(origin, f"{kind}Ref"):
                yield source["name"]
    for volume in parts(pod, "volumes"):
        for source in (volume, *parts(volume, "projected", "sources")):
            if reference := part(source, kind):
                yield reference.get("secretName") or reference["name"]
    if kind == "secret":
        yield from (secret["name"] for secret in parts(pod, "imagePullSecrets"))


def _runs(pod: Object, container: str) -> bool:
    return any(s["name"] == container and "running" in s["state"] for s in _statuses(pod))


def _statuses(pod: Object) -> list[Object]:
    return parts(pod, "status", "containerStatuses")


def _state(pod: Object, container: str) -> str:
    """The pod's state in words; its phase never says CrashLoopBackOff, its container's state does."""
    for status in _statuses(pod):
        if status["name"] == container:
            (state, detail), *_ = status["state"].items()
            return str(detail.get("reason") or state)
    return str(at(pod, "status", "phase"))
