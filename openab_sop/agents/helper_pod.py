"""A short-lived pod that holds an agent's volume while the agent does not (issue: pod not running; SOP 5.1).

It runs the agent's own image as the agent's own user and mounts nothing but the claim, where the agent has it; of the
agent's variables it has those that name a part of the claim. It lives
as long as this process is attached to its standard input: when we die, however we die, it ends by itself. What is left
then is a finished pod, which holds no volume; the next run removes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from secrets import token_hex

from openab_sop import names
from openab_sop.agents.agent import Agent, Runner
from openab_sop.agents.mount_environment import expression_of
from openab_sop.agents.own_pod import LABEL, OF, container_of, create, is_own, label_of, own_pod
from openab_sop.agents.quota import QuotaRefusal, by_quality, counts, usage
from openab_sop.agents.unplaceable import Unplaced
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import MANAGER, OWNER, Cluster
from openab_sop.cluster.owner import is_dead, is_owner
from openab_sop.cluster.pod import Pod
from openab_sop.errors import Broken, Forbidden, PodError, SopError
from openab_sop.escape import command, one_line
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
COUNTED = 10
"""Seconds in which a quota has taken notice of a pod that was removed."""
AT_ONCE = 4
"""Helpers that are tried beside each other."""
UNPULLABLE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
"""Why a container waits whose image cannot be had, as kubelet names it."""
UNCREATED = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
"""Why a container waits that cannot be made as it is: a Secret, a key or a variable is nowhere."""
UNCREATED_FOR = 15
"""Seconds after which such a reason has lasted: kubelet has tried again by then, and what was only late is there."""
NAME_OTHERWISE = (
    "name the part by what is the same for each pod (a value, a label of the template, a Secret's key), or use "
    "subPath, and move the data there"
)
"""What helps against a part of a volume that only the agent's own pod can mount."""
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
    beside: Collection[Agent] = (),
) -> Generator[Pod]:
    """Run a helper for an agent, and remove it whatever happens in the block.

    Image and placement are the Deployment's, else the newest of its older ReplicaSets' that can be started. An image is
    had as the agent has it, else from the node itself: one that only the node knows by now still starts.

    Args:
        instead: makes a claim of the helper's own name, which is mounted in place of the agent's. Called with the
            helper, which shall own the claim and then takes it along when it is removed.
        deployment: the agent's Deployment, where the cluster has none yet.
        good: the image that is known to be good, where the Deployment's may not be: it is tried first.
        bare: whether it is without volumes, as it is tried beside the agent: an empty directory is in the place of each
            whose part variables name.
        beside: the agent with further volumes, which the same helper mounts too.

    Raises:
        PodError: no image could be started, or the volume is not to be had.
        ClusterError: the API refused.
    """
    remove_finished(cluster, agent)
    live = cluster.get("Deployment", agent.deployment) if deployment is None else deployment
    mounted = _volumes_of(agent, Workload(live), [agent.claim, *(volume.claim for volume in beside)], bare=bare)
    deployment = live if deployment is None else without_account(deployment)
    reasons: list[str] = []
    templates = list(_templates(cluster, agent, deployment))
    templates.sort(key=lambda template: good not in (None, container_of(template, agent)["image"]))
    for template in templates:
        name = new_name(agent)
        node = None if instead else node_of(cluster, agent)
        if bare:  # the scheduler is asked too: after a stop it is
            pod = near(_pod(name, agent, template, mounted, None), node)
        else:
            pod = _pod(name, agent, template, mounted.instead(name) if instead else mounted, node)
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

    So it is known that image, admission, scheduler, quota, the variables of its mounts and the caller's rights let one
    run when it is needed (SOP 4.3).

    Args:
        good: by Deployment, the image that is known to be good.
        deployments: by name, as they are to be where the cluster's own are otherwise.

    Returns:
        By agent what came of it, in words. Room that is only missing while the agent has its own is no failure.

    Raises:
        PodError, ClusterError: none starts, or a quota has no room for all of them even when the agents have stopped;
            nothing was stopped yet.
    """

    refused: dict[str, str] = {}

    def tried(agent: Agent) -> str:
        begun, name = time.monotonic(), agent.deployment
        try:
            like = (deployments or {}).get(name)
            with helper_pod(cluster, agent, deployment=like, good=(good or {}).get(name), bare=True) as pod:
                pod.capture("true", "/")
        except (Forbidden, PodError) as trouble:
            if not _FULL.search(trouble.problem) or is_overdrawn(trouble.problem):
                raise
            refused[name] = trouble.problem
            return f"not tried: no room for another pod while the agent runs ({trouble.problem})"
        return f"starts within {time.monotonic() - begun:.1f} s"

    alone = {agent.deployment: agent for agent in agents}
    with ThreadPoolExecutor(AT_ONCE) as several:
        found = dict(zip(alone, several.map(tried, alone.values()), strict=True))
    for name in list(refused):  # beside each other they may have taken the room from one another
        del refused[name]
        found[name] = tried(alone[name])
    _require_quota(cluster, alone, refused)
    return found


def _require_quota(cluster: Cluster, agents: Mapping[str, Agent], refused: Mapping[str, str]) -> None:
    """Stop if a quota will not have room for all helpers at once when the agents have stopped.

    Every quota is asked, not only that which has refused one: the API names the first. What was removed just now is
    counted for a moment still.

    Args:
        agents: by Deployment, those that are to be stopped; a helper for each runs at once.
        refused: by Deployment, how its helper was refused.
    """
    said = {name: one for name, text in refused.items() if (one := QuotaRefusal.parse(text))}
    late = time.monotonic() + COUNTED
    own: dict[str, Object] | None = None
    while True:
        quotas: list[Object] | None = None
        with suppress(Forbidden):
            quotas = cluster.all("ResourceQuota")
        if not quotas and not said:
            return
        if own is None:
            own = {name: _own_spec(cluster, agent) for name, agent in agents.items()}
        if not (lacking := _lacking(cluster, agents, own, quotas, said)):
            return
        if quotas is None or time.monotonic() > late:
            raise PodError(
                f"the helper pods of {', '.join(agents)} will not be admitted: {lacking}",
                f"{command('kubectl', '-n', cluster.namespace, 'describe', 'quota')} shows who has it; have it raised "
                "for the time, then run again; nothing was stopped",
            )
        time.sleep(1)


def _lacking(
    cluster: Cluster,
    agents: Mapping[str, Agent],
    own: Mapping[str, Object],
    quotas: Iterable[Object] | None,
    said: Mapping[str, QuotaRefusal],
) -> str:
    """Say what the first quota lacks that has not enough room; one that may not be read counts every pod."""
    stopping = [pod for agent in agents.values() for pod in cluster.list("Pod", agent.selector)]
    if quotas is None:
        asked = [(one, None) for one in {one.quota: one for one in said.values()}.values()]
    else:
        asked = [(QuotaRefusal.read(quota), quota) for quota in quotas if not by_quality(quota)]
    for one, quota in asked:
        helpers = [
            said[name].requested if name in said and said[name].quota == one.quota else usage(pod)
            for name, pod in own.items()
            if counts(quota or {}, pod)
        ]
        if helpers and (lacking := one.lacking(helpers, stopping, quota)):
            return lacking
    return ""


def _own_spec(cluster: Cluster, agent: Agent) -> Object:
    """Return what a quota counts of an agent's helper: it has a deadline, and at most the resources of the agent."""
    workload = Workload(cluster.get("Deployment", agent.deployment))
    priority = workload.pod.get("priorityClassName")
    spec = {"activeDeadlineSeconds": LIFETIME, "priorityClassName": priority, "containers": [workload.container]}
    return {"spec": spec}


