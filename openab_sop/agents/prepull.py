"""Have an image pulled while the old version still serves: what cannot be pulled is found before anything stops.

A short-lived pod on the agent's node, with its pull secrets and security context but no volume and no token, makes
kubelet pull. Whether its command then runs does not matter: once its container was made, the image is there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from openab_sop.agents.agent import Companion, Runner
from openab_sop.agents.helper_pod import UNPULLABLE, new_name, node_of, pending, remove_finished, without_account
from openab_sop.agents.own_pod import create, own_pod
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import Access, Cluster
from openab_sop.errors import Broken, ClusterError, Forbidden, NotFound, SopError
from openab_sop.objects import Object, at, part, parts
from openab_sop.redact import mask
from openab_sop.wait import insist, wait

NEEDED = (Access("create", "pods"), Access("get", "pods"), Access("delete", "pods"))
"""What pulling ahead takes; without it, it is left out."""
TIMEOUT = 600
"""Seconds that a pull gets."""
SCHEDULED = 20
"""Seconds in which some node must take the pod, where the agent has none now."""
_MADE = ("CreateContainerError", "RunContainerError")
"""Reasons to wait that kubelet gives only after it has the image."""


class ImageError(SopError):
    """The node cannot pull an image."""


@dataclass(frozen=True)
class PulledImage:
    """An image that the node has now.

    Attributes:
        image: as it was asked for.
        image_id: its digest on the node; empty if the node did not say.
        seconds: how long the pull took, or the look whether there is something to pull.
        refused: why the cluster let us make no pod for it, and nothing was pulled; empty otherwise.
        there: whether the node had it, under this very name, and will not ask for another.
    """

    image: str
    image_id: str = ""
    seconds: float = 0.0
    refused: str = ""
    there: bool = False

    def __str__(self) -> str:
        if self.there:
            return f"{self.image} is on the node already"
        if self.refused:
            return f"{self.image} was not pulled ahead: {self.refused}"
        return f"{self.image} is on the node as {self.image_id or 'an image of unknown id'}, after {self.seconds:.1f} s"


def pull_all(cluster: Cluster, workloads: Iterable[Workload], but_for: Collection[str] = ()) -> dict[str, PulledImage]:
    """Have the images of all containers of a version pulled, companions' too; returns what came of it by image.

    Args:
        workloads: as the version renders them.
        but_for: images that were pulled already.

    Raises:
        ImageError: one cannot be pulled.
        ClusterError: the API did not answer.
    """
    done: dict[str, PulledImage] = {}
    found = [(workload, _live(cluster, workload)) for workload in workloads]
    for workload, live in sorted(found, key=lambda one: one[1] is None):  # what runs now has what it pulls with
        images = [image for image in workload.images if image.reference not in {*done, *but_for}]
        if images:
            like = live or without_account(workload.body)
            runner = Companion.of(like)
            there = _on_the_node(cluster, runner)
            for image in images:
                if image.reference in there and image.pull_policy != "Always":
                    done[image.reference] = PulledImage(image.reference, there=True)
                    continue
                try:
                    done[image.reference] = pull(cluster, runner, image.reference, image.pull_policy, like)
                except ImageError as error:
                    if live:
                        raise  # what it pulls with is there; of what is new, it may come with the version
                    done[image.reference] = PulledImage(image.reference, refused=error.problem)
    return done


def _live(cluster: Cluster, workload: Workload) -> Object | None:
    with suppress(NotFound, Forbidden):
        return cluster.look_up(workload.body)
    return None


def _on_the_node(cluster: Cluster, runner: Runner) -> frozenset[str]:
    """Return the images that the runner's node says it has: it names some of them, to those who may look."""
    with suppress(ClusterError):
        if node := node_of(cluster, runner):
            return frozenset(chain.from_iterable(listed_images(cluster.get("Node", node))))
    return frozenset()


def listed_images(node: Object) -> list[frozenset[str]]:
    """Return the names of each image that a node says it has; it says so of some of them."""
    return [frozenset(map(str, image.get("names") or ())) for image in parts(node, "status", "images")]


def pull(
    cluster: Cluster,
    agent: Runner,
    image: str,
    policy: str = "IfNotPresent",
    like: Object | None = None,
    *,
    timeout: float = TIMEOUT,
) -> PulledImage:
    """Make the agent's node pull an image; nothing of ours is left there but the image.

    Args:
        agent: whose pods will run it.
        image: as the new manifest names it.
        policy: its imagePullPolicy, as the new manifest renders it.
        like: the Deployment whose pods ours is like, if not the agent's own as it is now.
        timeout: seconds.

    Raises:
        ImageError: it cannot be pulled, or not in time; in kubelet's words.
        ClusterError: the API did not answer.
    """
    remove_finished(cluster, agent)
    name = new_name(agent)
    begun = time.monotonic()
    try:
        made = create(cluster, _pod(cluster, name, agent, image, policy, like))
    except ClusterError as refusal:
        return PulledImage(image, refused=refusal.problem)
    try:
        state = _Puller(cluster, name, image, agent.container)
        wait(
            state.pulling,
            failed=lambda: state.problem,
            what=f"pulling image {image} to the node of {agent.deployment}",
            timeout=timeout,
            next_step="check its name and tag, and that the node reaches the registry and may read there",
        )
        return PulledImage(image, state.image_id, time.monotonic() - begun, state.rejected)
    except (ClusterError, Broken):
        raise
    except SopError as error:
        raise ImageError(error.problem, error.next_step) from error
    finally:
        insist(lambda: cluster.delete("Pod", name, str(made["metadata"]["uid"]), grace=0))


@dataclass
class _Puller:
    """The pod that pulls, as it is seen now."""

    cluster: Cluster
    name: str
    image: str
    container: str
    image_id: str = ""
    problem: str = ""
    rejected: str = ""
    late: float = field(default_factory=lambda: time.monotonic() + SCHEDULED)

    def pulling(self) -> str | None:
        """Look at it; returns its state until the image is there, or the node will not have the pod."""
        pod = self.cluster.get("Pod", self.name)
        for status in (s for s in parts(pod, "status", "containerStatuses") if s["name"] == self.container):
            state, waiting = part(status, "state"), part(status, "state", "waiting")
            reason, said = str(waiting.get("reason") or ""), mask(str(waiting.get("message") or ""))
            self.image_id = str(status.get("imageID") or "")
            if self.image_id or reason in _MADE or "running" in state or "terminated" in state:
                return None
            self.problem = f"{reason}: {said}" if reason in UNPULLABLE else ""
            return f"{reason} {said}"
        if at(pod, "status", "phase") == "Failed":
            self.rejected = f"{at(pod, 'status', 'reason')}: {mask(str(at(pod, 'status', 'message')))}"
            return None
        if not at(pod, "spec", "nodeName") and time.monotonic() > self.late:
            self.rejected = f"no node takes a pod of {self.image}: {pending(pod)}"
            return None
        return str(at(pod, "status", "phase"))


def _pod(cluster: Cluster, name: str, agent: Runner, image: str, policy: str, like: Object | None) -> Object:
    template = part(like or cluster.get(agent.kind, agent.name), "spec", "template", "spec")
    return own_pod(
        name,
        agent,
        template,
        command=["true"],
        lifetime=TIMEOUT,
        node=node_of(cluster, agent),
        container={"image": image, "imagePullPolicy": policy},
    )
