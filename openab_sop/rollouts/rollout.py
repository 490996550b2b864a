"""How far a rollout of an agent or a companion is, as facts of the API: looked up fresh, parsed once (SOP 3.2).

A pod's phase never says that its container crashes, so everything is taken from the states of its containers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from openab_sop.agents.agent import Runner
from openab_sop.cluster.kube import Access, Cluster
from openab_sop.errors import Forbidden
from openab_sop.escape import one_line
from openab_sop.objects import Object, at, part, parts
from openab_sop.redact import mask

NEEDED = (
    Access("get", "deployments", "apps"),
    Access("list", "replicasets", "apps"),
    Access("list", "pods"),
    Access("get", "pods/log"),
)
"""What judging a rollout takes."""
USEFUL = (Access("list", "events"),)
"""What it can do without: reasons in the cluster's words are then missing from the report."""

_HASH = "pod-template-hash"
_REVISION = "controller-revision-hash"
_GENERATION = "pod-template-generation"
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""Annotation of a DaemonSet; whatever its name says, the controller still labels pods by it (``_GENERATION``)."""
_SHOWN = 500
"""Characters of a message that are kept."""


@dataclass(frozen=True)
class Ended:
    """How a run of a container ended: exit status, reason ("Error", "OOMKilled", "StartError") and message."""

    exit_code: int
    reason: str
    message: str


@dataclass(frozen=True)
class Container:
    """A container of a pod now.

    Attributes:
        init: whether it runs before the others; unless it ``stays``, as a sidecar does, it has to end.
        waiting: reason why it does not run, empty if it does or did; ``message`` says more.
        running: since when it runs, None if it does not.
        ended: how its run ended, None if it runs or waits.
        last: how its run before that ended.
        image_id: digest of the image that it runs, as the node has it; empty before it was pulled.
    """

    name: str
    init: bool
    stays: bool
    image: str
    image_id: str
    ready: bool
    restarts: int
    waiting: str
    message: str
    running: datetime | None
    ended: Ended | None
    last: Ended | None


@dataclass(frozen=True)
class AgentPod:
    """A pod of the agent; ``held`` says why it has no node, ``failed`` why it ended as a whole (evicted)."""

    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    deleting: bool
    held: str
    failed: str
    containers: tuple[Container, ...]

    def container(self, name: str) -> Container | None:
        """Return the container of that name, if the node knows it already."""
        return next((container for container in self.containers if container.name == name), None)


@dataclass(frozen=True)
class Observation:
    """What keeps an agent's or a companion's pods running, and these, at one moment.

    Attributes:
        current: whether the controller has seen its last change.
        wanted, updated, available: replicas.
        stalled: why the controller says that it does not go on, empty if it does not say so.
        refused: why it can make no pod (quota, admission), empty if it can.
        pods: those of its present template, oldest first, but those that are being deleted.
        others: of older templates, or being deleted, that have not ended yet.
    """

    agent: Runner
    current: bool
    wanted: int
    updated: int
    available: int
    stalled: str
    refused: str
    pods: tuple[AgentPod, ...]
    others: tuple[AgentPod, ...]

    @property
    def pod(self) -> AgentPod | None:
        """The pod that is judged: the newest of the present template."""
        return self.pods[-1] if self.pods else None

    @property
    def container(self) -> Container | None:
        """The agent's container in it."""
        return self.pod.container(self.agent.container) if self.pod else None

    @property
    def complete(self) -> bool:
        """Whether the rollout is done, as ``kubectl rollout status`` means it."""
        return self.current and not self.others and self.updated == self.available == self.wanted > 0


def observe(cluster: Cluster, agent: Runner) -> Observation:
    """Look at a Deployment and its ReplicaSets, a StatefulSet or a DaemonSet, and at its pods: at most three calls.

    Raises:
        ClusterError: the API did not answer, refused, or it is gone.
    """
    body = cluster.get(agent.kind, agent.name)
    count = _COUNTED[agent.kind](cluster, body, agent)
    listed = cluster.list("Pod", agent.selector)
    if agent.kind != "Deployment":  # whose pods its ReplicaSets own; others may bear the same labels
        listed = [pod for pod in listed if _owns(body, pod)]
    found = sorted(listed, key=lambda pod: str(at(pod, "metadata", "creationTimestamp")))
    pods = {_pod(one): count.is_of_present(part(one, "metadata", "labels")) for one in found}
    return Observation(
        agent=agent,
        current=part(body, "status").get("observedGeneration", 0) >= at(body, "metadata", "generation"),
        wanted=count.wanted,
        updated=count.updated,
        available=count.available,
        stalled=_condition(body, "Progressing", "False"),
        refused=_condition(body, "ReplicaFailure", "True"),
        pods=tuple(pod for pod, ours in pods.items() if ours and not pod.deleting),
        others=tuple(
            pod for pod, ours in pods.items() if (pod.deleting or not ours) and pod.phase not in ("Succeeded", "Failed")
        ),
    )


@dataclass(frozen=True)
class _PodCount:
    """What a controller says of its pods, and how those of the present template are told by their labels."""

    wanted: int
    updated: int
    available: int
    is_of_present: Callable[[Object], bool]


