"""Hold an agent's volume as it was at one moment: a snapshot, a claim made from it, a helper pod on that (SOP 2.8).

Snapshot and claim belong to the helper pod: when that is removed, the cluster removes them too, whoever is alive then.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import helper_pod
from openab_sop.cluster.kube import Cluster, quantity
from openab_sop.cluster.pod import Pod
from openab_sop.errors import Forbidden, NotFound
from openab_sop.escape import command
from openab_sop.objects import Object, at, part
from openab_sop.wait import wait

READY = 300
"""Seconds until a snapshot must be ready to use."""

_API = "snapshot.storage.k8s.io"
_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"
_PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")


def snapshot_class(cluster: Cluster, claim: str) -> str | None:
    """Return the name of a snapshot class for a claim's volume; None where the cluster has none for its driver."""
    annotations = part(cluster.get("PersistentVolumeClaim", claim), "metadata", "annotations")
    driver = next((annotations[name] for name in _PROVISIONER if name in annotations), None)
    try:
        classes = [found for found in cluster.all("VolumeSnapshotClass") if found.get("driver") == driver]
    except (NotFound, Forbidden):
        return None
    classes.sort(key=lambda found: part(found, "metadata", "annotations").get(_DEFAULT) != "true")
    return str(classes[0]["metadata"]["name"]) if classes else None


@contextmanager
def snapshot_pod(cluster: Cluster, agent: Agent, claim: str, class_name: str) -> Generator[Pod]:
    """Run a helper pod that holds the volume as it is now; all of it is removed afterwards.

    Raises:
        SopError: the snapshot is not ready in time, or no volume could be made from it.
    """

    def make(helper: Object) -> None:
        """Take the snapshot and make the claim that the helper waits for."""
        name, uid = helper["metadata"]["name"], helper["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
        metadata = {"name": name, "ownerReferences": [owner], "labels": helper["metadata"]["labels"]}
        source = {"persistentVolumeClaimName": claim}
        spec = {"volumeSnapshotClassName": class_name, "source": source}
        snapshot = {"apiVersion": f"{_API}/v1", "kind": "VolumeSnapshot", "metadata": metadata, "spec": spec}
        cluster.create("VolumeSnapshot", snapshot)
        wait(
            lambda: None if at(_status(cluster, name), "readyToUse") else "not ready to use",
            failed=lambda: at(_status(cluster, name), "error", "message"),
            what=f"the snapshot of claim {claim}",
            timeout=READY,
            next_step=command("kubectl", "-n", cluster.namespace, "describe", "volumesnapshot", name)
            + "; or --snapshot-above=never",
        )
        cluster.create("PersistentVolumeClaim", _claim_from(cluster, claim, name, metadata))

    with helper_pod(cluster, agent, make) as pod:
        yield pod


def _status(cluster: Cluster, name: str) -> Object:
    return part(cluster.get("VolumeSnapshot", name), "status")


def _claim_from(cluster: Cluster, claim: str, snapshot: str, metadata: Object) -> Object:
    live = cluster.get("PersistentVolumeClaim", claim)
    spec = part(live, "spec")
    kept = {key: spec[key] for key in ("accessModes", "storageClassName", "volumeMode") if key in spec}
    sizes = (
        at(spec, "resources", "requests", "storage"),
        at(live, "status", "capacity", "storage"),
        at(_status(cluster, snapshot), "restoreSize"),
    )
    largest = max((size for size in sizes if size), key=quantity)  # a driver refuses less than the snapshot takes
    kept["resources"] = {"requests": {"storage": largest}}
    source = {"apiGroup": _API, "kind": "VolumeSnapshot", "name": snapshot}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {**kept, "dataSource": source},
    }
