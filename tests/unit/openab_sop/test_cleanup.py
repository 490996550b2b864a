"""Cleanup: what is listed, what may go, and that nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from openab_sop.backups import backup, cleanup
from openab_sop.backups.backup import CONTENTS, HOME
from openab_sop.backups.inventory import LONGEST
from openab_sop.backups.retention import Retention
from openab_sop.errors import BackupError, StepSkipped
from openab_sop.journal import Journal
from openab_sop.redact import mask
from tests.unit.openab_sop.stored import AGENT, flip, made, written

OLD, NEW, NEWEST = (f"openab-backup-2026010{day}-000000" for day in (1, 2, 3))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A backup root."""
    root = tmp_path / "backups"
    root.mkdir()
    return root


def names(root: Path) -> list[str]:
    """The backups that are there."""
    return sorted(path.name for path in root.glob("openab-backup-*"))


def test_the_newest_good_one_of_each_release_stays(root: Path, journal: Journal) -> None:
    made(root, OLD)
    made(root, NEW, release="other")
    made(root, NEWEST)
    found = cleanup.survey(root)
    assert [(kept.name, kept.newest) for kept in found] == [(OLD, False), (NEW, True), (NEWEST, True)]
    for name in (NEW, NEWEST):
        with pytest.raises(BackupError, match="it stays"):
            cleanup.delete_named(found, (OLD, name), journal)
    assert names(root) == [OLD, NEW, NEWEST]
    assert cleanup.delete_named(found, (OLD,), journal) == [OLD]
    assert names(root) == [NEW, NEWEST]


def test_a_newer_damaged_one_does_not_count(root: Path, journal: Journal) -> None:
    made(root, OLD)
    flip(made(root, NEW).directory / AGENT / HOME, 3000)
    (root / NEWEST).mkdir()
    found = cleanup.survey(root)
    assert [kept.newest for kept in found] == [True, False, False]
    assert [bool(kept.damage) for kept in found] == [False, True, True]
    with pytest.raises(BackupError, match="it stays"):
        cleanup.delete_named(found, (OLD,), journal)
    cleanup.delete_named(found, (NEW, NEWEST), journal)
    assert names(root) == [OLD]


def test_each_line_tells_release_version_size_and_state(root: Path) -> None:
    made(root, OLD)
    made(root, NEW)
    first, second = map(str, cleanup.survey(root))
    assert first == f"{OLD}  cluster-/namespace/openab  0.8.1  0 MiB  safe to delete"
    assert second.endswith("the newest good one")


@pytest.mark.parametrize("name", ["../backups/" + OLD, "./" + OLD, OLD + "/", "", "*", "nothing", "/"])
def test_only_a_name_is_a_name(root: Path, journal: Journal, name: str) -> None:
    made(root, OLD)
    made(root, NEW)
    for given in (name, str(root / OLD)):
        with pytest.raises(BackupError, match="there is no backup"):
            cleanup.delete_named(cleanup.survey(root), (given,), journal)
    assert names(root) == [OLD, NEW]


def test_a_name_given_twice_deletes_nothing(root: Path, journal: Journal) -> None:
    made(root, OLD)
    made(root, NEW)
    with pytest.raises(BackupError, match="is named 2 times"):
        cleanup.delete_named(cleanup.survey(root), (OLD, OLD), journal)
    assert names(root) == [OLD, NEW]


def test_a_link_is_no_backup(root: Path, tmp_path: Path, journal: Journal) -> None:
    elsewhere = made(tmp_path, OLD)
    (root / OLD).symlink_to(elsewhere.directory)
    assert cleanup.survey(root) == []
    with pytest.raises(BackupError):
        cleanup.delete_named(cleanup.survey(root), (OLD,), journal)
    assert (elsewhere.directory / "values.yaml").exists()


def test_nothing_named_nothing_deleted(root: Path, journal: Journal) -> None:
    made(root, OLD)
    with pytest.raises(StepSkipped):
        cleanup.delete_named(cleanup.survey(root), (), journal)


