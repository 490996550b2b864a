"""Somebody else has written to a backup: what they put there is not acted on; judged by kubectl and the files (14)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.tiny import ARCHIVE, DEPLOYMENT, Tiny, tiny_release
from world import World

RECORD = "sh.helm.release.v1.openab.v1"
"""Helm's record of the release."""
THEIRS = "theirs"
"""A Secret of the namespace that is none of the release's."""


@dataclass(frozen=True)
class Ground:
    """A release and a backup of it."""

    tiny: Tiny
    backup: Path

    def run(self, stage: str, backup: Path, *arguments: str) -> Run:
        where = (f"--namespace={self.tiny.namespace}", f"--backup={backup}")
        return self.tiny.suites.run(f"suites/{stage}", *where, *arguments)

    def secret(self, name: str) -> str:
        return self.tiny.kubectl("get", "secret", name, "--output=jsonpath={.data}")

    def pods(self) -> str:
        return self.tiny.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")


@pytest.fixture(scope="module")
def ground(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with tiny_release(world, status, tmp_path_factory.mktemp("hostile")) as tiny:
        tiny.kubectl("create", "secret", "generic", THEIRS, "--from-literal=key=mine")
        _, backup = tiny.backup()
        yield Ground(tiny, backup)


@pytest.fixture
def copy(ground: Ground, tmp_path: Path) -> Path:
    """A copy of the backup, to be written to by somebody else."""
    copy = tmp_path / ground.backup.name
    subprocess.run(["cp", "-a", ground.backup, copy], check=True)
    return copy


def put(backup: Path, name: str, body: dict[str, Any], *, listed: bool) -> None:
    """Put an object into a backup; whoever can write the list as well lists it."""
    path = backup / name
    path.write_text(json.dumps(body))
    if listed:
        about = json.loads((backup / "backup.json").read_text())
        others = [file for file in about["contents"] if file["path"] != name]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        about["contents"] = [*others, {"path": name, "size": path.stat().st_size, "sha256": digest}]
        (backup / "backup.json").write_text(json.dumps(about))


def secret(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": "ZXZpbA=="}, **more}


def privileged(namespace: str) -> dict[str, Any]:
    """A pod that would have the node."""
    container = {"name": "x", "image": "openab.local/openab:0.8.1", "securityContext": {"privileged": True}}
    metadata = {"name": "evil", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def test_a_secret_that_is_not_listed_is_not_restored(ground: Ground, copy: Path) -> None:
    put(copy, f"secret-{THEIRS}.yaml", secret(ground.tiny.namespace, THEIRS), listed=False)
    before = ground.secret(THEIRS)
    run = ground.run("restore", copy, "--items=secret")
    assert run.status == 1, run.output
    assert f"secret-{THEIRS}.yaml: it is there, and backup.json does not list it" in run.output
    assert ground.secret(THEIRS) == before
    verified = ground.tiny.verify(copy)
    assert verified.status == 1, verified.output
    assert f"secret-{THEIRS}.yaml: it is there" in verified.output


def test_a_note_in_a_backup_is_named_and_in_nobodys_way(ground: Ground, copy: Path) -> None:
    (copy / "README").write_text("of July")
    verified = ground.tiny.verify(copy)
    assert verified.status == 1, verified.output
    assert "README: it is there, and backup.json does not list it" in verified.output
    assert ground.run("restore", copy, "--items=secret").status == 0


def test_a_secret_that_the_release_does_not_use_is_not_overwritten(ground: Ground, copy: Path) -> None:
    put(copy, f"secret-{THEIRS}.yaml", secret(ground.tiny.namespace, THEIRS), listed=True)
    put(copy, "secret-new.yaml", secret(ground.tiny.namespace, "new"), listed=True)
    before = ground.secret(THEIRS)
    run = ground.run("restore", copy, "--items=secret")
    assert run.status == 0, run.output
    assert f"Secrets left as they are: new, {THEIRS}" in run.output
    assert ground.secret(THEIRS) == before
    assert ground.tiny.kubectl("get", "secret", "new", "--ignore-not-found", "--output=name") == ""


def test_a_record_of_helms_is_not_overwritten(ground: Ground, copy: Path) -> None:
    body = secret(ground.tiny.namespace, RECORD, type="helm.sh/release.v1")
    put(copy, f"secret-{RECORD}.yaml", body, listed=True)
    before = ground.secret(RECORD)
    run = ground.run("restore", copy, "--items=secret")
    assert run.status == 1, run.output
    assert "it is one of Helm's own records" in run.output
    assert ground.secret(RECORD) == before


def test_an_archive_behind_a_link_is_not_restored(ground: Ground, copy: Path, tmp_path: Path) -> None:
    """Not even with the right content: whoever can change it there changes it after the proof."""
    (copy / ARCHIVE).rename(tmp_path / "home.tar")
    (copy / ARCHIVE).symlink_to(tmp_path / "home.tar")
    before = ground.pods()
    run = ground.run("restore", copy)
    assert run.status == 1, run.output
    assert f"{ARCHIVE} in {copy} is a symbolic link" in " ".join(run.output.split())
    assert ground.pods() == before


@pytest.mark.parametrize(
    ("stage", "field", "value"),
    [
        ("rebuild", "release", "--help"),
        ("rebuild", "chart", "../../../tmp/evil"),
        ("reinstall", "version", "--repo=https://evil"),
        ("restore", "name", "x,owner=helm"),
    ],
)
def test_a_word_of_the_list_is_no_option_and_no_path(
    ground: Ground, copy: Path, stage: str, field: str, value: str
) -> None:
    about = json.loads((copy / "backup.json").read_text())
    (copy / "backup.json").write_text(json.dumps({**about, field: value}))
    run = ground.run(stage, copy)
    assert run.status == 1, run.output
    assert f"this tool has not written it: {field} is '{value}'" in " ".join(run.output.split())


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o1777, 0), (0o700, 54321)], ids=["all", "sticky", "theirs"])
def test_a_backup_root_that_others_could_fill(ground: Ground, tmp_path: Path, mode: int, owner: int) -> None:
    """Nothing is written there: no home, no Secret, no session."""
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(mode)
    os.chown(root, owner, 0)
    suites = replace(ground.tiny.suites, backup_root=root)
    run = suites.run("suites/backup", f"--namespace={ground.tiny.namespace}")
    assert run.status == 1, run.output
    told = f"{root} belongs to 54321" if owner else f"{root} may be written by others"
    assert told in " ".join(run.output.split())
    assert f"next: {f'if it is yours: sudo chown root {root}' if owner else f'chmod go-w {root}'}" in run.output
    assert list(root.iterdir()) == []


