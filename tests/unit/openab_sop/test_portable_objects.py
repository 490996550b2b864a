"""The chart out of a release record, as Helm stores one."""

from __future__ import annotations

import io
import tarfile
from base64 import b64encode
from typing import Any

import pytest

from openab_sop.cluster.records import Record
from openab_sop.errors import BackupError
from openab_sop.releases.portable_objects import anew, belongs, chart_archive, claim_anew, ownership, storage_class

CHART: dict[str, Any] = {
    "metadata": {"apiVersion": "v2", "name": "openab", "version": "1.2.3"},
    "values": {"a": 1},
    "templates": [{"name": "templates/x.yaml", "data": b64encode(b"kind: X\n").decode()}],
    "files": [{"name": "README.md", "data": b64encode(b"# Hi\n").decode()}],
    "schema": b64encode(b"{}").decode(),
}


def test_chart_is_whole() -> None:
    with tarfile.open(fileobj=io.BytesIO(chart_archive(Record({}, {"chart": CHART})))) as tar:
        names = {
            f"openab/{name}"
            for name in ("Chart.yaml", "values.yaml", "templates/x.yaml", "README.md", "values.schema.json")
        }
        assert set(tar.getnames()) == names
        template = tar.extractfile("openab/templates/x.yaml")
        assert template is not None
        assert template.read() == b"kind: X\n"


def test_dependencies_are_not_in_a_record() -> None:
    chart = CHART | {"metadata": CHART["metadata"] | {"dependencies": [{"name": "other"}]}}
    with pytest.raises(BackupError, match="has dependencies"):
        chart_archive(Record({}, {"chart": chart}))


CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {
        "name": "home",
        "namespace": "old",
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["kubernetes.io/pvc-protection"],
        "ownerReferences": [{"name": "gone"}],
        "labels": {"mine": "yes"},
        "annotations": {
            "mine": "too",
            "pv.kubernetes.io/bind-completed": "yes",
            "volume.kubernetes.io/selected-node": "gone",
            "volume.beta.kubernetes.io/storage-provisioner": "gone",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "openab-sop/restored-from": "an older one",
        },
    },
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "2Gi"}},
        "storageClassName": "fast",
        "volumeName": "pv-1",
        "dataSource": {"name": "snapshot"},
        "dataSourceRef": {"name": "snapshot"},
    },
    "status": {"phase": "Bound"},
}
RENDERED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "home", "labels": {"chart": "1"}, "annotations": {"helm.sh/resource-policy": "keep"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
OWNER = ("bot", "chat")


def test_an_object_anew_knows_nothing_of_its_cluster() -> None:
    fresh = anew(CLAIM)
    assert fresh["metadata"] == {"name": "home", "labels": {"mine": "yes"}, "annotations": {"mine": "too"}}
    assert "status" not in fresh
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "t", "immutable": True, "metadata": {"name": "s"}}
    assert anew({**secret, "data": {"a": "Yg=="}}) == {
        **secret,
        "data": {"a": "Yg=="},
        "metadata": {"name": "s", "labels": {}, "annotations": {}},
    }


def test_a_claim_of_somebody_else_is_as_it_was_but_unbound() -> None:
    claim = claim_anew(CLAIM, None, "fast", OWNER)
    kept = {key: CLAIM["spec"][key] for key in ("accessModes", "resources", "storageClassName")}
    assert (claim["spec"], claim["metadata"]["labels"]) == (kept, {"mine": "yes"})
    assert "storageClassName" not in claim_anew(CLAIM, None, None, OWNER)["spec"]


def test_a_claim_of_the_chart_is_what_helm_adopts() -> None:
    """Helm asks for these three, and would want to change whatever differs from what it renders."""
    claim = claim_anew(CLAIM, RENDERED, "fast", OWNER)
    assert claim["metadata"]["labels"] == {"chart": "1", "app.kubernetes.io/managed-by": "Helm"}
    assert claim["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "meta.helm.sh/release-name": "bot",
        "meta.helm.sh/release-namespace": "chat",
    }
    assert claim["spec"] == {**RENDERED["spec"], "storageClassName": "fast"}


@pytest.mark.parametrize(
    ("wanted", "classes", "chosen"),
    [
        ("fast", ("fast", "*slow"), "fast"),
        ("fast", ("other", "*slow"), "slow"),
        ("fast", ("other",), None),
        ("fast", (), None),
        (None, ("*slow",), None),
        ("", ("*slow",), ""),
    ],
)
def test_storage_class(wanted: str | None, classes: tuple[str, ...], chosen: str | None) -> None:
    """The default one bears a star."""
    default = "storageclass.kubernetes.io/is-default-class"
    found: list[dict[str, Any]] = [
        {"metadata": {"name": name.strip("*"), "annotations": {default: str(name.startswith("*")).lower()}}}
        for name in classes
    ]
    assert storage_class(wanted, found) == chosen


@pytest.mark.parametrize(
    ("notes", "own"),
    [
        (ownership(*OWNER), True),
        (ownership("other", "chat"), False),
        (ownership("bot", "elsewhere"), False),
        ({"meta.helm.sh/release-name": "bot"}, False),
        ({}, False),
    ],
)
def test_an_object_is_a_releases_own_if_helm_has_noted_so(notes: dict[str, str], own: bool) -> None:
    assert belongs({"metadata": {"name": "production-db", "annotations": notes}}, *OWNER) == own
    assert not belongs({"metadata": {"name": "production-db"}}, *OWNER)
