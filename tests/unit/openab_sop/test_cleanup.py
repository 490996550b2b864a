"""Cleanup: what is listed, what may go, and that nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop.backups import cleanup
from openab_sop.backups.backup import HOME
from openab_sop.errors import BackupError, NotNeeded
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import AGENT, flip, made

OLD, NEW, NEWEST = (f"openab-backup-2026010{day}-000000" for day in (1, 2, 3))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal outside the root."""
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


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
    with pytest.raises(NotNeeded):
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
    with pytest.raises(NotNeeded):
        cleanup.clear(root, None, journal)


def test_no_root(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not a directory"):
        cleanup.survey(tmp_path / "none")
