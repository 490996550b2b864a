"""Backups on a real S3 server: made, proved, encrypted, incremental, restored, deleted, and killed on their way."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from sandbox import Status
from tests.elsewhere import BUCKET, S3, s3_server
from tests.integration.conftest import Run, Suites
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.tiny import ARCHIVE, DEPLOYMENT, Tiny, tiny_release
from tests.integration.suites.underway import ended, started, until
from tests.integration.suites.upgrades import upgrading
from world import World

_age: Any = pyrage  # it ships no types
PLANTED = "planted-in-the-home-77d0"
SIZE = 12_000_000


@dataclass(frozen=True)
class Elsewhere(Suites):
    """Suites whose backup root is a URL; the directory is for staging."""

    url: str = ""

    def words(self, *arguments: str) -> list[str]:
        local = super().words(*arguments)
        root = f"--backup-root={self.backup_root}"
        return [f"--backup-root={self.url}" if word == root else word for word in local] + [
            f"--staging={self.backup_root}"
        ]

    @property
    def staging(self) -> list[str]:
        """What is left on the local disk."""
        return sorted(path.name for path in self.backup_root.glob("*/*"))


@dataclass(frozen=True)
class Remote:
    """A release, and suites that back it up to an S3 server."""

    tiny: Tiny
    s3: S3
    suites: Elsewhere

    @property
    def names(self) -> list[str]:
        """The names below the root that have a manifest, oldest first."""
        return [key.split("/")[1] for key in self.s3.objects("root/") if key.endswith("/backup.json")]

    def at(self, root: str) -> Remote:
        """The same with another root on the server."""
        suites = replace(self.suites, url=f"s3://{BUCKET}/{root}")
        return replace(self, suites=suites, tiny=replace(self.tiny, suites=suites))

    def backup(self, *arguments: str) -> tuple[Run, str]:
        """Make a backup; the run, and the backup's name."""
        run = self.tiny.attempt(*arguments)
        assert run.status == 0, run.output
        return run, self.names[-1]

    def verify(self, name: str, *arguments: str) -> Run:
        """Prove a backup by its URL alone, as an operator who was told no root."""
        url = f"--backup={self.suites.url}/{name}"
        suites = Suites(self.suites.backup_root, self.suites.reports, self.suites.env)
        return suites.run("suites/backup", "--verify", url, *arguments, env={"KUBECONFIG": "/nonexistent"})