def test_a_backup_that_others_could_exchange_stops_no_agent(ground: Ground, copy: Path) -> None:
    """What is newer would be set aside beside it, where others could take its place."""
    copy.parent.chmod(0o777)
    before = ground.pods()
    run = ground.run("restore", copy)
    assert run.status == 1, run.output
    assert f"{copy.parent} may be written by others (mode 0777)" in " ".join(run.output.split())
    assert ground.pods() == before
    assert run.verdicts()["test_agents_are_stopped"] == "not run"


def test_a_token_of_the_cluster_is_not_kept(world: World, status: Status, tmp_path: Path) -> None:
    """A pod refers to a service account's token: whoever has it is that account, and a copy is nobody's way back."""
    with tiny_release(world, status, tmp_path) as tiny:
        token = secret(tiny.namespace, "token", type="kubernetes.io/service-account-token")
        token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
        (tmp_path / "token.json").write_text(json.dumps({**token, "data": {}}))
        world.kubectl("create", "--filename", tmp_path / "token.json")
        tiny.kubectl("set", "env", f"deploy/{DEPLOYMENT}", "--from=secret/token", "--keys=token")
        tiny.kubectl("rollout", "status", f"deploy/{DEPLOYMENT}", "--timeout=120s")
        run, backup = tiny.backup()
        assert "left out: Secret token" in run.output + run.html
        assert sorted(path.name for path in backup.glob("secret-*")) == [f"secret-{DEPLOYMENT}.yaml"]


def test_a_backup_that_nobody_of_us_has_signed(ground: Ground, copy: Path, tmp_path: Path) -> None:
    """It is whole, and all its digests are right; but who wrote them is not proved."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "signers").write_text(f"us@example.org {key.with_suffix('.pub').read_text()}")
    demand = ("--items=secret", f"--require-signature={tmp_path / 'signers'}")
    login = secret(ground.tiny.namespace, DEPLOYMENT, type="Opaque")
    put(copy, f"secret-{DEPLOYMENT}.yaml", login, listed=True)
    before = ground.secret(DEPLOYMENT)
    run = ground.run("restore", copy, *demand)
    assert run.status == 1, run.output
    assert "is not signed, and --require-signature demands it" in " ".join(run.output.split())
    _, signed = ground.tiny.backup(f"--sign-with={key}")
    put(signed, f"secret-{DEPLOYMENT}.yaml", login, listed=True)
    run = ground.run("restore", signed, *demand)
    assert run.status == 1, run.output
    assert "is not signed by anybody in" in " ".join(run.output.split())
    assert ground.secret(DEPLOYMENT) == before
    _, sound = ground.tiny.backup(f"--sign-with={key}")
    run = ground.run("restore", sound, *demand)
    assert run.status == 0, run.output
    assert "signed by: us@example.org" in run.output


def test_a_pod_in_the_place_of_a_secret_is_not_made(ground: Ground, copy: Path, tmp_path: Path) -> None:
    """The namespace is gone: nothing of it is made, not even the namespace."""
    put(copy, "secret-evil.yaml", privileged(ground.tiny.namespace), listed=False)
    other = tmp_path / "listed" / copy.name
    other.parent.mkdir()
    subprocess.run(["cp", "-a", ground.backup, other], check=True)
    put(other, "secret-evil.yaml", privileged(ground.tiny.namespace), listed=True)
    ground.tiny.world.kubectl("delete", "namespace", ground.tiny.namespace, "--timeout=120s")
    for backup, told in ((copy, "does not list it"), (other, "it is of kind Pod, v1; not a Secret of v1")):
        run = ground.run("rebuild", backup)
        assert run.status == 1, run.output
        assert told in " ".join(run.output.split())
        namespace = ground.tiny.world.kubectl("get", "namespace", ground.tiny.namespace, "--ignore-not-found")
        assert namespace == ""
    token = secret(ground.tiny.namespace, "token", type="kubernetes.io/service-account-token")
    token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    sound = tmp_path / "token" / copy.name
    sound.parent.mkdir()
    subprocess.run(["cp", "-a", ground.backup, sound], check=True)
    put(sound, "secret-token.yaml", token, listed=True)
    run = ground.run("rebuild", sound)
    assert run.status == 0, run.output
    assert "Secret token': 'left out" in run.evidence("test_references_are_made")
    assert ground.tiny.kubectl("get", "secret", "token", "--ignore-not-found") == ""
    assert ground.tiny.kubectl("get", "deploy", DEPLOYMENT, "--output=jsonpath={.status.availableReplicas}") == "1"
