"""A claim that has outlived its release: may the release come back onto it, with the data that are there (SOP 5.1).

Since chart 0.8.2-beta.7 an uninstall leaves the claims: that is the usual case. A claim is kept as it is if its volume
is as the backup says; or if it is the very claim that was backed up, or was filled from the backup, and has nothing but
newer files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import helper_pod
from openab_sop.backups.backup import StoredAgent
from openab_sop.cluster.kube import Cluster
from openab_sop.escape import command
from openab_sop.objects import Object, at, part
from openab_sop.releases import portable_objects
from openab_sop.restores.changes import Changes, VolumeSince, names, volume_since
from openab_sop.restores.mounted_volume import RESTORED, has_marker
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from openab_sop.verdict import Finding

RULE = "claim-kept"


@dataclass(frozen=True)
class KeptClaim:
    """A claim that is there, as a rebuild finds it.

    Attributes:
        summary: what is on its volume beside the backup.
        findings: why it may not be kept as it is.
    """

    summary: str
    findings: tuple[Finding, ...] = ()


def examine(
    spec: RebuildSpec, cluster: Cluster, agent: Agent, stored: StoredAgent, live: Object, accepted: Collection[str]
) -> KeptClaim:
    """Compare the volume of a claim that is there, file by file, with what the backup has of it.

    Args:
        agent: the volume, on a claim that is in nobody's use.
        live: the claim.
        accepted: ids of findings that are let pass.

    Raises:
        PodError: no helper can be started.
    """
    claim = str(agent.claim)
    if refused := tuple(_not_ours(spec, cluster, claim, live)):
        return KeptClaim("", refused)
    with (
        helper_pod(cluster, agent, deployment=spec.deployments[agent.deployment], good=stored.image) as pod,
        volume_since(pod, agent, spec.source) as since,
    ):
        own = at(live, "metadata", "uid") == stored.claim_uid or has_marker(live, RESTORED, spec.source, stored)
        reasons = list(_unlike(since, own=own))
    summary = _told(since.changes, own=own)
    if f"{RULE}:{claim}" in accepted:
        return KeptClaim(f"{summary}; accepted all the same: {'; '.join(reasons)}" if reasons else summary)
    return KeptClaim(summary, tuple(_finding(spec, claim, reason) for reason in reasons))


def adopt(spec: RebuildSpec, cluster: Cluster, claim: str, live: Object) -> None:
    """Let Helm take a claim over that the chart makes, as it does with what an uninstall has left."""
    namespace = cluster.namespace
    if spec.rendered(CLAIM, claim) and not portable_objects.belongs(live, spec.release, namespace):
        metadata = {
            "annotations": portable_objects.ownership(spec.release, namespace),
            "labels": portable_objects.HELMS_LABEL,
        }
        cluster.merge(CLAIM, claim, {"metadata": metadata})


def _not_ours(spec: RebuildSpec, cluster: Cluster, claim: str, live: Object) -> Iterator[Finding]:
    """Name a claim that Helm keeps as another release's: nothing lets it pass."""
    notes, mine = part(live, "metadata", "annotations"), portable_objects.ownership(spec.release, cluster.namespace)
    if any(name in notes and notes[name] != value for name, value in mine.items()):
        yield Finding(
            f"claim {claim}",
            f"Helm's annotations say that it is of release {notes.get(next(iter(mine)))}",
            f"a claim of release {spec.release}, or of none",
            f"{command('helm', 'list', '--all-namespaces')} shows whose it is",
        )


def _unlike(since: VolumeSince, *, own: bool) -> Iterator[str]:
    """Say what is neither as in the backup nor newer."""
    if own:
        if gone := tuple(since.gone()):
            yield f"{len(gone)} files of the backup are not on it ({names(gone)})"
        if older := tuple(since.older()):
            yield f"{len(older)} files are not those of the backup, and not newer ({names(older)})"
    elif since.changes != Changes((), (), ()):
        yield f"it is not the claim that was backed up, and not as the backup says: {since.changes}"


def _told(changes: Changes, *, own: bool) -> str:
    if changes == Changes((), (), ()):
        return "as the backup says, by the digests of its files"
    return f"{'the claim of the backup' if own else 'another claim'}; since the backup: {changes}"


def _finding(spec: RebuildSpec, claim: str, reason: str) -> Finding:
    restore = command("pytest", "suites/restore", f"--backup={spec.source.manifest.name}")
    delete = command("kubectl", "-n", spec.source.manifest.namespace, "delete", "pvc", claim)
    return Finding(
        f"claim {claim}",
        f"it is there, and {reason}",
        "no claim, an empty one, or one whose files are those of the backup or newer",
        f"keep it as it is: {command(f'--accept={RULE}:{claim}')} --reason=TEXT, and then, for the backup's data: "
        f"{restore}; or, if nobody needs it: {delete}",
    )