def test_a_deletion_that_ends_halfway_leaves_no_backup(
    root: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(root, OLD)
    made(root, NEW)

    def die(path: Path) -> None:
        (path / "values.yaml").unlink()
        raise KeyboardInterrupt

    found = cleanup.survey(root)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("openab_sop.backups.cleanup.shutil.rmtree", die)
        cleanup.delete_named(found, (OLD,), journal)
    assert names(root) == [NEW]
    assert cleanup.clear(root, None, journal) == [f".{OLD}.partial"]
    assert sorted(path.name for path in root.iterdir() if "partial" in path.name) == []
    with pytest.raises(StepSkipped):
        cleanup.clear(root, None, journal)


def test_no_root(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not a directory"):
        cleanup.survey(tmp_path / "none")


def spoiled(root: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Make a backup whose backup.json is changed, its other digests being right."""
    backup = made(root, name)
    said = json.loads((backup.directory / "backup.json").read_text())
    change(said)
    (backup.directory / "backup.json").write_text(json.dumps(said))


def listed_as(directory: Path, said: dict[str, Any], path: str, data: bytes) -> None:
    """Have a file with this content, and backup.json list it as it is."""
    (directory / path).write_bytes(data)
    (entry,) = (entry for entry in said["contents"] if entry["path"] == path)
    entry |= {"size": len(data), "sha256": sha256(data).hexdigest()}


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("schema",), float("inf")),
        (("schema",), []),
        (("revision",), 1e300),
        (("revision",), -1),
        (("contents", 0, "size"), -(1 << 80)),
        (("contents", 0, "size"), float("nan")),
        (("contents",), None),
        (("agents",), [None]),
        (("agents", 0, "bytes"), 10**30),
        (("agents", 0), {}),
    ],
)
def test_a_backup_that_is_none_hides_no_other(root: Path, where: tuple[Any, ...], value: object) -> None:
    """Issue 14: one bad backup ended the listing, and what looks for the newest."""

    def change(said: Any) -> None:
        for key in where[:-1]:
            said = said[key]
        said[where[-1]] = value

    made(root, OLD)
    spoiled(root, NEWEST, change)
    found = {kept.name: kept for kept in cleanup.survey(root)}
    assert (found[OLD].newest, bool(found[NEWEST].damage)) == (True, True)
    newest = backup.newest(root, ["cluster-of-tests"], "namespace", "openab")
    assert newest is not None
    assert newest.name == OLD


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\n",
        b"[" * 50_000,
        b"[]\n",
        b"null\n",
        b'{"path": null}\n',
        b'{"path": "a", "type": "f", "mode": 1e999, "uid": 0, "gid": 0}\n',
        b'{"path": "\\ud800", "type": "f", "mode": 1, "uid": 0, "gid": 0}\n',
        b'{"path": "a", "type": "f", "mode": 1, "uid": 0, "gid": 0, "size": 1' + b"0" * 30 + b"}\n",
        b'{"path": "' + b"a" * LONGEST + b'"}\n',
        b'{"nobody": "knows"}\n',
    ],
    ids=lambda line: str(line[:30]),
)
def test_a_list_of_files_that_is_none_hides_no_other_backup(root: Path, line: bytes) -> None:
    made(root, OLD)
    path = f"{AGENT}/{CONTENTS}"
    spoiled(root, NEWEST, lambda said: listed_as(root / NEWEST, said, path, line))
    found = {kept.name: kept for kept in cleanup.survey(root)}
    assert found[OLD].newest
    assert "the Contents of a home have a line that is not ours" in found[NEWEST].damage


def test_a_file_that_is_called_like_the_head_of_a_key_hides_no_other_damage(root: Path) -> None:
    names = ["-----BEGIN PRIVATE KEY-----", "values.yaml.gone"]
    files = [{"path": name, "size": 1, "sha256": "0" * 64} for name in names]
    spoiled(root, NEWEST, lambda said: said["contents"].extend(files))
    (found,) = cleanup.survey(root)
    assert "values.yaml.gone missing" in mask(str(found))


def test_clusters_whose_names_begin_alike_have_each_their_newest(root: Path) -> None:
    """Issue 15: eight characters of a UID are for the eye; what may go is told by the whole."""
    ours, theirs = made(root, OLD), made(root, NEW)
    written(replace(theirs, manifest=replace(theirs.manifest, cluster=f"{ours.manifest.cluster}-2")))
    assert [kept.newest for kept in cleanup.survey(root)] == [True, True]


def test_what_was_deleted_by_name_is_not_among_what_a_retention_keeps(root: Path, journal: Journal) -> None:
    for day, name in enumerate((OLD, NEW, NEWEST), 1):
        backup = made(root, name)
        written(replace(backup, manifest=replace(backup.manifest, created=f"2026-01-0{day}T00:00:00+00:00")))
    found, last = cleanup.survey(root), Retention(last=2)
    assert cleanup.expire(found, last, journal, delete=False) == f"nothing; --yes would delete {OLD}"
    cleanup.delete_named(found, (NEW,), journal)
    with pytest.raises(StepSkipped, match="each backup is kept"):
        cleanup.expire(found, last, journal, delete=True, without=(NEW,))
    assert names(root) == [OLD, NEWEST]
    assert cleanup.expire(found, Retention(last=1), journal, delete=True, without=(NEW,)).startswith(OLD)
    assert names(root) == [NEWEST]