def is_overdrawn(refusal: str) -> bool:
    """Tell whether a quota is smaller than what runs by now: whatever stops does not start again (SOP 4.3)."""
    said = QuotaRefusal.parse(refusal)
    return said is not None and said.is_overdrawn


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


@dataclass(frozen=True)
class _Volumes:
    """What a helper mounts, and the variables that the mounts need."""

    volumes: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    env: tuple[Object, ...] = ()

    def instead(self, claim: str) -> _Volumes:
        """Return the same with another claim."""
        source = {"claimName": claim}
        return replace(self, volumes=tuple({**v, "persistentVolumeClaim": source} for v in self.volumes))


def _volumes_of(agent: Agent, workload: Workload, claims: Collection[str | None], *, bare: bool) -> _Volumes:
    """Return what a helper mounts of an agent: these claims, or what is in their place in a bare one.

    Of a claim, parts that no other pod can mount are left out: they are beside what the helper is for.

    Raises:
        PodError: what it is for is such a part, or is not mounted.
    """
    _require_mountable(workload, PurePosixPath(agent.home))
    had = workload.claims
    lacking = [claim for claim in claims if claim and claim not in had.values()]
    if lacking and not bare:
        raise PodError(
            f"Deployment {agent.deployment} does not mount claim {', '.join(lacking)}",
            "bring the release back to the version of the backup first (helm rollback), then run again",
        )
    environment = workload.mount_environment
    mounts = [
        mount
        for mount in parts(workload.container, "volumeMounts")
        if mount["name"] in had
        and (expression_of(mount) if bare else had[mount["name"]] in claims)
        and not environment.cannot_be_met(expression_of(mount))
    ]
    volumes = (
        {"name": name, **({"emptyDir": {}} if bare else {"persistentVolumeClaim": {"claimName": had[name]}})}
        for name in dict.fromkeys(mount["name"] for mount in mounts)
    )
    return _Volumes(tuple(volumes), tuple(mounts), tuple(environment.kept(map(expression_of, mounts))))


