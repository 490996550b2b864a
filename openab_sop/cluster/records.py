"""Helm's own records of releases, read through the API: a request in place of a process (SOP 1.1, 1.2, 2.7).

Helm keeps each revision as an object of its own, labelled with release and revision: a Secret, or a ConfigMap if
HELM_DRIVER says so (helm/helm, ``pkg/storage/driver``). What ``helm list``, ``history`` and ``get`` print is all in it.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from openab_sop import bounded, names
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import InvalidDocument, InvalidName, NotFound, ReleaseError
from openab_sop.objects import Object, at, part, parts

_KINDS = {"": "Secret", "secret": "Secret", "secrets": "Secret", "configmap": "ConfigMap", "configmaps": "ConfigMap"}
"""By HELM_DRIVER: what Helm keeps its records as."""
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_NEXT = "helm's storage must be Secrets (its default) or ConfigMaps; see HELM_DRIVER"


@dataclass(frozen=True)
class Record:
    """One revision of a release.

    Attributes:
        stored: the object that holds it, as the API has it.
        body: what Helm says of the revision.
    """

    stored: Object
    body: Object

    @classmethod
    def of(cls, stored: Object) -> Record:
        """Read one.

        Raises:
            ReleaseError: it is not a record of Helm 3 or 4.
        """
        name = at(stored, "metadata", "name")
        try:
            data = stored["data"]["release"]
            raw = b64decode(b64decode(data) if stored["kind"] == "Secret" else data)
            return cls(stored, _checked(bounded.load_json(bounded.gunzip(raw, "it"), "it")))
        except (KeyError, TypeError, ValueError) as error:
            why = f": {error.problem}" if isinstance(error, InvalidDocument) else ""
            raise ReleaseError(f"the release record {name} cannot be read{why}", _NEXT) from error

    @property
    def name(self) -> str:
        """Name of the release."""
        return str(self.body["name"])

    @property
    def revision(self) -> int:
        """Its number, from 1."""
        return int(self.body["version"])

    @property
    def chart(self) -> Object:
        """The chart that was installed: its metadata, values, templates and files."""
        return part(self.body, "chart")

    @property
    def manifest(self) -> str:
        """The rendered objects, without hooks, as a stream of YAML documents."""
        return str(self.body.get("manifest", ""))  # Helm leaves out what is empty

    @property
    def hooks(self) -> str:
        """The rendered hooks, as a stream of YAML documents."""
        return "".join(f"---\n{hook['manifest']}\n" for hook in parts(self.body, "hooks"))

    @property
    def values(self) -> Object:
        """The user-supplied values."""
        return part(self.body, "config")

    @property
    def is_server_side(self) -> bool:
        """Whether Helm applies it by server-side apply: Helm 3 never does, Helm 4 where it made the release."""
        return self.body.get("apply_method") == "ssa"

    def info(self, key: str) -> str:
        """Return what Helm notes of it: its "status", "description", "last_deployed"."""
        return str(at(self.body, "info", key) or "")


def record(cluster: Cluster, release: str, revision: int) -> Record:
    """Return the record of a revision.

    Raises:
        ReleaseError: there is none, or it cannot be read.
    """
    name = f"sh.helm.release.v1.{names.release(release)}.v{revision}"
    try:
        return Record.of(cluster.get(_kind(), name))
    except NotFound as error:
        raise ReleaseError(f"namespace {cluster.namespace} has no release record {name}", _NEXT) from error


def newest(cluster: Cluster, release: str | None = None) -> Iterator[Record]:
    """Yield the newest revision of each release of the namespace, or of one, whatever its status."""
    last: dict[str, int] = {}
    for name, revision in _known(cluster, release):
        last[name] = max(revision, last.get(name, 0))
    for name, revision in sorted(last.items()):
        with suppress(NotFound):  # it was uninstalled meanwhile
            yield Record.of(cluster.get(_kind(), f"sh.helm.release.v1.{name}.v{revision}"))


def history(cluster: Cluster, release: str) -> Iterator[Record]:
    """Yield the revisions that Helm still knows, oldest first."""
    for name, revision in sorted(_known(cluster, release)):
        yield record(cluster, name, revision)


def revisions(cluster: Cluster, release: str) -> set[int]:
    """Return the numbers of the revisions that Helm still knows; the records themselves are not read."""
    return {revision for _, revision in _known(cluster, release)}


def _known(cluster: Cluster, release: str | None) -> list[tuple[str, int]]:
    """Return release and revision of each record, from their labels: the records themselves are large."""
    selector = "owner=helm" + (f",name={names.release(release)}" if release is not None else "")
    labels = (part(found, "metadata", "labels") for found in cluster.metadata(_kind(), selector))
    known = ((str(own.get("name") or ""), str(own.get("version") or "")) for own in labels)
    # what has no number is no record to helm either, whatever else its labels say
    return [(name, int(number)) for name, number in known if _is_release(name) and _NUMBER.fullmatch(number)]


def _is_release(name: str) -> bool:
    with suppress(InvalidName):
        return bool(names.release(name))
    return False


def _checked(body: Any) -> Object:
    """Return the body of a record if it has what every one has.

    Raises:
        KeyError, TypeError, ValueError: it has not.
    """
    about = body["chart"]["metadata"]
    texts = (body["name"], body.get("manifest", ""), about["name"], about["version"])
    mappings: tuple[object, ...] = (body.get("config") or {}, body.get("info") or {}, body["chart"].get("values") or {})
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(one, dict) for one in mappings):
        raise TypeError("a text or a mapping is missing")
    if not isinstance(body["version"], int) or body["version"] < 1:
        raise ValueError("it has no number")
    return body


def _kind() -> str:
    driver = os.environ.get("HELM_DRIVER", "")
    if kind := _KINDS.get(driver.lower()):
        return kind
    raise ReleaseError(f"HELM_DRIVER is {driver}: records that helm keeps so are not read", _NEXT)
