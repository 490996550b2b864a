"""What of a release's data no backup has, in words: said at the time of the backup, not when it is missed (SOP 2).

A backup has what agents write to claims. What else keeps data is named here: volumes of other kinds, claims that an
agent only reads, those that other containers and companions have, and those that others write to as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from openab_sop import bounded
from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import reach
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import InvalidDocument
from openab_sop.objects import Object, at, part, parts
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.release import Release, claims_of_others
from openab_sop.upstream.configuration import outside

_NOTHING_TO_KEEP = (
    "configMap",
    "downwardAPI",
    "emptyDir",
    "image",
    "name",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
"""What a pod's volume may be without keeping data that a backup lacks; claims are looked at one by one."""


_DIRECTORY = 'if [ -d "$1" ]; then echo yes; fi || status=$?'


def volumes(release: Release) -> tuple[Agent, ...]:
    """Return the volumes that a backup of the release has: a part of a claim may be a single file, and is none.

    Raises:
        PodError: an agent's volume cannot be reached.
    """
    return tuple(volume for volume in release.volumes if volume.part == "." or _is_directory(release, volume))


def _is_directory(release: Release, volume: Agent) -> bool:
    if not volume.volume:
        return True
    with reach(release.cluster, volume) as pod:
        return bool(pod.capture(_DIRECTORY, "/", volume.home))


def of(release: Release, kept: Collection[Agent]) -> tuple[str, ...]:
    """Return what of a release's data a backup will not have.

    Args:
        kept: the volumes that it will have.

    Raises:
        ClusterError: the API did not answer, or refused.
    """
    cluster = release.cluster
    rendered = ReleaseManifest.parse(release.helm.record(release.name, release.revision).manifest).workloads
    live = {w.name: cluster.find("Deployment", w.name) for w in rendered if w.kind == "Deployment"}
    found = [Workload(live.get(w.name) or w.body) if w.kind == "Deployment" else w for w in rendered]
    claims = {volume.claim for volume in release.volumes if volume.claim}
    files = (
        f"{volume.deployment}: {volume.home}, a part of claim {volume.claim} that is a file"
        for volume in release.volumes
        if volume not in kept
    )
    loaded = (told for workload in found if workload.is_agent for told in elsewhere(cluster, workload))
    told = (*uncovered(found, claims), *files, *shared(found, claims, cluster.all("Pod")), *loaded)
    return tuple(dict.fromkeys(told))


def elsewhere(cluster: Cluster, agent: Workload) -> Iterator[str]:
    """Yield what an agent's configuration loads from elsewhere, or runs: a backup cannot have what that brings."""
    args = tuple(map(str, agent.container.get("args") or ()))
    for what in outside(_configuration(cluster, agent), args):
        yield f"{agent.name}: {what}"


def _configuration(cluster: Cluster, agent: Workload) -> Object:
    """Return what an agent's TOML files on the cluster mean; nothing of what cannot be read."""
    found: Object = {}
    for name, *_ in agent.references("ConfigMap"):
        for file, text in part(cluster.find("ConfigMap", name) or {}, "data").items():
            with suppress(InvalidDocument):
                found |= bounded.load_toml(str(text), file) if file.endswith(".toml") else {}
    return found


def uncovered(workloads: Iterable[Workload], kept: Collection[str]) -> Iterator[str]:
    """Yield what holds data and is in no backup, with what mounts it.

    Args:
        workloads: what of the release keeps pods running, as it is on the cluster.
        kept: the claims that the backup has.
    """
    for workload in workloads:
        if workload.is_agent:
            yield from _of_agent(workload)
        for claim in dict.fromkeys(claim for claim in workload.claims.values() if claim not in kept):
            yield f"{workload.name}: claim {claim}, which {_why(workload, claim)}"
        for volume in parts(workload.pod, "volumes"):
            for kind in sorted(volume.keys() - _NOTHING_TO_KEEP):
                yield f"{workload.name}: volume {volume['name']} ({kind}), which is no claim"
        for template in parts(workload.body, "spec", "volumeClaimTemplates"):
            yield f"{workload.name}: the claims of {at(template, 'metadata', 'name')}, which each of its pods has"


def shared(workloads: Iterable[Workload], kept: Collection[str], pods: Iterable[Object]) -> Iterator[str]:
    """Yield the claims in the backup that others' pods have too: a restore does not stop these."""
    agents = [workload for workload in workloads if workload.is_agent]
    for pod, claim in claims_of_others(pods, agents):
        if claim in kept:
            yield f"claim {claim} is used by pod {pod} too, which no restore stops"


def _of_agent(workload: Workload) -> Iterator[str]:
    agent = Agent.of(workload.body)
    if agent.claim is None:
        yield f"{workload.name}: {agent.home} is on no claim; it is copied, and a restore has nowhere to put it"
    if agent.unmet:
        yield (
            f"{workload.name}: {agent.home} is copied from the running pod, and cannot be restored into place: "
            f"{agent.unmet}"
        )
    for mount in workload.not_kept():
        what = "no directory of its own" if mount.is_known else f"named when a pod starts ({mount.inside})"
        yield f"{workload.name}: {mount.path}, a part of claim {mount.claim} that is {what}"


def _why(workload: Workload, claim: str) -> str:
    if not workload.is_agent:
        return "is no agent's alone"
    mounts = [mount for mount in workload.mounts if mount.claim == claim]
    if not mounts:
        return "another container of the pod has, and the agent has not"
    return "the agent only reads" if all(mount.read_only for mount in mounts) else "others write to as well"
