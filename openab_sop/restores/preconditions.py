"""What is in the way of a rebuild: it makes what is not there, and never writes where somebody else has (SOP 5.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from openab_sop.agents import ownership
from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import helper_pod
from openab_sop.agents.own_pod import LABEL
from openab_sop.agents.workload import Workload
from openab_sop.backups.backup import StoredAgent
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import MANAGER, Cluster, quantity
from openab_sop.errors import Forbidden
from openab_sop.escape import command, one_line
from openab_sop.objects import Object, at, part
from openab_sop.releases import authority, portable_objects, provenance
from openab_sop.releases.manifest import RENDERED, ManifestObject, ReleaseManifest
from openab_sop.restores.installation import Installation
from openab_sop.restores.mounted_volume import FILLING, MountedVolume, has_marker, in_use, pods_with
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from openab_sop.verdict import Finding

_NAMED = {
    "serviceAccountName": "ServiceAccount",
    "priorityClassName": "PriorityClass",
    "runtimeClassName": "RuntimeClass",
}
"""What a pod's spec names, by field."""
_ALWAYS = ("ServiceAccount", "default")
"""What Kubernetes makes in each namespace by itself."""
_SOMETHING = "find . -mindepth 1 ! -name lost+found | head -n 1 || status=$?"


def of_another_release(spec: RebuildSpec, namespace: str, release: str | None) -> Iterator[Finding]:
    """Check that a backup is of the namespace and the release that the run is about.

    Args:
        release: value of ``--release``, if any.
    """
    if spec.source.manifest.namespace != namespace:
        yield Finding(
            "backup",
            f"it is of namespace {spec.source.manifest.namespace}",
            f"one of namespace {namespace}, which this run is about",
            f"run again with {command(f'--namespace={spec.source.manifest.namespace}')}",
        )
    if release not in (None, spec.release):
        yield Finding("backup", f"it is of release {spec.release}", f"one of {release}", "leave out --release")


def vanishing(spec: RebuildSpec, helm: Helm, accepted: Collection[str]) -> Iterator[Finding]:
    """Name what the release had and the kept chart does not make from the kept values: it would not come back.

    Args:
        accepted: ids of such findings that are let pass.

    Raises:
        ToolError: it does not render.
    """
    rendered = ReleaseManifest.parse(
        helm.template(spec.release, spec.chart, spec.values.read_text()), RENDERED
    ).parted()[0]
    added = provenance.additions(spec.manifest, lambda: rendered)
    for finding in provenance.findings(added):
        if (id := f"{provenance.RULE}:{finding.subject}") not in accepted:
            yield replace(
                finding, next_step=f"{finding.next_step}; or go without it: {command(f'--accept={id}')} --reason=TEXT"
            )


def powers(
    spec: RebuildSpec, cluster: Cluster, objects: Collection[ManifestObject], accepted: Collection[str]
) -> Iterator[Finding]:
    """Name what a rebuild would bring that reaches beyond the release: a backup may have been written by anybody.

    Nothing that is there counts for it: where the release is uninstalled first, that is gone by then (issue 14).

    Args:
        objects: what the kept chart makes.
        accepted: ids of such findings that are let pass.
    """
    kept = [ManifestObject(str(b["kind"]), str(b["metadata"]["name"]), b) for b in spec.references(rendered=False)]
    every = [*objects, *spec.manifest.objects, *kept]
    wide = frozenset(cluster.wide(item.body for item in every))
    found = authority.powers(every, spec.source.manifest.namespace, wide)
    for (rule, subject), description in authority.beyond(found).items():
        if (id := one_line(f"{rule}:{subject}")) not in accepted:
            yield Finding(
                subject,
                f"the backup brings it, and {description}",
                "a release that keeps to its namespace, has no rights of its own, and is no nearer to the node",
                f"if it was so, and has to be: {command(f'--accept={id}')} --reason=TEXT",
            )


def made_by(spec: RebuildSpec, helm: Helm) -> tuple[ManifestObject, ...]:
    """Return what the kept chart makes from the kept values where it is installed anew, its definitions too.

    Raises:
        ToolError: it does not render.
    """
    return ReleaseManifest.parse(
        helm.template(spec.release, spec.chart, spec.values.read_text(), anew=True), RENDERED
    ).objects


def smaller(spec: RebuildSpec, accepted: Collection[str]) -> Iterator[Finding]:
    """Name the claims that somebody had enlarged: kept chart and values make them as small as before.

    Args:
        accepted: ids of such findings that are let pass.
    """
    for _, stored, claim in spec.with_claims:
        made, had = (_size(body) for body in (spec.rendered(CLAIM, claim) or {}, spec.claim(stored)))
        id = f"claim-smaller:{claim}"
        if made and had and quantity(made) < quantity(had) and id not in accepted:
            yield Finding(
                f"claim {claim}",
                f"it had {had}, and the backup's values make one of {made}: it was enlarged by hand",
                "a claim as large as it was",
                f"go on with the smaller one, and enlarge it as before: {command(f'--accept={id}')} --reason=TEXT",
            )