@pytest.fixture(scope="module")
def remote(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with s3_server() as s3, tiny_release(world, status, tmp_path_factory.mktemp("elsewhere")) as tiny:
        tiny.shell(
            f"mkdir -p .kiro/steering && echo {PLANTED} > .kiro/steering/note && head -c {SIZE} /dev/urandom > big"
        )
        local = tiny.suites
        suites = Elsewhere(local.backup_root, local.reports, {**local.env, **s3.env}, f"s3://{BUCKET}/root")
        yield Remote(replace(tiny, suites=suites), s3, suites)


@pytest.fixture(scope="module")
def first(remote: Remote) -> tuple[Run, str]:
    """A backup with everything from the pod, the first of its root."""
    return remote.backup("--full")


def counted(run: Run) -> tuple[int, int]:
    """Bytes that were received from the pod, and taken from the earlier backup."""
    said = re.search(r"(\d+) bytes received, (\d+) taken", run.evidence("test_homes_are_copied"))
    assert said
    return int(said[1]), int(said[2])


def test_a_backup_goes_to_the_server_and_nothing_of_it_stays(remote: Remote, first: tuple[Run, str]) -> None:
    run, name = first
    keys = remote.s3.objects(f"root/{name}/")
    assert {f"root/{name}/{path}" for path in ("backup.json", "values.yaml", ARCHIVE)} <= set(keys)
    assert keys[f"root/{name}/{ARCHIVE}"] > SIZE
    assert not [key for key in keys if "/." in key]
    assert remote.suites.staging == ["sessions"]
    assert f"suites/restore --backup={remote.suites.url}/{name}" in run.output
    (session,) = remote.suites.backup_root.glob("*/sessions/*/*/*/session.env")
    assert f"OPENAB_BACKUP_ROOT={remote.suites.url}\n" in session.read_text()
    left = "".join(path.read_text() for path in run.report.iterdir()) + run.output
    assert remote.s3.env["AWS_SECRET_ACCESS_KEY"] not in left


def test_it_is_proved_by_its_url_alone(remote: Remote, first: tuple[Run, str]) -> None:
    run = remote.verify(first[1])
    assert run.status == 0, run.output
    assert "read back in full" in run.evidence("test_backup_is_sound")
    assert remote.suites.partial() == []


def test_a_flipped_bit_is_named(remote: Remote, first: tuple[Run, str]) -> None:
    key = f"root/{first[1]}/{ARCHIVE}"
    offset = remote.s3.get(key).index(PLANTED.encode())
    remote.s3.flip(key, offset)
    run = remote.verify(first[1])
    remote.s3.flip(key, offset)
    assert run.status == 1
    assert f"{DEPLOYMENT}: .kiro/steering/note" in run.output
    remote.s3.flip(f"root/{first[1]}/values.yaml", 5)
    run = remote.verify(first[1], "--quick")
    remote.s3.flip(f"root/{first[1]}/values.yaml", 5)
    assert run.status == 1
    assert "values.yaml: its content has changed" in run.output


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
def test_what_somebody_has_put_into_the_bucket_is_named_and_not_written(
    remote: Remote, tmp_path: Path, sealed: bool
) -> None:
    """Issue 14: whoever may write there can put a Secret beside a backup, and encrypt it to the public key."""
    identity = _age.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"{identity}\n")
    recipient, key = f"--encrypt-to={identity.to_public()}", f"--identity={tmp_path / 'key'}"
    theirs = remote.at("open-to-others-sealed" if sealed else "open-to-others")
    made = theirs.tiny.attempt(*([recipient, key] if sealed else []))
    assert made.status == 0, made.output
    (name,) = {path.split("/")[1] for path in remote.s3.objects(f"{theirs.suites.url.rpartition('/')[2]}/")}
    about = {"name": "evil", "namespace": remote.tiny.namespace}
    evil = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": {}}).encode()
    content = _age.encrypt(evil, [identity.to_public()]) if sealed else evil
    file = f"secret-evil.yaml{'.age' if sealed else ''}"
    remote.s3.put(f"{theirs.suites.url.rpartition('/')[2]}/{name}/{file}", content)
    url, more = f"--backup={theirs.suites.url}/{name}", ([key] if sealed else [])
    verified = theirs.verify(name, *more)
    where = f"--namespace={remote.tiny.namespace}"
    restored = theirs.suites.run("suites/restore", where, url, "--items=secret", "--yes", *more)
    for run in (verified, restored):
        assert run.status == 1, run.output
        assert f"{file}: it is there, and backup.json does not list it" in run.output
    assert remote.tiny.kubectl("get", "secret", "evil", "--ignore-not-found", "--output=name") == ""


def test_the_next_takes_what_is_unchanged_and_outlives_the_first(remote: Remote, first: tuple[Run, str]) -> None:
    run, second = remote.backup()
    received, taken = counted(run)
    assert received < SIZE < taken
    refused = remote.suites.run("suites/cleanup", f"--delete={second}")
    assert refused.status == 1
    assert f"{second} is the newest good backup" in refused.output
    deleted = remote.suites.run("suites/cleanup", f"--delete={first[1]}")
    assert deleted.status == 0, deleted.output
    assert remote.names == [second]
    assert remote.s3.objects(f"root/{first[1]}") == {}
    assert remote.verify(second).status == 0
    remote.tiny.shell("echo newer > .kiro/steering/note")
    where = f"--namespace={remote.tiny.namespace}"
    restored = remote.suites.run("suites/restore", where, f"--backup={second}", "--items=steering")
    assert restored.status == 0, restored.output
    assert remote.tiny.shell("cat .kiro/steering/note").strip() == PLANTED
    (aside,) = [path for path in remote.suites.staging if path.startswith("openab-aside-")]
    assert aside in restored.evidence("test_what_is_newer_is_set_aside")