def require_mountable(workloads: Iterable[Workload]) -> None:
    """Stop if only an agent's own pod could mount its home, as these are to be.

    Raises:
        PodError: the message names mount and variable.
    """
    for workload in workloads:
        if workload.is_agent and workload.home:
            _require_mountable(workload, workload.home)


def _require_mountable(workload: Workload, path: PurePosixPath) -> None:
    if unmet := workload.unmet(path):
        raise PodError(f"no helper pod can mount a volume of agent {workload.name}: {unmet}", NAME_OTHERWISE)


def _pod(name: str, agent: Agent, template: Object, mounted: _Volumes, node: str | None) -> Object:
    env = {"env": list(mounted.env)} if mounted.env else {}
    return own_pod(
        name,
        agent,
        template,
        command=WAITS,
        lifetime=LIFETIME,
        node=node,
        volumes=mounted.volumes,
        container={"stdin": True, "stdinOnce": True, "volumeMounts": list(mounted.mounts), **env},
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
    """Wait until a helper runs; returns the reason if its container cannot be had or made, or no node takes it.

    Args:
        container: its own one; others may have been injected.
        timeout: seconds in which a node must take it.
    """
    problem: list[str] = []
    late = time.monotonic() + timeout
    uncreated: list[float] = []
    unplaced = Unplaced()

    def unready() -> str | None:
        pod = cluster.get("Pod", name)
        if at(pod, "status", "phase") == "Running":
            return None
        if at(pod, "status", "phase") == "Failed":
            problem.append(str(at(pod, "status", "message") or at(pod, "status", "reason") or "it ended at once"))
            return None
        statuses = [s for s in parts(pod, "status", "containerStatuses") if s["name"] == container]
        waiting = part(statuses[0], "state", "waiting") if statuses else {}
        reason = str(waiting.get("reason")) if statuses else pending(pod)
        if reason in UNCREATED:
            uncreated.append(time.monotonic())
        else:
            uncreated.clear()
        seen = one_line(f"{reason}: {waiting['message']}") if waiting.get("message") else reason
        late_now = time.monotonic() > late and not at(pod, "spec", "nodeName")
        if reason in UNPULLABLE or late_now or (uncreated and uncreated[-1] - uncreated[0] > UNCREATED_FOR):
            problem.append(seen)
            return None
        if hopeless := unplaced.hopeless(cluster, pod):
            problem.append(f"{hopeless}; the scheduler says: {seen}")
            return None
        return seen

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
