"""What a rebuild from nothing needs beside values and home: the release record, the chart, objects anew (SOP 2.7, 5.1).

Helm keeps the chart that it installed inside the release record. So the chart comes from there: it is what runs, and it
is there without any registry.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from base64 import b64decode
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from openab_sop import temporary
from openab_sop.cluster.kube import MANAGER
from openab_sop.cluster.records import Record
from openab_sop.errors import BackupError
from openab_sop.objects import Object, part, parts

_CLUSTERS_OWN = (
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "kubectl.kubernetes.io/",
    f"{MANAGER}/",
)
"""Beginnings of annotations that a cluster, or a tool on it, noted on an object for itself."""
_BOUND = ("volumeName", "dataSource", "dataSourceRef", "storageClassName")
"""What of a claim's spec tells where its old volume came from."""
HELMS_LABEL = {"app.kubernetes.io/managed-by": "Helm"}
"""The label that Helm puts on each object."""
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@contextmanager
def packed_chart(record: Record) -> Generator[Path]:
    """Give the chart of a release record as an archive in a private directory of its own, for as long as it is needed.

    Raises:
        BackupError: as ``chart_archive`` has it.
    """
    with temporary.scratch() as directory:
        path = directory / "current.tgz"
        path.write_bytes(chart_archive(record))
        yield path


def chart_archive(record: Record) -> bytes:
    """Build the chart's archive (as ``helm package`` would) from a release record.

    Returns:
        A gzipped tar with Chart.yaml, values.yaml, the templates and the chart's other files.

    Raises:
        BackupError: the chart has dependencies, which a record lacks.
    """
    chart = record.chart
    metadata = part(chart, "metadata")
    if metadata.get("dependencies"):
        raise BackupError(
            f"chart {metadata['name']} has dependencies, which Helm's release record does not hold",
            "keep the chart's archive yourself: helm pull CHART --version VERSION",
        )
    files: dict[str, bytes] = {
        "Chart.yaml": yaml.safe_dump(metadata, sort_keys=False).encode(),
        "values.yaml": yaml.safe_dump(chart.get("values") or {}, sort_keys=False).encode(),
        **{item["name"]: b64decode(item["data"]) for item in parts(chart, "templates") + parts(chart, "files")},
    }
    if schema := chart.get("schema"):
        files["values.schema.json"] = b64decode(schema)
    return _packed(metadata["name"], files)


def anew(stored: Object) -> Object:
    """Return an object without what its cluster noted on it: UID, version, owners, binding, status (SOP 5.1)."""
    theirs = part(stored, "metadata")
    annotations = {
        name: value for name, value in part(theirs, "annotations").items() if not name.startswith(_CLUSTERS_OWN)
    }
    metadata = {"name": theirs["name"], "labels": {**part(theirs, "labels")}, "annotations": annotations}
    return {**{key: value for key, value in stored.items() if key != "status"}, "metadata": metadata}


def claim_anew(stored: Object, rendered: Object | None, class_name: str | None, owner: tuple[str, str]) -> Object:
    """Return an agent's claim as it is to be created before the release is (SOP 5.1).

    Args:
        stored: the claim as its old cluster had it.
        rendered: as the chart renders it; None if it is not the chart's. Helm adopts such a one: it says whose it is,
            and differs in nothing that Helm would want to change.
        class_name: its storage class; None leaves it to the cluster.
        owner: the release's name and namespace.
    """
    claim = anew(rendered or stored)
    spec = {key: value for key, value in part(claim, "spec").items() if key not in _BOUND}
    if class_name is not None:
        spec["storageClassName"] = class_name
    if rendered:
        claim["metadata"]["labels"] |= HELMS_LABEL
        claim["metadata"]["annotations"] |= ownership(*owner)
    return {**claim, "spec": spec}


def ownership(release: str, namespace: str) -> dict[str, str]:
    """Return the annotations by which Helm knows its own objects (helm/helm, ``pkg/action/validate.go``)."""
    return {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}


def belongs(live: Object, release: str, namespace: str) -> bool:
    """Tell whether an object on the cluster is a release's own, as Helm notes it there."""
    notes = part(live, "metadata", "annotations")
    return all(notes.get(name) == value for name, value in ownership(release, namespace).items())


def storage_class(wanted: str | None, classes: Sequence[Object]) -> str | None:
    """Choose a claim's storage class on a cluster: the one that it had if it is there, else the default.

    Args:
        wanted: the class that it had; one that had none gets none.
        classes: the cluster's.

    Returns:
        The class's name; None if the cluster has neither.
    """
    if not wanted or wanted in [found["metadata"]["name"] for found in classes]:
        return wanted
    default = (found for found in classes if part(found, "metadata", "annotations").get(_DEFAULT_CLASS) == "true")
    return next((str(found["metadata"]["name"]) for found in default), None)


def _packed(name: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same chart is the same bytes, whenever it is packed
