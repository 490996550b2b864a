"""An agent's volume in a helper pod, beside a backup's home: may it be written, and what must change (SOP 5.1)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openab_sop import temporary
from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import helper_pod
from openab_sop.agents.own_pod import is_own
from openab_sop.agents.workload import claims_of
from openab_sop.backups.backup import CONTENTS, HOME, Backup, StoredAgent
from openab_sop.backups.inventory import comparison
from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.cluster.pod import Pod
from openab_sop.errors import BackupError, Broken
from openab_sop.escape import command
from openab_sop.journal import Journal
from openab_sop.objects import Object, at, part
from openab_sop.restores.changes import VolumeSince
from openab_sop.restores.volume import Volume, VolumeChange, packed
from openab_sop.verdict import Finding

Progress = Callable[[str, int, int], None]
"""Told an agent's name, the bytes that were sent to it and those that are to be."""
Since = Callable[[Sequence[str]], VolumeSince]
"""Takes ``may_vanish`` as ``VolumeSince`` has it."""

RESTORED = f"{MANAGER}/restored-from"
"""Annotation of a claim that was new and empty: the backup that went, or goes, into it, as ``markers`` writes it."""
FILLING = f"{MANAGER}/filling"
"""Annotation of a claim that a rebuild fills, until it is proved: so long there is nothing on it to lose."""
_PROOF = 32
"""Characters of what proves a mark."""


@dataclass(frozen=True)
class MountedVolume:
    """A volume that no agent writes to, and what must change on it.

    Attributes:
        archive: the backup's, as it was when it was backed up.
        since: tells what had become of it.
        kept: paths of logins that are newer on it, and stay.
    """

    agent: Agent
    stored: StoredAgent
    archive: Path
    volume: Volume
    change: VolumeChange
    since: Since
    kept: tuple[str, ...] = ()

    @property
    def must_change(self) -> bool:
        """Whether it is not as the backup says."""
        return bool(self.change.write or self.change.remove)

    def unfit(self) -> Iterator[Finding]:
        """Say why the volume cannot be written: somebody else has it, or it is too small."""
        pod = self.volume.pod
        if others := pods_with(pod.cluster, self.agent.claim):
            yield in_use(pod.cluster, self.agent.claim, others)
        yield from self.too_small()

    def too_small(self) -> Iterator[Finding]:
        """Say whether the volume lacks room for what is to be written; the holes of its files take none."""
        free, size = self.volume.free(), self.change.size
        if size > free and (size := packed(self.archive, set(self.change.write))) > free:
            yield Finding(
                f"claim {self.agent.claim}",
                f"{free} bytes are free on it",
                f"room for {size} bytes that are to be written",
                "enlarge the claim, or restore into a larger one",
            )

    def write(self, journal: Journal, progress: Progress) -> str | None:
        """Make the volume as the backup says; returns what was done, None if it is so already."""
        change, name = self.change, self.agent.key
        if not self.must_change:
            return None
        with journal.action("restore volume", agent=name, write=len(change.write), remove=len(change.remove)):
            for sent in self.volume.apply(change, self.archive):
                progress(name, sent, change.size)
        return f"{len(change.write)} written, {len(change.remove)} removed"


@contextmanager
def mount(
    cluster: Cluster,
    agent: Agent,
    stored: StoredAgent,
    source: Backup,
    *,
    below: tuple[str, ...] = (),
    deployment: Object | None = None,
    keep_logins: bool = False,
    helper: Pod | None = None,
) -> Generator[MountedVolume]:
    """Mount an agent's volume in a helper pod and look at it.

    Args:
        helper: one that mounts it; None makes one for this volume alone.
        below: paths of the home that the look is confined to; empty for all of it.
        deployment: the agent's Deployment, where the cluster has none yet.
        keep_logins: whether logins that are newer on the volume stay.

    Raises:
        PodError: no helper can be started.
    """
    own = nullcontext(helper) if helper else helper_pod(cluster, agent, deployment=deployment, good=stored.image)
    place = temporary.scratch(source.scratch)
    with place as scratch, own as reached, reached.held() as pod, comparison(scratch) as table:
        volume = Volume(pod, agent.home, agent.excluded_mounts, table, source.file(f"{stored.key}/{CONTENTS}"), below)
        volume.look()
        since = partial(VolumeSince, volume, stored, source, scratch, table)
        kept = volume.keep_newer_logins(agent.inside) if keep_logins else ()
        yield MountedVolume(agent, stored, source.file(f"{stored.key}/{HOME}"), volume, volume.change(), since, kept)