def _deployment(cluster: Cluster, body: Object, runner: Runner) -> _PodCount:
    hashes, status = _current(body, cluster.list("ReplicaSet", runner.selector)), part(body, "status")
    return _PodCount(
        wanted=int(at(body, "spec", "replicas") or 0),
        updated=int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        is_of_present=lambda labels: labels.get(_HASH) in hashes,
    )


def _stateful_set(cluster: Cluster, body: Object, runner: Runner) -> _PodCount:
    status, wanted = part(body, "status"), int(at(body, "spec", "replicas") or 0)
    stays = _keeps_old_pods(body)
    return _PodCount(
        wanted=wanted,
        updated=wanted if stays else int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        is_of_present=lambda labels: stays or labels.get(_REVISION) == status.get("updateRevision"),
    )


def _daemon_set(cluster: Cluster, body: Object, runner: Runner) -> _PodCount:
    status, stays = part(body, "status"), _keeps_old_pods(body)
    generation = part(body, "metadata", "annotations").get(_TEMPLATE_GENERATION)
    wanted, updated = int(status.get("desiredNumberScheduled", 0)), int(status.get("updatedNumberScheduled", 0))
    # after a way back, pods that the version between has never reached bear an older number, and are right
    every = stays or generation is None or updated == wanted
    return _PodCount(
        wanted=wanted,
        updated=wanted if stays else updated,
        available=int(status.get("numberAvailable", 0)),
        is_of_present=lambda labels: every or labels.get(_GENERATION) == generation,
    )


_COUNTED = {"Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set}


def _keeps_old_pods(body: Object) -> bool:
    """Tell whether pods of an older template are meant to stay, all or some: the controller replaces them on demand."""
    strategy = part(body, "spec", "updateStrategy")
    return strategy.get("type") == "OnDelete" or bool(at(strategy, "rollingUpdate", "partition"))


def warnings(cluster: Cluster, pod: AgentPod) -> tuple[str, ...]:
    """Return the warnings that the cluster has recorded of a pod, oldest first; says so if the caller may not look.

    Raises:
        ClusterError: the API did not answer.
    """
    try:
        events = [event for event in cluster.events(pod.uid) if event.get("type") == "Warning"]
    except Forbidden:
        return ("events may not be listed by this caller",)
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")))
    return tuple(f"{event.get('reason')}: {_text(event.get('message'))}" for event in events)


def _current(deployment: Object, sets: list[Object]) -> set[str]:
    """Return the hash of the ReplicaSet with the Deployment's present template; empty before it is made.

    The template tells, as it does the controller: the revision annotation still names the old one for a moment.
    """
    wanted = _template(deployment)
    return {
        str(at(found, "metadata", "labels", _HASH))
        for found in sets
        if _owns(deployment, found) and _template(found) == wanted
    }


def _owns(owner: Object, body: Object) -> bool:
    uid = at(owner, "metadata", "uid")
    return any(one.get("uid") == uid for one in parts(body, "metadata", "ownerReferences"))


def _template(body: Object) -> Object:
    template = part(body, "spec", "template")
    metadata = part(template, "metadata")
    labels = {key: value for key, value in part(metadata, "labels").items() if key != _HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _condition(body: Object, kind: str, status: str) -> str:
    for condition in parts(body, "status", "conditions"):
        if condition.get("type") == kind and condition.get("status") == status:
            return f"{condition.get('reason')}: {_text(condition.get('message'))}"
    return ""


def _pod(pod: Object) -> AgentPod:
    status = part(pod, "status")
    phase = str(status.get("phase"))
    why = f"{status.get('reason') or 'Failed'}: {_text(status.get('message'))}"
    return AgentPod(
        name=str(at(pod, "metadata", "name")),
        uid=str(at(pod, "metadata", "uid")),
        node=str(at(pod, "spec", "nodeName") or ""),
        phase=phase,
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in parts(status, "conditions")),
        deleting=bool(at(pod, "metadata", "deletionTimestamp")),
        held=_condition(pod, "PodScheduled", "False"),
        failed=why if phase == "Failed" else "",
        containers=tuple(_containers(pod)),
    )


def _containers(pod: Object) -> Iterator[Container]:
    stays = {c["name"] for c in parts(pod, "spec", "initContainers") if c.get("restartPolicy") == "Always"}
    for key, init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for status in parts(pod, "status", key):
            yield _container(status, init=init, stays=not init or status["name"] in stays)


def _container(status: Object, *, init: bool, stays: bool) -> Container:
    waiting = part(status, "state", "waiting")
    running = at(status, "state", "running", "startedAt")
    return Container(
        name=str(status["name"]),
        init=init,
        stays=stays,
        image=str(status.get("image", "")),
        image_id=str(status.get("imageID", "")),
        ready=bool(status.get("ready")),
        restarts=int(status.get("restartCount", 0)),
        waiting=str(waiting.get("reason") or ""),
        message=_text(waiting.get("message")),
        running=datetime.fromisoformat(running) if running else None,
        ended=_ended(part(status, "state", "terminated")),
        last=_ended(part(status, "lastState", "terminated")),
    )


def _ended(state: Object) -> Ended | None:
    if not state:
        return None
    return Ended(int(state.get("exitCode", 0)), str(state.get("reason") or ""), _text(state.get("message")))


def _text(message: object) -> str:
    return one_line(mask(str(message or "")))[:_SHOWN]
