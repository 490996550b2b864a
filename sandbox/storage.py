"""The storage objects of the cluster: the driver, the default class and, where built, the snapshot class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sandbox.api import Api
from sandbox.wait import until

DRIVER = "hostpath.csi.sandbox.local"
CLASS = "sandbox"


def install(api: Api, crds: Path | None) -> None:
    """Apply the objects; `crds` is the directory of the snapshot API's definitions if snapshots are wanted."""
    api.apply(f"/apis/storage.k8s.io/v1/csidrivers/{DRIVER}", _driver())
    api.apply(f"/apis/storage.k8s.io/v1/storageclasses/{CLASS}", _storage_class())
    if not crds:
        return
    for file in sorted(crds.glob("snapshot.storage.k8s.io_*.yaml")):
        plural = file.stem.partition("_")[2]
        name = f"{plural}.snapshot.storage.k8s.io"
        api.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}", file.read_text())
    classes = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses"
    until("the snapshot API", lambda: bool(api.get(classes)), timeout=30, next_step="`python -m sandbox reset`")
    api.apply(f"{classes}/{CLASS}", _snapshot_class())


def _driver() -> str:
    """fsGroupPolicy File: kubelet hands the volume to the pod's fsGroup, as it does for a disk."""
    spec = {
        "attachRequired": False,
        "podInfoOnMount": False,
        "fsGroupPolicy": "File",
        "volumeLifecycleModes": ["Persistent"],
    }
    return _object("storage.k8s.io/v1", "CSIDriver", DRIVER, {}, {"spec": spec})


def _storage_class() -> str:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    fields = {"provisioner": DRIVER, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"}
    return _object("storage.k8s.io/v1", "StorageClass", CLASS, default, fields)


def _snapshot_class() -> str:
    default = {"snapshot.storage.kubernetes.io/is-default-class": "true"}
    fields = {"driver": DRIVER, "deletionPolicy": "Delete"}
    return _object("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", CLASS, default, fields)


def _object(version: str, kind: str, name: str, annotations: dict[str, str], fields: Mapping[str, object]) -> str:
    metadata = {"name": name, "annotations": annotations}
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, **fields})