def _size(claim: Object) -> str | None:
    return at(claim, "spec", "resources", "requests", "storage")


def lacking(spec: RebuildSpec, cluster: Cluster) -> Iterator[Finding]:
    """Name what the pods cannot start without and nobody has: neither chart, nor backup, nor cluster.

    What the caller may not look at is taken to be there.
    """
    there = {(str(body["kind"]), str(body["metadata"]["name"])) for body in spec.references(rendered=False)}
    there |= {(CLAIM, claim) for _, _, claim in spec.with_claims}
    there |= {(item.kind, item.name) for item in spec.manifest.objects}
    yield from not_to_be_mounted(agent for agent, *_ in spec.with_claims)
    for body in spec.deployments.values():
        yield from absent(cluster, Workload(body), there, "it is in neither the chart, the backup nor the cluster")


def absent(cluster: Cluster, workload: Workload, there: Collection[tuple[str, str]], nowhere: str) -> Iterator[Finding]:
    """Name what the pods of a workload cannot start without and the cluster has not.

    Args:
        there: kind and name of what will be there in any case.
        nowhere: where it was looked for, in words.
    """
    for kind, name in dict.fromkeys(needs(workload)):
        if (kind, name) in there:
            continue
        with suppress(Forbidden):
            if cluster.find(kind, name) is None:
                yield Finding(
                    f"{kind} {name}",
                    f"pods of {workload.name} cannot start without it; {nowhere}",
                    "it is there before anything is changed",
                    "create it, then run again: "
                    + command("kubectl", "-n", cluster.namespace, "get", kind.lower(), name),
                )


def not_to_be_mounted(volumes: Iterable[Agent]) -> Iterator[Finding]:
    """Name volumes that only the agent's own pod can mount: no helper can write to them (issue 12)."""
    for agent in volumes:
        if agent.unmet:
            expected = "a part that is named by what is the same for each pod, so that a helper pod can mount it"
            next_step = "name it so in the values, move the data there, and back up anew"
            yield Finding(agent.key, agent.unmet, expected, next_step)


def before_a_stop(
    cluster: Cluster,
    deployment: Object,
    claims: Collection[str],
    brought: Collection[str],
    accepted: Collection[str],
    stopping: Collection[Object],
) -> list[Finding]:
    """Name what would keep an agent from starting again once it was stopped, and who else holds its volumes.

    A helper that a killed run has left is no somebody else: it ends by itself.

    Args:
        claims: those that are to be written to.
        brought: names of the Secrets that the restore brings.
        accepted: ids of findings that are let pass.
        stopping: the Deployments of all agents that are to be stopped.
    """
    agent, ours = Workload(deployment), [Workload(body) for body in stopping]
    findings = list(absent(cluster, agent, {("Secret", name) for name in brought}, "it is not in the namespace"))
    findings += owned(cluster, deployment, accepted)
    for claim in claims:
        pods = [(pod, part(pod, "metadata", "labels")) for pod in pods_with(cluster, claim)]
        others = [
            pod for pod, labels in pods if labels.get(LABEL) != MANAGER and not any(w.selects(labels) for w in ours)
        ]
        findings += [in_use(cluster, claim, others)] if others else []
    return findings


def owned(cluster: Cluster, deployment: Object, accepted: Collection[str]) -> Iterator[Finding]:
    """Name who else would start an agent, or change it back, in the middle.

    Args:
        accepted: ids of such findings that are let pass.
    """
    for finding in ownership.findings(cluster, deployment):
        if (id := f"{ownership.RULE}:{finding.subject}") not in accepted:
            yield replace(
                finding,
                next_step=f"{finding.next_step}; or go on all the same: {command(f'--accept={id}')} --reason=TEXT",
            )


def of_others(spec: RebuildSpec, namespace: str, live: Object) -> Iterator[Finding]:
    """Name a Deployment that the backup has and that is somebody else's: the backup may name any (issue 14)."""
    if not portable_objects.belongs(live, spec.release, namespace):
        name = str(at(live, "metadata", "name"))
        yield Finding(
            f"Deployment {name}",
            f"it is there, and Helm has not noted on it that it is release {spec.release}'s",
            "the release's own objects, which go with it",
            command("kubectl", "-n", namespace, "get", "deployment", name, "--output=yaml")
            + " shows whose it is; use another backup",
        )


def needs(workload: Workload) -> Iterator[tuple[str, str]]:
    """Yield kind and name of whatever the pods of a workload cannot start without."""
    for kind in ("Secret", "ConfigMap"):
        yield from ((kind, name) for name, *_ in workload.references(kind))
    yield from ((CLAIM, claim) for claim in workload.claims.values())
    for field, kind in _NAMED.items():
        name = str(workload.pod.get(field) or "")
        if name and (kind, name) != _ALWAYS:
            yield kind, name


