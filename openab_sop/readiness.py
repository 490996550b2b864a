"""Whether this machine, this caller and this cluster can do what is wanted, before anything is done (SOP 0)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from openab_sop import bounded, process, rights, storage
from openab_sop.agents.helper_pod import NAME_OTHERWISE, reach
from openab_sop.backups import coverage, listing
from openab_sop.backups.store import Store
from openab_sop.cluster import helm
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import BackupError, ClusterError, PodError, SopError, ToolError
from openab_sop.escape import command
from openab_sop.objects import at
from openab_sop.releases.release import Release

SKEW = 60
"""Seconds that this machine's clock and the cluster's may differ: backups are named and aged by it."""
SKEW_OF_VERSIONS = 1
"""Minor versions that kubectl and the cluster may be apart (https://kubernetes.io/releases/version-skew-policy/)."""
READS = frozenset({"readiness", "preparation", "target", "plan", "backup", "verify"})
"""Stages that change nothing."""
HELPED = frozenset({"rehearsal", "upgrade", "rollback", "restore"})
"""Stages that cannot do without helper pods: they lead back, or onto a volume that no agent has meanwhile."""
ROOM = 64 << 20
"""Bytes that must be free under the backup root before the size of any home is known."""


@cache
def kubectl_version() -> str:
    """Return the version of kubectl, "v1.36.3" (SOP 0.1).

    Raises:
        ToolError: it is missing or does not tell.
    """
    said = process.run(["kubectl", "version", "--client", "--output=json"]).stdout
    try:
        return str(bounded.load_json(said, "what kubectl says")["clientVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError("kubectl does not tell its version", "check it with: kubectl version --client") from error


def check_skew_of_versions(kubectl: str, server: str, stages: Sequence[str]) -> str:
    """Stop if kubectl is more than one minor version away from the cluster (Kubernetes' version skew policy).

    For stages that only read, the next minor version is let pass.

    Returns:
        Both versions in words, with a warning if they are too far apart.

    Raises:
        ToolError: they are.
    """
    apart, said = abs(_minor(kubectl) - _minor(server)), f"kubectl {kubectl}, cluster {server}"
    if apart <= SKEW_OF_VERSIONS:
        return said
    problem = f"kubectl is {kubectl} and the cluster {server}: more than one minor version apart"
    next_step = f"install kubectl {'.'.join(server.split('.')[:2])}"
    if apart == SKEW_OF_VERSIONS + 1 and READS.issuperset(stages):
        return f"WARNING: {problem}; {next_step} before anything is changed"
    raise ToolError(problem, next_step)


def check_caller(cluster: Cluster) -> str:
    """Check that kubectl, whose streams we use, and our own requests are the same user to the API (SOP 0.4).

    Returns:
        Who that is, in words.

    Raises:
        ClusterError: they are not.
    """
    ours = cluster.caller()
    if ours is None:
        return "not told: this cluster has no SelfSubjectReview, or does not let the caller ask"
    asked = cluster.kubectl("auth", "whoami", "--output=json")
    try:
        said = process.run(asked, env=cluster.env).stdout
    except ToolError:
        cluster.version()  # once more, when the cluster answers
        said = process.run(asked, env=cluster.env).stdout
    theirs = str(at(bounded.load_json(said, "what kubectl says"), "status", "userInfo", "username"))
    if ours != theirs:
        raise ClusterError(
            f"the cluster knows kubectl as {theirs}, and our own requests as {ours}",
            "look what stands between: a proxy, a kuberc, or another kubectl on PATH; choose --context=NAME",
        )
    return ours


def check_permissions(cluster: Cluster, stages: Sequence[str]) -> list[str]:
    """Ask the API for each right that the stages need (SOP 0.4); returns what was asked.

    Raises:
        ClusterError: some are missing; the message lists them all.
    """
    needed = sorted({str(access): access for stage in stages for access in rights.NEEDED.get(stage, ())}.items())
    missing = [name for name, access in needed if not cluster.allowed(access)]
    if missing:
        raise ClusterError(
            f"in namespace {cluster.namespace} this caller may not: {', '.join(missing)}",
            f"have somebody grant them: python -m openab_sop.rights {' '.join(_with_rights(stages))} prints the roles; "
            "or choose another context with --context=NAME",
        )
    return [name for name, _ in needed]


def check_namespace(cluster: Cluster, stages: Sequence[str]) -> str:
    """Stop if the namespace does not exist, unless a stage makes it and the caller may (SOP 0.3); returns its state.

    Raises:
        ClusterError: it does not, or it is being deleted.
    """
    phase = cluster.namespace_phase()
    if "rebuild" not in stages:
        if phase is None:
            raise ClusterError(
                f"namespace {cluster.namespace} (from {cluster.access.namespace_origin}) does not exist "
                f"on the cluster of context {cluster.access.context}",
                "choose it with --namespace=NAME; kubectl get namespaces shows all",
            )
    elif phase is None and not cluster.allowed(rights.MAKE_NAMESPACE):
        raise ClusterError(
            f"namespace {cluster.namespace} does not exist, and this caller may not: {rights.MAKE_NAMESPACE}",
            f"have somebody run: {command('kubectl', 'create', 'namespace', cluster.namespace)}",
        )
    elif phase == "Terminating":
        raise ClusterError(
            f"namespace {cluster.namespace} is being deleted",
            "wait for its end: "
            + command("kubectl", "wait", "--for=delete", "--timeout=10m", f"namespace/{cluster.namespace}"),
        )
    return phase or "absent: the rebuild makes it"


def check_clock(theirs: datetime) -> float:
    """Compare this machine's clock with the cluster's (SOP 0.5); returns the seconds between them.

    Raises:
        SopError: they differ by more than ``SKEW``.
    """
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    if skew > SKEW:
        raise SopError(
            f"this machine's clock and the cluster's differ by {skew:.0f} s",
            "set the clock (NTP), then run again",
        )
    return skew


def check_backup_root(root: Path, store: Store | None) -> int:
    """Check that backups can be written (SOP 0.5); returns the bytes that are free on the local disk.

    Args:
        root: the local backup root.
        store: the one elsewhere.

    Raises:
        BackupError: one cannot be created or written, or is as good as full.
    """
    if store:
        store.check()
    storage.private_directory(root)
    if (free := storage.free(root)) < ROOM:
        raise BackupError(
            f"{root} has {free} bytes free; a backup needs at least {ROOM}",
            f"make room, or name {storage.ANOTHER}",
        )
    return free


def check_room(release: Release, root: Path) -> int:
    """Check that the homes of all agents fit under the backup root together (SOP 0.5); returns what they take.

    Raises:
        BackupError: they do not.
    """
    taken = 0
    for volume in coverage.volumes(release):
        with reach(release.cluster, volume) as pod:
            taken += listing.used(pod, volume.home)
    if (free := storage.free(root)) < taken + ROOM:
        raise BackupError(
            f"the homes take {taken} bytes, and {root} has {free} free",
            f"make room, or name {storage.ANOTHER}",
        )
    return taken


def check_mounts(release: Release, stages: Sequence[str]) -> str:
    """Check that a helper pod can mount each agent's volume, if a stage needs one (SOP 1.2).

    Returns:
        What was found, in words.

    Raises:
        PodError: only the agent's own pod can mount one; nothing was touched.
    """
    if not (needing := [stage for stage in stages if stage in HELPED]):
        return "no stage of this run needs a helper pod"
    if unmet := [f"{volume.key}: {volume.unmet}" for volume in release.mounted if volume.unmet]:
        raise PodError(
            f"{', '.join(needing)} {'needs' if len(needing) == 1 else 'need'} a helper pod, and none can mount "
            + "; ".join(unmet),
            f"{NAME_OTHERWISE}; a backup can be made as it is",
        )
    return f"a helper pod can mount {', '.join(volume.key for volume in release.mounted if volume.claim) or 'nothing'}"


def helm_version() -> str:
    """Return the version of helm, "v4.3.1" (SOP 0.1).

    Raises:
        ToolError: it is missing, or neither 3.13 or later nor 4.
    """
    version = helm.version()
    match = re.match(r"v(\d+)\.(\d+)", version)
    if match is None or not (3, 13) <= (int(match[1]), int(match[2])) < (5, 0):
        raise ToolError(
            f"helm is {version or 'of unknown version'}; supported are 3.13 or later and 4", "install helm 4"
        )
    return version


def _with_rights(stages: Sequence[str]) -> list[str]:
    return [stage for stage in stages if rights.NEEDED.get(stage)]


def _minor(version: str) -> int:
    match = re.match(r"v?\d+\.(\d+)", version)
    if match is None:
        raise ToolError(f"{version!r} is no version of Kubernetes", "check it with: kubectl version")
    return int(match[1])
