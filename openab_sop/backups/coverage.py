"""What of a release's data no backup has, in words: said at the time of the backup, not when it is missed (SOP 2).

A backup has what agents write to claims. What else keeps data is named here: volumes of other kinds, claims that an
agent only reads, those that other containers and companions have, and those that others write to as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openab_sop.agents.agent import Agent
from openab_sop.agents.own_pod import LABEL
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import MANAGER
from openab_sop.objects import Object, at, part, parts
from openab_sop.releases.manifest import Manifest
from openab_sop.releases.release import Release

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


def of(release: Release) -> tuple[str, ...]:
    """Return what of a release's data a backup will not have.

    Raises:
        ClusterError: the API did not answer, or refused.
    """
    cluster = release.cluster
    rendered = Manifest.parse(release.helm.record(release.name, release.revision).manifest).workloads
    live = {w.name: cluster.find("Deployment", w.name) for w in rendered if w.kind == "Deployment"}
    found = (Workload(live.get(w.name) or w.body) if w.kind == "Deployment" else w for w in rendered)
    return tuple(dict.fromkeys(uncovered(found, cluster.all("Pod"))))


def uncovered(workloads: Iterable[Workload], pods: Iterable[Object]) -> Iterator[str]:
    """Yield what holds data and is in no backup, with what mounts it.

    Args:
        workloads: what of the release keeps pods running, as it is on the cluster.
        pods: every pod of the namespace.
    """
    every = list(workloads)
    own = {claim: workload for workload in every for claim in workload.claims.values()}
    for workload in every:
        held = set[str]()
        if workload.is_agent:
            agent = Agent.of(workload.body)
            held = {volume.claim for volume in agent.volumes if volume.claim}
            if agent.claim is None:
                yield f"{workload.name}: {agent.home} is on no claim; it is copied, and a restore has nowhere to put it"
        for claim in sorted({*workload.claims.values()} - held):
            yield f"{workload.name}: claim {claim}, which {_why(workload, claim)}"
        for volume in parts(workload.pod, "volumes"):
            for kind in sorted(volume.keys() - _NOTHING_TO_KEEP):
                yield f"{workload.name}: volume {volume['name']} ({kind}), which is no claim"
        for template in parts(workload.body, "spec", "volumeClaimTemplates"):
            yield f"{workload.name}: the claims of {at(template, 'metadata', 'name')}, which each of its pods has"
    yield from _shared(own, pods)


def _why(workload: Workload, claim: str) -> str:
    if not workload.is_agent:
        return "is no agent's"
    if any(mount.claim == claim for mount in workload.mounts):
        return "the agent only reads"
    return "another container of the pod has, and the agent has not"


def _shared(own: dict[str, Workload], pods: Iterable[Object]) -> Iterator[str]:
    """Yield the release's claims that somebody else's pods have too: a restore does not stop these."""
    for pod in pods:
        labels = part(pod, "metadata", "labels")
        for volume in parts(pod, "spec", "volumes"):
            claim = str(at(volume, "persistentVolumeClaim", "claimName") or "")
            if claim in own and not own[claim].selects(labels) and not _ours(labels):
                yield f"claim {claim} is used by pod {pod['metadata']['name']} too, which no restore stops"


def _ours(labels: Object) -> bool:
    return labels.get(LABEL) == MANAGER
