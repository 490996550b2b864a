"""A short-lived pod that holds an agent's volume while the agent does not (issue: pod not running; SOP 5.1).

It runs the agent's own image as the agent's own user and mounts nothing but the claim, where the agent has it. It lives
as long as this process is attached to its standard input: when we die, however we die, it ends by itself. What is left
then is a finished pod, which holds no volume; the next run removes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex

from openab_sop import names
from openab_sop.agents.agent import Agent, Runner
from openab_sop.agents.own_pod import LABEL, OF, container_of, create, is_own, label_of, own_pod
from openab_sop.agents.workload import claims_of
from openab_sop.cluster.kube import MANAGER, OWNER, Cluster, quantity
from openab_sop.cluster.owner import is_dead, is_owner
from openab_sop.cluster.pod import Pod
from openab_sop.errors import Broken, Forbidden, PodError, SopError
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts
from openab_sop.process import stream
from openab_sop.wait import insist, wait

LIFETIME = 6 * 3600
"""Seconds after which the cluster ends a helper whatever happens."""
STEADY = timedelta(seconds=60)
"""How long a container that has crashed before must have run again to be trusted with a copy."""
START = 120
"""Seconds until a helper must run, and then until somebody must have attached to it, or it ends."""
WAITS = ["sh", "-c", f"timeout {START} head -c 1 >/dev/null && read -r _"]
"""Command of a container that lives as long as somebody is ``attached``."""
PATIENCE = 15
"""Seconds in which a node must take a helper, while there is another placement to try."""

PREFIX = f"{MANAGER}-"
"""What the names of our pods begin with."""
_NAME = re.compile(rf"{PREFIX}.+-[0-9a-f]{{8}}")
"""What ``new_name`` returns."""
_FULL = re.compile(r"exceeded quota|Insufficient |Too many pods|OutOf\w+")
"""How quota, scheduler and kubelet say that there is no room for another pod."""
_QUOTA = re.compile(r"exceeded quota: .{0,300}?used: (?P<used>\S{1,100}), limited: (?P<limited>\S+)")
"""How a quota says what of it is used: names and amounts, as ``pods=2,requests.cpu=1``."""
AT_ONCE = 4
"""Helpers that are tried beside each other."""
UNPULLABLE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
"""Why a container waits whose image cannot be had, as kubelet names it."""
_LOCAL = ("IfNotPresent", "Never")
"""Policies by which a node starts the image that it has."""
_PLACED = ("nodeSelector", "affinity", "tolerations", "runtimeClassName")


@contextmanager
def helper_pod(
    cluster: Cluster,
    agent: Agent,
    instead: Callable[[Object], None] | None = None,
    *,
    deployment: Object | None = None,
    good: str | None = None,
    bare: bool = False,
) -> Generator[Pod]:
    """Run a helper for an agent, and remove it whatever happens in the block.

    Image and placement are the Deployment's, else the newest of its older ReplicaSets' that can be started. An image is
    had as the agent has it, else from the node itself: one that only the node knows by now still starts.

    Args:
        instead: makes a claim of the helper's own name, which is mounted in place of the agent's. Called with the
            helper, which shall own the claim and then takes it along when it is removed.
        deployment: the agent's Deployment, where the cluster has none yet.
        good: the image that is known to be good, where the Deployment's may not be: it is tried first.
        bare: whether it has no volume: so it is tried beside the agent.

    Raises:
        PodError: no image could be started, or the volume is not to be had.
        ClusterError: the API refused.
    """
    remove_finished(cluster, agent)
    deployment = cluster.get("Deployment", agent.deployment) if deployment is None else without_account(deployment)
    reasons: list[str] = []
    templates = list(_templates(cluster, agent, deployment))
    templates.sort(key=lambda template: good not in (None, container_of(template, agent)["image"]))
    for template in templates:
        name = new_name(agent)
        claim = name if instead else None if bare else agent.claim
        node = None if instead else node_of(cluster, agent)
        if bare:  # the scheduler is asked too: after a stop it is
            pod = near(_pod(name, agent, template, claim, None), node)
        else:
            pod = _pod(name, agent, template, claim, node)
            pod = pod if node or instead else near(pod, _node_of_ours(cluster, agent))
        created = create(cluster, pod)
        uid = str(created["metadata"]["uid"])
        try:
            if instead:
                instead(created)
            timeout = START if instead or (template is templates[-1] and not bare) else PATIENCE
            problem = started(cluster, name, agent.container, timeout)
            if problem is None:
                helper = Pod.of(cluster, cluster.get("Pod", name), agent.container)
                with attached(cluster, name), helper.held() as shared:
                    yield shared
                insist(partial(cluster.delete, "Pod", name, uid, grace=0))  # what was done in it is done
                return
            reasons.append(f"{container_of(template, agent)['image']}: {problem}")
        except BaseException:
            with suppress(SopError):  # it ends by itself; what went wrong before is what counts
                cluster.delete("Pod", name, uid, grace=0)
            raise
        cluster.delete("Pod", name, uid, grace=0)
    raise PodError(
        f"no image of agent {agent.deployment} can be started: {'; '.join(reasons)}",
        f"{command('kubectl', '-n', cluster.namespace, 'get', 'events')} shows why",
    )


def try_helpers(
    cluster: Cluster,
    agents: Iterable[Agent],
    good: Mapping[str, str] | None = None,
    deployments: Mapping[str, Object] | None = None,
) -> dict[str, str]:
    """Start a helper beside each agent, without its volume, and run something in it: before anything is stopped.

    So it is known that image, admission, scheduler and the caller's rights let one run when it is needed (SOP 4.3).

    Args:
        good: by Deployment, the image that is known to be good.
        deployments: by name, as they are to be where the cluster's own are otherwise.

    Returns:
        By agent what came of it, in words. Room that is only missing while the agent has its own is no failure.

    Raises:
        PodError, ClusterError: none starts; nothing was stopped yet.
    """

    def tried(agent: Agent) -> str:
        begun = time.monotonic()
        try:
            name = agent.deployment
            like = (deployments or {}).get(name)
            with helper_pod(cluster, agent, deployment=like, good=(good or {}).get(name), bare=True) as pod:
                pod.capture("true", "/")
        except (Forbidden, PodError) as refused:
            if not _FULL.search(refused.problem) or is_overdrawn(refused.problem):
                raise
            return f"not tried: no room for another pod while the agent runs ({refused.problem})"
        return f"starts within {time.monotonic() - begun:.1f} s"

    alone = {agent.deployment: agent for agent in agents}
    with ThreadPoolExecutor(AT_ONCE) as several:
        return dict(zip(alone, several.map(tried, alone.values()), strict=True))


def is_overdrawn(refusal: str) -> bool:
    """Tell whether a quota is smaller than what runs by now: whatever stops does not start again (SOP 4.3)."""
    if not (said := _QUOTA.search(refusal)):
        return False
    used, limited = (dict(pair.split("=", 1) for pair in said[name].split(",")) for name in ("used", "limited"))
    return any(name in used and quantity(used[name]) > quantity(limit) for name, limit in limited.items())


@contextmanager
def reach(cluster: Cluster, agent: Agent) -> Generator[Pod]:
    """Reach an agent's home: through its own pod if that runs steadily, else through a helper.

    Raises:
        PodError: neither is to be had; a home without a claim is gone with its pod.
    """
    remove_finished(cluster, agent)
    try:
        pod = agent.pod(cluster)
    except PodError:
        if agent.claim is None:
            raise
        pod = None
    if pod and (agent.claim is None or not pod.restarts or datetime.now(UTC) - pod.started > STEADY):
        with pod.held() as shared:
            yield shared
    else:
        with helper_pod(cluster, agent) as helper:
            yield helper


def remove_finished(cluster: Cluster, agent: Runner) -> list[str]:
    """Remove the helpers of an agent that ended, or whose run did; returns their names.

    Anybody may have put our labels on a pod. Its name nobody can change: one that we would not give is not ours.
    """
    found = cluster.list("Pod", f"{LABEL}={MANAGER},{OF}={label_of(agent)}")
    ended = {
        str(pod["metadata"]["name"]): str(pod["metadata"]["uid"])
        for pod in found
        if _NAME.fullmatch(str(pod["metadata"]["name"])) and _is_over(pod)
    }
    for name, uid in ended.items():
        cluster.delete("Pod", name, uid, grace=0)
    return list(ended)


def _is_over(pod: Object) -> bool:
    """Tell whether a run that we can name has made a pod, and either of them has ended."""
    by = str(part(pod, "metadata", "annotations").get(OWNER) or "")
    return is_owner(by) and (at(pod, "status", "phase") in ("Succeeded", "Failed") or is_dead(by))


def _pod(name: str, agent: Agent, template: Object, claim: str | None, node: str | None) -> Object:
    names = [volume for volume, mounted in claims_of(template).items() if claim and mounted == agent.claim]
    if claim and not names:
        raise PodError(
            f"Deployment {agent.deployment} does not mount claim {agent.claim}",
            "bring the release back to the version of the backup first (helm rollback), then run again",
        )
    mounts = [m for m in parts(container_of(template, agent), "volumeMounts") if m["name"] in names]
    return own_pod(
        name,
        agent,
        template,
        command=WAITS,
        lifetime=LIFETIME,
        node=node,
        volumes=[{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name in names],
        container={"stdin": True, "stdinOnce": True, "volumeMounts": mounts},
    )


def near(pod: Object, node: str | None) -> Object:
    """Return a pod that the scheduler puts on a node, if one is given: a claim that waits for its first pod needs one.

    An agent's volumes must all be had where its pod will be.
    """
    if node is None:
        return pod
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [field]}}
    return {**pod, "spec": {**pod["spec"], "affinity": {"nodeAffinity": required}}}


def _node_of_ours(cluster: Cluster, agent: Agent) -> str | None:
    """Return the node of this run's helper for another volume of the agent, where the claim is to be bound yet."""
    if not agent.volume or at(cluster.get("PersistentVolumeClaim", str(agent.claim)), "status", "phase") == "Bound":
        return None  # a volume that is there is where the agent's pod was
    ours = cluster.list("Pod", f"{LABEL}={MANAGER},{OF}={label_of(agent)}")
    mine = (pod for pod in ours if is_own(pod))
    return next((node for pod in mine if (node := at(pod, "spec", "nodeName"))), None)


