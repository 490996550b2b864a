"""Helm's records, as the API gives them."""

from __future__ import annotations

import gzip
import itertools
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, cast

import pytest

from openab_sop import bounded
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.records import Record
from openab_sop.errors import NotFound, ReleaseError


def stored(name: str, revision: int, status: str = "deployed", kind: str = "Secret") -> dict[str, Any]:
    """A record as the API gives it."""
    body = {
        "name": name,
        "version": revision,
        "info": {"status": status, "last_deployed": "2026-11-25T00:14:15.5Z", "description": "Upgrade complete"},
        "chart": {"metadata": {"name": "openab", "version": f"0.8.{revision}", "appVersion": "0.8"}},
        "manifest": "---\nkind: A\n",
        "config": {"a": 1},
        "apply_method": "ssa",
    }
    raw = b64encode(gzip.compress(json.dumps(body).encode()))
    labels = {"owner": "helm", "name": name, "version": str(revision)}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{revision}", "labels": labels}
    data = b64encode(raw).decode() if kind == "Secret" else raw.decode()
    return {"kind": kind, "metadata": metadata, "data": {"release": data}}


class Api:
    """What the records ask of a cluster."""

    namespace = "chat"

    def __init__(self, kind: str, *objects: dict[str, Any]) -> None:
        self._kind = kind
        self._objects = {found["metadata"]["name"]: found for found in objects}

    def metadata(self, kind: str, selector: str) -> list[Mapping[str, Any]]:
        wanted = dict(term.split("=") for term in selector.split(","))
        found = [{"metadata": each["metadata"]} for each in self._objects.values() if kind == self._kind]
        return [each for each in found if wanted.items() <= each["metadata"]["labels"].items()]

    def get(self, kind: str, name: str) -> Mapping[str, Any]:
        if kind == self._kind and name in self._objects:
            return self._objects[name]
        raise NotFound(name, "")


def helm(*objects: dict[str, Any], kind: str = "Secret") -> Helm:
    return Helm(cast(Cluster, Api(kind, *objects)))


def test_the_newest_revision_of_each_release_is_listed() -> None:
    """By number: revision 10 comes after 9."""
    found = helm(stored("b", 9), stored("b", 10, "pending-upgrade"), stored("a", 2))
    assert [(each.name, each.revision, each.status) for each in found.releases()] == [
        ("a", 2, "deployed"),
        ("b", 10, "pending-upgrade"),
    ]
    listed = found.find("b")
    assert listed is not None
    assert (listed.chart, listed.version) == ("openab", "0.8.10")
    assert found.find("c") is None


def test_history_is_as_helm_prints_it() -> None:
    rows = helm(stored("b", 10), stored("b", 9, "superseded"), stored("a", 1)).history("b")
    assert [(row.revision, row.status) for row in rows] == [(9, "superseded"), (10, "deployed")]
    assert (rows[0].chart, rows[0].app_version, rows[0].updated) == ("openab-0.8.9", "0.8", "2026-11-25T00:14:15.5Z")


@pytest.mark.parametrize("driver", ["", "secrets", "ConfigMap"])
def test_records_are_where_helm_keeps_them(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_DRIVER", driver)
    kind = "ConfigMap" if driver == "ConfigMap" else "Secret"
    record = helm(stored("a", 1, kind=kind), kind=kind).record("a", 1)
    assert (record.manifest, record.values, record.is_server_side) == ("---\nkind: A\n", {"a": 1}, True)


def test_a_storage_that_is_not_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_DRIVER", "sql")
    with pytest.raises(ReleaseError, match="HELM_DRIVER is sql"):
        helm(stored("a", 1)).releases()


def test_a_revision_that_helm_has_lost() -> None:
    with pytest.raises(ReleaseError, match=r"no release record sh\.helm\.release\.v1\.a\.v7"):
        helm(stored("a", 1)).record("a", 7)


@pytest.mark.parametrize("release", ["", "!!", b64encode(b"no gzip").decode()])
def test_damaged_record(release: str) -> None:
    with pytest.raises(ReleaseError, match="cannot be read"):
        Record.of(stored("a", 1) | {"data": {"release": release}})


def packed(body: object) -> dict[str, Any]:
    """A record whose body is whatever is given; bytes are what stands in place of the gzip."""
    found = stored("openab", 1)
    raw = b64encode(body if isinstance(body, bytes) else gzip.compress(json.dumps(body).encode()))
    found["data"]["release"] = b64encode(raw).decode()
    return found


BODY: dict[str, Any] = json.loads(gzip.decompress(b64decode(b64decode(stored("openab", 1)["data"]["release"]))))


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(bytes(bounded.LARGEST + 1)),
        gzip.compress(json.dumps(BODY).encode())[:-9],
        gzip.compress(b"[" * 100_000),
        [],
        None,
        {},
        {**BODY, "version": "one"},
        {**BODY, "version": -1},
        {**BODY, "manifest": None},
        {**BODY, "chart": None},
        {**BODY, "chart": {"metadata": []}},
        {**BODY, "config": ["a"]},
        {**BODY, "info": "deployed"},
    ],
    ids=itertools.count(),
)
def test_a_record_that_is_none_is_refused_with_its_name(body: object) -> None:
    """Issue 14: a record is unpacked within bounds, and has what every record has."""
    with pytest.raises(ReleaseError, match=r"the release record sh\.helm\.release\.v1\.openab\.v1 cannot be read"):
        Record.of(packed(body))


def test_a_release_that_renders_nothing_has_a_record_without_a_manifest() -> None:
    """Helm leaves out what is empty; a release of another chart beside ours must not end a run."""
    assert Record.of(packed({key: value for key, value in BODY.items() if key != "manifest"})).manifest == ""


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"name": "openab"},
        {"version": "1"},
        {"name": "Not_A_Name", "version": "1"},
        {"name": "openab", "version": "one"},
    ],
)
def test_what_has_no_labels_of_a_record_is_none_and_hides_no_other(labels: dict[str, str]) -> None:
    junk = {"kind": "Secret", "metadata": {"name": "junk", "labels": {"owner": "helm", **labels}}, "data": {}}
    assert [found.name for found in helm(junk, stored("openab", 2)).releases()] == ["openab"]
