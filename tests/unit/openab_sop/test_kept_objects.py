"""What a restore and a rebuild may create of a backup's objects, and what of it is somebody else's (issue 14)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openab_sop.backups import kept_objects
from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.errors import BackupError
from openab_sop.restores.rebuild_spec import CLAIM
from tests.unit.openab_sop.mutated import mutations
from tests.unit.openab_sop.stored import AGENT, made, written

SECRET = "secret-login.yaml"


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return made(tmp_path)


def secret(**changed: Any) -> dict[str, Any]:
    """A Secret as the API has it; a field that is changed to None is left out."""
    metadata = {"name": "login", "namespace": "namespace", "uid": "1", "ownerReferences": [{"name": "x"}]}
    metadata |= changed.pop("metadata", {})
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"k": "dg=="}}
    return {key: value for key, value in {**body, **changed}.items() if value is not None}


def keep(backup: Backup, body: object, name: str = SECRET) -> Backup:
    """Put a file into a backup, listed."""
    (backup.directory / name).write_text(body if isinstance(body, str) else json.dumps(body))
    return written(backup)


def test_a_secret_comes_as_it_was_without_what_its_cluster_noted(backup: Backup) -> None:
    (found,) = kept_objects.references(keep(backup, secret()), "Secret")
    assert found == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "namespace"},
        "type": "Opaque",
        "data": {"k": "dg=="},
    }


def test_what_is_not_listed_is_no_secret(backup: Backup) -> None:
    (backup.directory / SECRET).write_text(json.dumps(secret()))
    assert list(kept_objects.references(backup, "Secret")) == []


BOMB = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"
POD = {"containers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}]}
REFUSED: dict[str, tuple[object, str]] = {
    "a Pod": (secret(kind="Pod", spec=POD), "of kind Pod"),
    "a role": (secret(kind="ClusterRoleBinding", apiVersion="rbac.authorization.k8s.io/v1"), "not a Secret of v1"),
    "another version": (secret(apiVersion="v2"), "not a Secret of v1"),
    "no kind": (secret(kind=None), "of kind None"),
    "another name": (secret(metadata={"name": "other"}), "it is not of Secret login"),
    "a path for a name": (secret(metadata={"name": "../../kube-system/secrets/x"}), "of the name"),
    "no name": (secret(metadata={"name": None}), "of the name None"),
    "another namespace": (secret(metadata={"namespace": "kube-system"}), "of namespace kube-system"),
    "a record of Helm's by type": (secret(type="helm.sh/release.v1"), "one of Helm's own records"),
    "a record of Helm's by label": (secret(metadata={"labels": {"owner": "helm"}}), "one of Helm's own records"),
    "labels that are none": (secret(metadata={"labels": {"a": 1}}), "labels or annotations"),
    "data that are none": (secret(data=["x"]), "its data"),
    "data that are not encoded": (secret(data={"k": "%"}), "its data"),
    "data that are numbers": (secret(data={"k": 1}), "its data"),
    "a type that is none": (secret(type=["x"]), "its type"),
    "a list": ([secret()], "it is not an object"),
    "two documents": ("kind: Secret\n---\nkind: Pod\n", "not the YAML of one object"),
    "aliases": (BOMB, "not a Secret|not the YAML of one object"),
    "nesting": ("[" * 5000, "not the YAML of one object"),
    "a Python object": ("!!python/object/apply:os.system ['true']", "not the YAML of one object"),
    "a line that moves the cursor": (secret(kind="\x1b[2J\nnext: x"), r"\\x1b\[2J\\nnext"),
}


@pytest.mark.parametrize(("body", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_secret_of_this_release_is_refused(backup: Backup, body: object, told: str) -> None:
    kept = keep(backup, body)
    with pytest.raises(BackupError, match=told):
        list(kept_objects.references(kept, "Secret"))


def test_a_record_of_helms_by_its_name(backup: Backup) -> None:
    name = "sh.helm.release.v1.openab.v7"
    for kind in kept_objects.KINDS:
        kept = keep(backup, secret(kind=kind, metadata={"name": name}), f"{kind.lower()}-{name}.yaml")
        with pytest.raises(BackupError, match="one of Helm's own records"):
            list(kept_objects.references(kept, kind))


@pytest.mark.parametrize("kind", kept_objects.CLUSTERS_OWN)
def test_a_token_of_the_cluster_is_passed_over_and_told(backup: Backup, kind: str) -> None:
    """Earlier versions kept those that a pod refers to: the rest of such a backup is good."""
    kept = keep(keep(backup, secret(type=kind)), secret(metadata={"name": "a"}), "secret-a.yaml")
    assert [found["metadata"]["name"] for found in kept_objects.references(kept, "Secret")] == ["a"]
    assert kept_objects.left_out(kept) == ["login"]


def test_data_in_plain_text_take_nobodys_place(backup: Backup) -> None:
    (found,) = kept_objects.references(keep(backup, secret(stringData={"k": "other"})), "Secret")
    assert "stringData" not in found


def test_a_config_map(backup: Backup) -> None:
    body = secret(kind="ConfigMap", data={"k": "plain text"}, type=None, binaryData={"b": "dg=="})
    (found,) = kept_objects.references(keep(backup, body, "configmap-login.yaml"), "ConfigMap")
    assert (found["data"], found["binaryData"]) == ({"k": "plain text"}, {"b": "dg=="})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kind": "Secret"}, "not a PersistentVolumeClaim"),
        ({"metadata": {"name": "other"}}, f"it is not of claim {AGENT}"),
        ({"metadata": {"name": AGENT, "namespace": "elsewhere"}}, "of namespace elsewhere"),
        ({"spec": None}, "it has no spec"),
    ],
    ids=["kind", "name", "namespace", "spec"],
)
def test_a_claim_that_is_another(backup: Backup, changed: dict[str, Any], told: str) -> None:
    stored: StoredAgent = backup.manifest.agents[0]
    good = {"apiVersion": "v1", "kind": CLAIM, "metadata": {"name": AGENT, "namespace": "namespace"}, "spec": {}}
    path = f"{AGENT}/claim.yaml"
    assert kept_objects.claim(keep(backup, good, path), stored) == good
    with pytest.raises(BackupError, match=told):
        kept_objects.claim(keep(backup, {**good, **changed}, path), stored)


def test_whatever_is_changed_is_read_or_refused(backup: Backup) -> None:
    """Nothing else comes up, and what is read is a Secret of this name and namespace."""
    good, refused = secret(metadata={"labels": {"a": "b"}}), 0
    for changed in mutations(good, 150):
        kept = keep(backup, changed)
        try:
            for found in kept_objects.references(kept, "Secret"):
                assert (found["kind"], found["metadata"]["name"]) == ("Secret", "login")
        except BackupError as error:
            refused += 1
            assert "\x1b" not in str(error)
            assert str(error).count("\n") == 1
    assert refused > 40, "nothing of it did any harm: this test proves nothing"