def new_name(agent: Runner) -> str:
    """Return a name for a helper of an agent."""
    return f"{PREFIX}{agent.name[:40].rstrip('-.')}-{token_hex(4)}"


def _templates(cluster: Cluster, agent: Agent, deployment: Object) -> Iterator[Object]:
    """Yield the Deployment's pod spec, then it with image and placement of its older ReplicaSets, newest first.

    Each comes once, and once more with the image of the node where the agent's own policy is to ask the registry.
    """
    sets = cluster.list("ReplicaSet", agent.selector)
    sets.sort(key=lambda s: int(part(s, "metadata", "annotations").get("deployment.kubernetes.io/revision", 0)))
    own = part(deployment, "spec", "template", "spec")
    seen: list[Object] = []
    for source in (deployment, *reversed(sets)):
        theirs = part(source, "spec", "template", "spec")
        for container in parts(theirs, "containers"):
            if container["name"] != agent.container:
                continue
            image = {key: container[key] for key in ("image", "imagePullPolicy") if key in container}
            for policy in ({}, {} if image.get("imagePullPolicy") in _LOCAL else {"imagePullPolicy": "IfNotPresent"}):
                one = {**container_of(own, agent), **image, **policy}
                template = {**own, **{key: theirs.get(key) for key in _PLACED}, "containers": [one]}
                if template not in seen:
                    seen.append(template)
                    yield template