class Helpers:
    """One helper pod for each agent, with all of its volumes: so it fits where the agent's own pod does (issue 12).

    Args:
        volumes: those that are mounted, with what the backup knows of each.
        deployments: by name, the Deployments that the cluster has not yet, or not so.
        stack: ends them.
    """

    def __init__(
        self,
        cluster: Cluster,
        volumes: Iterable[tuple[Agent, StoredAgent]],
        deployments: Mapping[str, Object],
        stack: ExitStack,
    ) -> None:
        self._cluster = cluster
        self._volumes = list(volumes)
        self._deployments = deployments
        self._stack = stack
        self._pods: dict[str, Pod] = {}

    def of(self, agent: Agent) -> Pod:
        """Return the helper of an agent; it is started for the first of its volumes.

        Raises:
            PodError: it cannot be started.
        """
        name = agent.deployment
        if name not in self._pods:
            mine = [(volume, stored) for volume, stored in self._volumes if volume.deployment == name]
            helper = helper_pod(
                self._cluster,
                agent,
                deployment=self._deployments.get(name),
                good=next((stored.image for _, stored in mine), None),
                beside=[volume for volume, _ in mine],
            )
            self._pods[name] = self._stack.enter_context(helper)
        return self._pods[name]


class MountedVolumes:
    """The volumes of one restore in helper pods; where the line to them broke, they are mounted anew.

    Args:
        each: yields a way to mount each of them; what it enters into the stack ends with them.

    Attributes:
        mounted: the volumes, also when they are let go.
        looks: how often they were looked at from the beginning.
    """

    def __init__(self, each: Callable[[ExitStack], Iterator[AbstractContextManager[MountedVolume]]]) -> None:
        self.mounted: list[MountedVolume] = []
        self.looks = 0
        self._each = each
        self._stack = ExitStack()
        self._broken = False

    def begin(self) -> list[MountedVolume]:
        """Mount them and look at them, from the beginning.

        Raises:
            PodError: no helper can be started.
        """
        self._stack.close()
        self.mounted = [self._stack.enter_context(one) for one in self._each(self._stack)]
        self._broken, self.looks = False, self.looks + 1
        return self.mounted

    @contextmanager
    def unbroken(self) -> Generator[list[MountedVolume]]:
        """Give them to a step; where the line broke in one, the next try finds them looked at anew.

        Raises:
            BackupError: somebody else has one by now, or it has become too small.
        """
        if self._broken and (unfit := [finding for mounted in self.begin() for finding in mounted.unfit()]):
            raise BackupError("; ".join(map(str, unfit)), "fix what it names, then run the same command again")
        try:
            yield self.mounted
        except Broken:
            self._broken = True
            raise

    def close(self) -> None:
        """Let them go; who wants them again looks at them anew."""
        self._broken = bool(self.mounted)
        self._stack.close()


def markers(claim: Object, which: Iterable[str], source: Backup, stored: StoredAgent) -> dict[str, str]:
    """Return the annotations by which a claim has markers of a backup: its name, and what only its holder can write.

    The proof is made from the digest of the volume's Contents, which stands nowhere on the cluster, and of the claim's
    UID: who may annotate claims, and has no copy of the backup, can neither write one nor move one (issue 14). Any
    machine that has the backup can go on.

    Args:
        claim: as the API has it, or as it is to be made for a volume that is named.
        which: ``RESTORED``, ``FILLING``.
        stored: what goes into it.
    """
    uid = at(claim, "metadata", "uid")
    about = f"uid:{uid}" if uid else f"volume:{at(claim, 'spec', 'volumeName')}"
    return {marker: f"{source.manifest.name} {_proof(marker, about, source, stored)}" for marker in which}


def has_marker(claim: Object, marker: str, source: Backup, stored: StoredAgent) -> bool:
    """Tell whether a claim has the marker ``RESTORED`` or ``FILLING`` of a backup, as ``markers`` writes it."""
    said = str(part(claim, "metadata", "annotations").get(marker) or "")
    name, _, proof = said.partition(" ")
    if name != source.manifest.name:
        return False
    about = (f"uid:{at(claim, 'metadata', 'uid')}", f"volume:{at(claim, 'spec', 'volumeName')}")
    return any(hmac.compare_digest(proof.encode(), _proof(marker, one, source, stored).encode()) for one in about)


def _proof(marker: str, about: str, source: Backup, stored: StoredAgent) -> str:
    key = source.manifest.listed(f"{stored.key}/{CONTENTS}").sha256.encode()
    return hmac.digest(key, f"{marker} {about}".encode(), "sha256").hex()[:_PROOF]


def pods_with(cluster: Cluster, claim: str | None) -> list[Object]:
    """Return the pods that have a claim, or wait for it, but for this run's own."""
    return [
        pod
        for pod in cluster.all("Pod")
        if at(pod, "status", "phase") not in ("Succeeded", "Failed")
        and not is_own(pod)
        and claim in claims_of(part(pod, "spec")).values()
    ]


def in_use(cluster: Cluster, claim: str | None, pods: Iterable[Object]) -> Finding:
    """Say who holds a claim that nobody but us may hold."""
    names = [str(pod["metadata"]["name"]) for pod in pods]
    return Finding(
        f"claim {claim}",
        f"it is in use by {', '.join(names)}",
        "no pod but ours has it",
        f"{command('kubectl', '-n', cluster.namespace, 'delete', 'pod', *names)}, then run again",
    )
