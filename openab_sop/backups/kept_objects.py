"""The Kubernetes objects that a backup keeps, checked where they are read (SOP 2.6, 5.1; issue 14).

A restore and a rebuild create what these files say. So only a Secret, a ConfigMap or a claim counts, of the name and in
the namespace that the backup says. A label or a type can make Helm or the cluster itself act on an object: what is
theirs is never brought back.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Literal, cast

from openab_sop import bounded
from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.backups.schema import is_name
from openab_sop.errors import BackupError, InvalidDocument
from openab_sop.escape import one_line
from openab_sop.objects import Object, at, part

Kind = Literal["Secret", "ConfigMap"]
KINDS: tuple[Kind, ...] = ("Secret", "ConfigMap")

LARGEST = 4 << 20
"""Bytes of a file with one object; Kubernetes itself takes less than 2 MiB."""
CLUSTERS_OWN = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
"""Types of Secrets that the cluster fills, or lets somebody in by: no copy of one is worth anything but to a thief."""
_DO_NOT_USE = "do not use it: this tool has not written it like that; use another backup"
_FIELDS = ("apiVersion", "kind", "metadata", "type", "immutable", "data", "binaryData")
"""What of a Secret or a ConfigMap is read; ``stringData`` would take the place of data that were looked at."""
_OF_METADATA = ("name", "namespace", "labels", "annotations")


def references(backup: Backup, kind: Kind) -> Iterator[Object]:
    """Yield the Secrets or ConfigMaps that a backup lists, without what is the cluster's own.

    Raises:
        BackupError: a file has something else than its name says, or a record of Helm's.
    """
    return (body for body in _all(backup, kind) if not is_clusters_own(body))


def left_out(backup: Backup) -> list[str]:
    """Return the names of the Secrets in a backup that are the cluster's own: earlier versions kept them.

    Raises:
        BackupError: as ``references``.
    """
    return [str(body["metadata"]["name"]) for body in _all(backup, "Secret") if is_clusters_own(body)]


def claim(backup: Backup, stored: StoredAgent) -> Object:
    """Return a volume's claim as its old cluster had it.

    Raises:
        BackupError: the backup has none, or the file has something else.
    """
    path = f"{stored.key}/claim.yaml"
    body = _parsed(backup, path)
    _require(backup, path, body, "PersistentVolumeClaim")
    if at(body, "metadata", "name") != stored.claim:
        raise _refused(backup, path, f"it is not of claim {stored.claim}")
    if not isinstance(body.get("spec"), dict):
        raise _refused(backup, path, "it has no spec")
    return body


def is_clusters_own(body: Object) -> bool:
    """Tell whether a Secret is one that the cluster fills, or lets somebody in by."""
    return body.get("kind") == "Secret" and body.get("type") in CLUSTERS_OWN


def is_helms_own(body: Object) -> bool:
    """Tell whether an object is a record of Helm's: Helm finds them by this label alone (``pkg/storage/driver``)."""
    name, labels = str(at(body, "metadata", "name")), part(body, "metadata", "labels")
    return (
        name.startswith("sh.helm.release.")
        or str(body.get("type") or "").startswith("helm.sh/")
        or labels.get("owner") == "helm"
    )


def _all(backup: Backup, kind: Kind) -> Iterator[Object]:
    prefix, suffix = f"{kind.lower()}-", ".yaml"
    for name in sorted(file.path for file in backup.manifest.contents):
        if name.startswith(prefix) and name.endswith(suffix) and "/" not in name:
            body = _parsed(backup, name)
            _require(backup, name, body, kind)
            if at(body, "metadata", "name") != name.removeprefix(prefix).removesuffix(suffix):
                raise _refused(backup, name, f"it is not of {kind} {name.removeprefix(prefix).removesuffix(suffix)}")
            if is_helms_own(body):
                raise _refused(backup, name, "it is one of Helm's own records, and no release's data")
            _require_data(backup, name, body)
            metadata = {key: value for key, value in part(body, "metadata").items() if key in _OF_METADATA}
            yield {key: body[key] for key in _FIELDS if key in body} | {"metadata": metadata}


def _require(backup: Backup, path: str, body: Object, kind: str) -> None:
    """Stop if a file has not an object of this kind and of the backup's namespace."""
    metadata = body.get("metadata")
    if (body.get("kind"), body.get("apiVersion")) != (kind, "v1"):
        raise _refused(backup, path, f"it is of kind {body.get('kind')}, {body.get('apiVersion')}; not a {kind} of v1")
    if not isinstance(metadata, dict) or not is_name(at(body, "metadata", "name")):
        raise _refused(backup, path, f"it is of the name {at(body, 'metadata', 'name')}")
    if at(body, "metadata", "namespace") not in (None, backup.manifest.namespace):
        raise _refused(backup, path, f"it is of namespace {at(body, 'metadata', 'namespace')}")
    if not all(_is_text(at(body, "metadata", key)) for key in ("labels", "annotations")):
        raise _refused(backup, path, "its labels or annotations are not texts")


def _require_data(backup: Backup, path: str, body: Object) -> None:
    encoded = ("data",) if body["kind"] == "Secret" else ("binaryData",)
    plain = () if body["kind"] == "Secret" else ("data",)
    if not (all(_is_text(body.get(key)) for key in plain) and all(_is_base64(body.get(key)) for key in encoded)):
        raise _refused(backup, path, "its data are not what Kubernetes has in such an object")
    if not isinstance(body.get("type", ""), str) or not isinstance(body.get("immutable", False), bool):
        raise _refused(backup, path, "its type is not a text, or immutable is not true or false")


def _is_text(found: Any) -> bool:
    if found is None:
        return True
    return isinstance(found, dict) and all(
        isinstance(text, str) for pair in cast(dict[Any, Any], found).items() for text in pair
    )


def _is_base64(found: Any) -> bool:
    if not _is_text(found):
        return False
    try:
        for text in cast(dict[str, str], found or {}).values():
            b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _parsed(backup: Backup, path: str) -> Object:
    if backup.manifest.listed(path).size > LARGEST:
        raise _refused(backup, path, f"it has more than {LARGEST} bytes")
    try:
        body: Any = bounded.load_yaml(backup.read(path), path)
    except InvalidDocument as error:
        raise _refused(backup, path, "it is not the YAML of one object") from error
    if not isinstance(body, dict):
        raise _refused(backup, path, "it is not an object")
    return cast(Object, body)


def _refused(backup: Backup, path: str, why: str) -> BackupError:
    return BackupError(f"{path} of backup {backup.name}: {one_line(why[:300])}", _DO_NOT_USE)
