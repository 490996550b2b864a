"""Who else decides how many pods an agent has: it would start one in the middle of a restore, or undo an upgrade.

Sources: https://fluxcd.io/flux/components/helm/helmreleases/ (labels, ``spec.suspend``), .../kustomize/kustomizations/;
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ and auto_sync/;
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.errors import Forbidden, InvalidName, NotFound
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts
from openab_sop.verdict import Finding

RULE = "owned-elsewhere"
"""The id of the finding, as it is accepted."""
_FLUX = {
    "HelmRelease": ("helm.toolkit.fluxcd.io", ("v2", "v2beta2", "v2beta1")),
    "Kustomization": ("kustomize.toolkit.fluxcd.io", ("v1", "v1beta2", "v1beta1")),
}
"""What of Flux applies objects: the group that it labels them with, and its versions, the present one first."""
_ARGO = "argocd.argoproj.io/tracking-id"
_HANDS = re.compile(rf"[hH]elm|k9s|{MANAGER}|kubectl(-.*)?")
"""Field managers that act once, when a human types."""


@dataclass(frozen=True)
class Owner:
    """Somebody else who keeps a Deployment as it should be.

    Attributes:
        who: in words.
        suspend: the command that has it leave the Deployment alone.
    """

    who: str
    suspend: str


def owners(cluster: Cluster, deployment: Object) -> Iterator[Owner]:
    """Yield who else keeps a Deployment as it should be; one that is known to be suspended is nobody.

    What the caller may not look at is taken to be at work.
    """
    metadata = part(deployment, "metadata")
    labels, notes = part(metadata, "labels"), part(metadata, "annotations")
    for kind, (group, versions) in _FLUX.items():
        name, namespace = labels.get(f"{group}/name"), labels.get(f"{group}/namespace")
        served = [f"{group}/{version}" for version in versions]
        if name and namespace and _acts(cluster, kind, served, str(name), str(namespace)):
            yield Owner(
                f"Flux's {kind} {namespace}/{name}",
                command("flux", "suspend", kind.lower(), str(name), "-n", str(namespace)),
            )
    application = str(notes.get(_ARGO) or "").partition(":")[0]
    if application:
        yield Owner(
            f"Argo CD's application {application}",
            command("argocd", "app", "set", application.rpartition("_")[2], "--sync-policy", "none"),
        )
    for manager in scalers(deployment):
        yield Owner(
            f"{manager}, which manages spec.replicas",
            f"{command('kubectl', '-n', cluster.namespace, 'get', 'hpa,scaledobjects')} shows what scales it: pause or "
            "delete that",
        )


def scalers(deployment: Object, *, also_by_hand: bool = False) -> list[str]:
    """Return the field managers of ``spec.replicas`` that are no human's tool, the last to act first.

    Args:
        also_by_hand: whether those that are count too.
    """
    entries = [e for e in parts(deployment, "metadata", "managedFields") if _has_replicas(e)]
    entries.sort(key=lambda entry: str(entry.get("time") or ""), reverse=True)
    names = dict.fromkeys(str(entry.get("manager")) for entry in entries)
    return [name for name in names if name != MANAGER and (also_by_hand or not _HANDS.fullmatch(name))]


def findings(cluster: Cluster, deployment: Object) -> list[Finding]:
    """Name who else keeps a Deployment as it should be."""
    name = str(at(deployment, "metadata", "name"))
    return [
        Finding(
            name,
            f"it is kept as it should be by {owner.who}: it would be started, or changed back, in the middle",
            "nobody else acts on it meanwhile",
            f"{owner.suspend}; then run again",
        )
        for owner in owners(cluster, deployment)
    ]


def _acts(cluster: Cluster, kind: str, versions: Sequence[str], name: str, namespace: str) -> bool:
    metadata = {"name": name, "namespace": namespace}
    for version in versions:
        reference: Object = {"apiVersion": version, "kind": kind, "metadata": metadata}
        with suppress(NotFound, Forbidden):
            cluster.served(reference)
            break
    else:
        return False  # labels that have outlived what set them
    try:
        return not at(cluster.look_up(reference), "spec", "suspend")
    except (NotFound, InvalidName):  # a label may have a value that is no name: nobody is called so
        return False
    except Forbidden:
        return True


def _has_replicas(entry: Object) -> bool:
    return "f:replicas" in part(entry, "fieldsV1", "f:spec")