def test_encrypted_it_shows_nothing_and_serves_all_the_same(remote: Remote, tmp_path: Path) -> None:
    key = _age.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"{key}\n")
    secret = remote.at("sealed")
    options = (f"--encrypt-to={key.to_public()}", f"--identity={tmp_path / 'key'}")
    assert secret.tiny.attempt(*options).status == 0
    run = secret.tiny.attempt(*options)
    assert run.status == 0, run.output
    assert counted(run)[1] > SIZE
    keys = remote.s3.objects("sealed/")
    names = sorted({key.split("/")[1] for key in keys})
    assert len(names) == 2
    assert all(key.endswith((".age", "/backup.json")) for key in keys)
    assert not any(PLANTED.encode() in remote.s3.get(key) for key in keys)
    assert secret.verify(names[1], options[1]).status == 0
    assert [name for name in secret.suites.staging if "openab-backup" in name] == []


def test_a_killed_upload_is_no_backup_and_goes_with_the_next_run(remote: Remote) -> None:
    slow = remote.at("killed")
    with started(slow.suites, slow.tiny.namespace) as process:
        until(process, lambda: len(remote.s3.objects("killed/openab-backup-")) > 2)
        process.send_signal(signal.SIGKILL)
        assert ended(slow.suites, process).status == -signal.SIGKILL
    left = remote.s3.objects("killed/")
    assert len(left) > 2
    assert not any(key.endswith("/backup.json") for key in left)
    (name,) = {key.split("/")[1] for key in left}
    assert "it has no backup.json" in slow.verify(name).output
    listed = slow.suites.run("suites/cleanup")
    assert listed.status == 0, listed.output
    assert listed.evidence("test_backups_are_listed") == "backups: none"
    assert name in listed.evidence("test_leftovers_are_removed")
    assert remote.s3.objects("killed/") == {}
    assert [path for path in slow.suites.staging if path.startswith(".")] == []


def test_an_upgrade_and_its_way_back_stand_on_it(
    remote: Remote, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """The new version deletes files of the home: they come back from the server."""
    with upgrading(remote.tiny.world, status, volumes, tmp_path / "run") as release:
        local = release.suites
        env = {**local.env, **remote.s3.env}
        suites = Elsewhere(local.backup_root, local.reports, env, f"s3://{BUCKET}/upgrade")
        release = replace(release, suites=suites)
        run = release.run("suites", "--target-version=0.9.0-deletes-files.1", "--approval=auto")
        assert run.status == 11, run.output
        assert release.kept()
        assert release.chart() == "0.8.1 deployed"
        assert len({key.split("/")[1] for key in remote.s3.objects("upgrade/")}) == 2
        assert not [name for name in suites.staging if "openab-backup" in name]


WRONG: dict[str, tuple[dict[str, str], str, str, str]] = {
    "nobody answers": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, BUCKET, "cannot be used", "AWS_ENDPOINT_URL"),
    "no such bucket": ({}, "no-such-bucket", "is not there", "create the bucket"),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/none"},
        BUCKET,
        "no usable credentials",
        "AWS_ACCESS_KEY_ID",
    ),
}


@pytest.mark.parametrize(("env", "bucket", "told", "hint"), WRONG.values(), ids=WRONG)
def test_a_root_that_cannot_be_used_is_told_before_anything_is_done(
    remote: Remote, env: dict[str, str], bucket: str, told: str, hint: str
) -> None:
    suites = replace(remote.suites, url=f"s3://{bucket}/root", env={**remote.suites.env, **env})
    before, begun = remote.s3.objects(""), time.monotonic()
    run = suites.run("suites/backup", f"--namespace={remote.tiny.namespace}")
    assert time.monotonic() - begun < 120
    assert run.status == 1
    assert told in run.output
    assert hint in run.output
    assert "Traceback" not in run.output
    assert run.verdicts()["test_release_is_resolved"] == "not run"
    assert remote.s3.objects("") == before


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://AKIA:hunter2secret@bucket", "has a password or a query in it"),
        ("gs://bucket/path", "pip install -e '.[gcs]'"),
        ("nonsense://bucket/path", "is no kind of store"),
    ],
)
def test_a_url_that_is_none_is_told_at_once(remote: Remote, url: str, told: str) -> None:
    before = set(remote.suites.reports.iterdir())
    run = replace(remote.suites, url=url).run("suites/backup", f"--namespace={remote.tiny.namespace}")
    assert run.status == 4
    assert told in run.output
    assert "next: " in run.output
    assert "hunter2" not in run.output
    assert set(remote.suites.reports.iterdir()) == before
