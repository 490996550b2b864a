"""The proof of a backup: each damage is named, and the backup is only read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.backups.backup import CONTENTS, HOME, MANIFEST, Backup
from openab_sop.backups.proof import belongs, prove, sealed_files
from openab_sop.errors import BackupError, StepSkipped
from tests.unit.openab_sop.stored import AGENT, DATABASE, flip, made, written

ARCHIVE = f"{AGENT}/{HOME}"
LIST = f"{AGENT}/{CONTENTS}"


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """A sound backup."""
    return made(tmp_path)


def where(backup: Backup, text: bytes, last: bool = False) -> int:
    """Where in the archive a text stands."""
    raw = (backup.directory / ARCHIVE).read_bytes()
    return raw.rindex(text) if last else raw.index(text)


def content(backup: Backup) -> None:
    flip(backup.directory / ARCHIVE, where(backup, b"small\n"))


def header(backup: Backup) -> None:
    flip(backup.directory / ARCHIVE, where(backup, b"./second", last=True))


def attribute(backup: Backup) -> None:
    flip(backup.directory / ARCHIVE, where(backup, b"mtime=") + 8)


def number(backup: Backup) -> None:
    """A time that is no number: Python's own words for it must not be all that is seen."""
    flip(backup.directory / ARCHIVE, where(backup, b"mtime=") + 8, 0x40)


def padding(backup: Backup) -> None:
    flip(backup.directory / ARCHIVE, where(backup, b"small\n") + 100)


def end(backup: Backup) -> None:
    flip(backup.directory / ARCHIVE, -1)


def contents(backup: Backup) -> None:
    flip(backup.directory / LIST, 5)


def values(backup: Backup) -> None:
    flip(backup.directory / "values.yaml", 0)


def shorter(part: str, size: int) -> Callable[[Backup], None]:
    def cut(backup: Backup) -> None:
        path = backup.directory / part
        os.truncate(path, path.stat().st_size - size)

    return cut


def missing(part: str) -> Callable[[Backup], None]:
    return lambda backup: (backup.directory / part).unlink()


DAMAGES: dict[str, tuple[Callable[[Backup], None], str]] = {
    "content": (content, "small"),
    "header": (header, ARCHIVE),
    "attribute": (attribute, ARCHIVE),
    "number": (number, ARCHIVE),
    "padding": (padding, ARCHIVE),
    "end": (end, ARCHIVE),
    "contents": (contents, LIST),
    "values": (values, "values.yaml"),
    "one byte short": (shorter(ARCHIVE, 1), ARCHIVE),
    "one record short": (shorter(ARCHIVE, 10240), ARCHIVE),
    "half": (shorter(ARCHIVE, 60_000), ARCHIVE),
    "Contents short": (shorter(LIST, 10), LIST),
    "no archive": (missing(ARCHIVE), ARCHIVE),
    "no Contents": (missing(LIST), LIST),
    "no values": (missing("values.yaml"), "values.yaml"),
}


def test_a_sound_backup_is_good(backup: Backup) -> None:
    assert prove(backup).passed
    assert "read back in full" in str(prove(backup))
    assert prove(backup, quick=True).passed


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_named(backup: Backup, damage: Callable[[Backup], None], named: str) -> None:
    damage(backup)
    verdict = prove(backup)
    assert not verdict.passed
    assert named in str(verdict)


@pytest.mark.parametrize(
    "name", [name for name in DAMAGES if name not in ("header", "attribute", "padding", "end", "number")]
)
def test_a_sample_of_everything_sees_what_concerns_content(backup: Backup, name: str) -> None:
    damage, named = DAMAGES[name]
    damage(backup)
    assert named in str(prove(backup, quick=True))


def test_a_database_that_is_broken_by_itself_is_named(backup: Backup) -> None:
    """Damage that was there already when the digests were made: only SQLite sees it."""
    raw = (backup.directory / ARCHIVE).read_bytes()
    start = raw.index(b"SQLite format 3\0")
    flip(backup.directory / ARCHIVE, start + 100, 0xFF)
    again = written(backup)
    assert DATABASE in str(prove(again))


def test_a_manifest_of_another_backup_is_named(backup: Backup, tmp_path: Path) -> None:
    other = made(tmp_path, "openab-backup-20260202-000000")
    shutil.copy(other.directory / MANIFEST, backup.directory)
    verdict = prove(Backup.load(backup.directory))
    assert "backup.json: it is of backup openab-backup-20260202-000000" in str(verdict)


def test_the_backup_is_only_read(backup: Backup) -> None:
    before = {path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in backup.directory.rglob("*")}
    before[backup.directory] = (backup.directory.stat().st_mtime_ns, backup.directory.stat().st_ctime_ns)
    prove(backup)
    prove(backup, quick=True)
    assert {path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in before} == before


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": "x"}', b'{"schema": 1}', b'{"schema": [1]}'],
    ids=repr,
)
def test_a_manifest_that_is_none(backup: Backup, text: bytes) -> None:
    (backup.directory / MANIFEST).write_bytes(text)
    with pytest.raises(BackupError, match=r"backup\.json is damaged"):
        Backup.load(backup.directory)


def test_a_newer_schema(backup: Backup) -> None:
    data = json.loads((backup.directory / MANIFEST).read_text())
    (backup.directory / MANIFEST).write_text(json.dumps({**data, "schema": 99}))
    with pytest.raises(BackupError, match="has schema 99; this tool knows"):
        Backup.load(backup.directory)


def test_no_manifest_no_backup(backup: Backup) -> None:
    (backup.directory / MANIFEST).unlink()
    with pytest.raises(BackupError, match="is not a backup"):
        Backup.load(backup.directory)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a//b", "", "a\0b"])
def test_a_manifest_that_leads_out_is_refused(backup: Backup, path: str) -> None:
    data = json.loads((backup.directory / MANIFEST).read_text())
    data["contents"][0]["path"] = path
    (backup.directory / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(BackupError, match=r"contents\[0\]\.path is"):
        Backup.load(backup.directory)


def test_a_manifest_that_lists_no_archive(backup: Backup) -> None:
    short = tuple(file for file in backup.manifest.contents if file.path != ARCHIVE)
    listed = replace(backup, manifest=replace(backup.manifest, contents=short))
    assert ARCHIVE in str(prove(listed))
    assert ARCHIVE in str(prove(listed, quick=True))


@pytest.mark.parametrize(
    ("namespace", "release", "named"),
    [
        ("namespace", "other", "release openab"),
        ("other", "openab", "namespace namespace"),
        (None, "x", "release openab"),
    ],
)
def test_a_foreign_release_is_named(backup: Backup, namespace: str | None, release: str, named: str) -> None:
    assert f"it is of {named}" in str(belongs(backup, namespace, release))


def test_the_named_release_is_no_foreign_one(backup: Backup) -> None:
    assert belongs(backup, "namespace", "openab").passed
    assert belongs(backup, None, "openab").passed
    with pytest.raises(StepSkipped):
        belongs(backup, None, None)


def test_only_an_encrypted_backup_has_encrypted_files(backup: Backup) -> None:
    with pytest.raises(StepSkipped):
        sealed_files(backup)