def node_of(cluster: Cluster, agent: Runner) -> str | None:
    """Return the node where a pod of the agent holds the volume now: a ReadWriteOnce volume is to be had there only."""
    return next((at(pod, "spec", "nodeName") for pod in cluster.list("Pod", agent.selector)), None)


def started(cluster: Cluster, name: str, container: str, timeout: float) -> str | None:
    """Wait until a helper runs; returns the reason if its image cannot be had, or no node takes it.

    Args:
        container: its own one; others may have been injected.
        timeout: seconds in which a node must take it.
    """
    problem: list[str] = []
    late = time.monotonic() + timeout

    def unready() -> str | None:
        pod = cluster.get("Pod", name)
        if at(pod, "status", "phase") == "Running":
            return None
        statuses = [s for s in parts(pod, "status", "containerStatuses") if s["name"] == container]
        reason = str(at(statuses[0], "state", "waiting", "reason")) if statuses else pending(pod)
        if at(pod, "status", "phase") == "Failed":
            problem.append(str(at(pod, "status", "message") or at(pod, "status", "reason") or "it ended at once"))
            return None
        if reason in UNPULLABLE or (not at(pod, "spec", "nodeName") and time.monotonic() > late):
            problem.append(reason)
            return None
        return reason

    try:
        wait(
            unready,
            what=f"the start of helper pod {name}",
            timeout=START,
            next_step=f"{command('kubectl', '-n', cluster.namespace, 'describe', 'pod', name)} shows why",
        )
    except Broken:
        raise
    except SopError as error:
        return error.problem
    return problem[0] if problem else None


def without_account(deployment: Object) -> Object:
    """Return a Deployment that the cluster has not yet without its account: that may not be there either."""
    spec = part(deployment, "spec", "template", "spec")
    kept = {key: value for key, value in spec.items() if key not in ("serviceAccount", "serviceAccountName")}
    template = {**part(deployment, "spec", "template"), "spec": kept}
    return {**deployment, "spec": {**part(deployment, "spec"), "template": template}}


def pending(pod: Object) -> str:
    """Return in the cluster's words why a pod does not run yet."""
    conditions = [c for c in parts(pod, "status", "conditions") if c.get("status") == "False"]
    return "; ".join(str(c.get("message") or c.get("reason")) for c in conditions) or "Pending"


@contextmanager
def attached(cluster: Cluster, name: str) -> Generator[None]:
    """Stay attached to the standard input of a pod that ``WAITS``: it ends when this attachment does."""
    with stream(cluster.kubectl("attach", "-i", "-q", names.subdomain(name, "pod")), env=cluster.env) as attached:
        attached.write(b"\n")
        yield
