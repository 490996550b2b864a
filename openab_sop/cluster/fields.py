"""Field ownership: what we have written belongs to Helm again (helm/helm v4, server-side apply)."""

from __future__ import annotations

from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.errors import Conflict
from openab_sop.escape import command
from openab_sop.objects import part, parts
from openab_sop.wait import wait

TIMEOUT = 60
"""Seconds in which somebody else may keep changing the object meanwhile."""


def give_back(cluster: Cluster, kind: str, name: str, *, scale: bool = False) -> None:
    """Take our entry out of an object's managed fields, so that Helm 4's server-side apply meets no conflict.

    Args:
        scale: whether to take out who has scaled it, too (``kubectl scale``): Helm is to decide again how many.

    Raises:
        SopError: the object changes all the time.
    """
    shown = ("get", kind, name, "--show-managed-fields", "--output=yaml")
    wait(
        lambda: _kept(cluster, kind, name, scale=scale),
        what=f"the return of the fields of {kind} {name} to Helm",
        timeout=TIMEOUT,
        next_step=f"{command('kubectl', '-n', cluster.namespace, *shown)} shows by whom",
    )


def _kept(cluster: Cluster, kind: str, name: str, *, scale: bool) -> str | None:
    """Take our entry out; returns why it is still there."""
    metadata = part(cluster.get(kind, name), "metadata")
    entries = parts(metadata, "managedFields")
    theirs = [
        entry
        for entry in entries
        if entry.get("manager") != MANAGER and not (scale and entry.get("subresource") == "scale")
    ]
    if theirs == entries:
        return None
    change = {"metadata": {"managedFields": theirs, "resourceVersion": metadata["resourceVersion"]}}
    try:
        cluster.merge(kind, name, change)
    except Conflict as changed:
        return changed.problem
    return None
