"""What a rebuild from nothing needs beside values and home: the release record and the chart (SOP 2.7).

Helm keeps the chart that it installed inside the release record. So the chart comes from there: it is what runs, and it
is there without any registry.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from base64 import b64decode

import yaml

from openab_sop.errors import BackupError, NotFound
from openab_sop.kube import Cluster
from openab_sop.objects import Object, part, parts

_NEXT = "helm's storage must be Secrets (its default) or ConfigMaps; see HELM_DRIVER"


def record(cluster: Cluster, release: str, revision: int) -> Object:
    """Return the object in which Helm stores a revision: a Secret, or a ConfigMap if so configured.

    Raises:
        BackupError: there is neither.
    """
    name = f"sh.helm.release.v1.{release}.v{revision}"
    for kind in ("Secret", "ConfigMap"):
        try:
            return cluster.get(kind, name)
        except NotFound:
            pass
    raise BackupError(f"namespace {cluster.namespace} has no release record {name}", _NEXT)


def is_server_side(stored: Object) -> bool:
    """Tell whether Helm applies a release by server-side apply: Helm 3 never does, Helm 4 where it made the release."""
    return _release(stored).get("apply_method") == "ssa"


def chart_archive(stored: Object) -> bytes:
    """Build the chart's archive (as ``helm package`` would) from a release record.

    Returns:
        A gzipped tar with Chart.yaml, values.yaml, the templates and the chart's other files.

    Raises:
        BackupError: it is not a record of Helm 3 or 4, or the chart has dependencies, which a record lacks.
    """
    chart = part(_release(stored), "chart")
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


def _release(stored: Object) -> Object:
    try:
        data = stored["data"]["release"]
        raw = b64decode(b64decode(data) if stored["kind"] == "Secret" else data)
        return json.loads(gzip.decompress(raw))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BackupError(f"the release record {stored['metadata']['name']} cannot be read", _NEXT) from error


def _packed(name: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