def standing(
    spec: RebuildSpec, installation: Installation, keep: Callable[[Agent, StoredAgent, Object], Iterable[Finding]]
) -> Iterator[Finding]:
    """Name what is on the cluster and should not be; what a rebuild from this backup has begun may.

    Args:
        keep: says why a claim that holds something may not be kept as it is; it is in nobody's use.
    """
    cluster, listed = installation.helm.cluster, installation.listed()
    if listed and installation.is_foreign(listed):
        yield Finding(
            f"release {listed.name}",
            f"it is there: {listed.chart} {listed.version}, revision {listed.revision}, {listed.status}",
            "no release, or one that a rebuild from this backup has begun",
            f"bring its data back with: {_restore(spec)}",
        )
        return
    if listed is None:
        yield from (_stray(name) for name in spec.deployments if cluster.find("Deployment", name))
    for agent, stored, claim in spec.with_claims:
        live = cluster.find(CLAIM, claim)
        if live is None:
            yield from [_lost(claim)] if listed else _unfit_class(spec, cluster, stored, claim)
        elif listed:
            continue  # its volume was proved
        elif at(live, "metadata", "deletionTimestamp"):
            yield _going(cluster, claim)
        elif has_marker(live, FILLING, spec.source, stored):
            continue
        elif users := pods_with(cluster, claim):
            yield in_use(cluster, claim, users)
        elif not _is_empty(spec, cluster, agent):
            yield from keep(agent, stored, live)


def written(spec: RebuildSpec, mounted: MountedVolume) -> Iterator[Finding]:
    """Name a volume that somebody else has written to since it was proved, or while it was filled."""
    claim = str(mounted.agent.claim)
    if (
        not has_marker(mounted.volume.pod.cluster.get(CLAIM, claim), FILLING, spec.source, mounted.stored)
        and mounted.must_change
    ):
        yield _taken(spec, claim)
    for path in mounted.volume.strange():
        yield Finding(
            f"claim {claim}: {path}",
            "it is on the volume, and not in the backup",
            "a volume that nobody else has written to",
            f"{command('kubectl', 'delete', 'pvc', claim)} if nobody needs it, then run again",
        )


def storage_class(spec: RebuildSpec, cluster: Cluster, stored: StoredAgent) -> tuple[str | None, str | None]:
    """Return the class that a claim had, and the one that it gets; a caller who may not look gets the same."""
    wanted: str | None = at(spec.claim(stored), "spec", "storageClassName")
    try:
        return wanted, portable_objects.storage_class(wanted, cluster.all("StorageClass"))
    except Forbidden:
        return wanted, wanted


def _stray(deployment: str) -> Finding:
    return Finding(
        f"Deployment {deployment}",
        "it is there, and the release is not",
        "nothing of the release",
        "helm list --all-namespaces shows whose it is; move it away, then run again",
    )


def _lost(claim: str) -> Finding:
    return Finding(
        f"claim {claim}",
        "it is gone, and the release that was rebuilt is there",
        "the claim that the rebuild filled",
        "helm uninstall makes room for another rebuild",
    )


def _going(cluster: Cluster, claim: str) -> Finding:
    return Finding(
        f"claim {claim}",
        "it is being deleted, so no pod can mount it",
        "a claim that stays, or none",
        f"{command('kubectl', '-n', cluster.namespace, 'wait', '--for=delete', f'pvc/{claim}')}, then run again",
    )


def _taken(spec: RebuildSpec, claim: str) -> Finding:
    return Finding(
        f"claim {claim}",
        "it is there, and it has been written to",
        "no claim, an empty one, or one that a rebuild from this backup has begun to fill",
        "bring the release back on it with the backup's chart and values "
        f"({command('helm', 'install', spec.release, spec.chart_file, '--values=values.yaml')}); "
        f"then: {_restore(spec)}",
    )


def _restore(spec: RebuildSpec) -> str:
    return command("pytest", "suites/restore", f"--backup={spec.source.manifest.name}")


def _unfit_class(spec: RebuildSpec, cluster: Cluster, stored: StoredAgent, claim: str) -> Iterator[Finding]:
    wanted, chosen = storage_class(spec, cluster, stored)
    fixed = at(spec.rendered(CLAIM, claim) or {}, "spec", "storageClassName")
    if wanted and chosen != wanted and (fixed or chosen is None):
        yield Finding(
            f"claim {claim}",
            f"the cluster has no storage class {wanted}",
            "that class, since the values name it" if fixed else "that class, or a default one",
            f"create a StorageClass {wanted}; kubectl get storageclass shows what there is",
        )


def _is_empty(spec: RebuildSpec, cluster: Cluster, agent: Agent) -> bool:
    """Look into a claim that somebody else made."""
    with helper_pod(cluster, agent, deployment=spec.deployments[agent.deployment]) as pod:
        return not pod.capture(_SOMETHING, agent.home)
