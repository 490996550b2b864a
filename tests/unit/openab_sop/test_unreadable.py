"""What an older version may not read any more, and how little of the home goes back for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from openab_sop.backups.backup import CONTENTS, HOME, StoredAgent
from openab_sop.backups.database import parts as database_parts
from openab_sop.backups.inventory import comparison
from openab_sop.restores.changes import Changes, VolumeSince
from openab_sop.restores.volume import Volume
from openab_sop.upgrades.settled import Settled
from tests.unit.openab_sop.local import Local, local
from tests.unit.openab_sop.stored import of_agent

STORE = ".local/share/kiro-cli"
DATABASE = f"{STORE}/data.sqlite3"
OTHER, OF_PROJECT = f"{STORE}/other.sqlite3", "project/db.sqlite3"
DATABASES = (DATABASE, OTHER, OF_PROJECT)
FILES = {
    ".kiro/agents/default.json": "{}",
    ".kiro/steering/rules.md": "answer briefly",
    "project/tsconfig.json": "{}",
    "project/src/main.ts": "1",
    "project/.git/refs/heads/main": "commit",
    "project/.git/config": "[core]",
    f"{STORE}/state.json": "{}",
    f"{STORE}/kept.json": "{}",
}


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    """A pod whose home is backed up."""
    pod = local(tmp_path)
    for name, text in FILES.items():
        (pod.home / name).parent.mkdir(parents=True, exist_ok=True)
        (pod.home / name).write_text(text)
    for name in DATABASES:
        with closing(sqlite3.connect(pod.home / name)) as database:
            database.execute("CREATE TABLE heartbeat (n INTEGER)")
            database.commit()
    (pod.home / "project/linked").hardlink_to(pod.home / "project/src/main.ts")
    archive = tmp_path / "backup" / "bot" / HOME
    archive.parent.mkdir(parents=True)
    with comparison(tmp_path / "backup") as table:
        pod.copy(table, archive)
        lines = [entry.as_line() + "\n" for entry in table.all("copy")]
    (tmp_path / "backup" / "bot" / CONTENTS).write_text("".join(lines))
    return pod


@contextmanager
def since(pod: Local, tmp_path: Path) -> Generator[VolumeSince]:
    """The home beside its backup."""
    stored = StoredAgent("bot", "/home", "claim", "uid", "image", "id", "node", {}, 9, 7, 9, DATABASES)
    with comparison(tmp_path) as table:
        contents = tmp_path / "backup" / "bot" / CONTENTS
        volume = Volume(pod.pod, str(pod.home), (), table, contents, ())
        volume.look()
        yield VolumeSince(volume, stored, of_agent(tmp_path / "backup", stored), tmp_path, table, ("*.lock",))


def paths(pod: Local, tmp_path: Path) -> set[str]:
    """The paths that go back to the backup."""
    with since(pod, tmp_path) as seen:
        return {path for unreadable in seen.unreadable_to_old() for path in unreadable.paths}


def test_what_is_newer_is_no_reason(pod: Local, tmp_path: Path) -> None:
    (pod.home / "newer").write_text("of today")
    (pod.home / ".kiro/steering/rules.md").write_text("answer at length")
    (pod.home / ".kiro/agents/default.json").write_text('{"name": "other"}')
    assert paths(pod, tmp_path) == set()


def test_a_file_that_is_gone_comes_back_alone(pod: Local, tmp_path: Path) -> None:
    (pod.home / ".kiro/steering/rules.md").unlink()
    (pod.home / "newer").write_text("of today")
    assert paths(pod, tmp_path) == {".kiro/steering/rules.md"}


def test_of_a_tree_that_is_gone_its_top_comes_back(pod: Local, tmp_path: Path) -> None:
    (pod.home / "project/src/main.ts").unlink()
    (pod.home / "project/src").rmdir()
    assert paths(pod, tmp_path) == {"project/src"}


def test_a_file_in_the_place_of_a_directory_gives_way(pod: Local, tmp_path: Path) -> None:
    (pod.home / "project/src/main.ts").unlink()
    (pod.home / "project/src").rmdir()
    (pod.home / "project/src").write_text("a file")
    assert paths(pod, tmp_path) == {"project/src"}


def test_what_may_vanish_does_not_come_back(pod: Local, tmp_path: Path) -> None:
    with since(pod, tmp_path) as seen:
        assert list(seen.unreadable_to_old()) == []
    (pod.home / "project/src/main.ts").rename(pod.home / "project/src/main.lock")
    assert paths(pod, tmp_path) == {"project/src/main.ts"}


def migrate(path: Path) -> None:
    """Have a database moved on by a newer version."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")
        database.execute("ALTER TABLE heartbeat RENAME TO beats")
        database.commit()


def test_a_database_that_is_gone_comes_back_with_its_logs(pod: Local, tmp_path: Path) -> None:
    """Rows that were committed may stand in them alone; and a newer log must not be played into the old file."""
    (pod.home / DATABASE).unlink()
    assert paths(pod, tmp_path) == set(database_parts(DATABASE))


def test_a_migration_that_stands_in_a_new_log_is_seen(pod: Local, tmp_path: Path) -> None:
    before = (pod.home / DATABASE).read_bytes()
    with closing(sqlite3.connect(pod.home / DATABASE)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA user_version = 2")
        database.execute("ALTER TABLE heartbeat RENAME TO beats")
        database.commit()
        kept = {suffix: (pod.home / f"{DATABASE}{suffix}").read_bytes() for suffix in ("", "-wal", "-shm")}
    for suffix, data in kept.items():
        (pod.home / f"{DATABASE}{suffix}").write_bytes(data)
    assert before != kept[""] or kept["-wal"]
    assert paths(pod, tmp_path) == set(database_parts(DATABASE))


def test_a_database_beside_it_goes_back_as_a_set(pod: Local, tmp_path: Path) -> None:
    migrate(pod.home / DATABASE)
    with closing(sqlite3.connect(pod.home / OTHER)) as database:
        database.execute("INSERT INTO heartbeat VALUES (1)")
        database.commit()
    assert paths(pod, tmp_path) == {*database_parts(DATABASE), *database_parts(OTHER)}


def test_a_database_of_somebodys_project_is_the_agents_work(pod: Local, tmp_path: Path) -> None:
    migrate(pod.home / OF_PROJECT)
    assert paths(pod, tmp_path) == set()


def test_a_hard_link_comes_back_with_the_name_that_holds_its_content(pod: Local, tmp_path: Path) -> None:
    with since(pod, tmp_path) as seen:
        assert seen.changes.removed == ()
    for gone in ("project/linked", "project/src/main.ts"):
        (pod.home / gone).unlink()
        found = paths(pod, tmp_path)
        assert {"project/linked"} <= found <= {"project/linked", "project/src/main.ts"}
    assert found == {"project/linked", "project/src/main.ts"}


def test_what_git_packs_or_ends_does_not_come_back(pod: Local, tmp_path: Path) -> None:
    """An old branch in a file of its own would win over the packed one."""
    (pod.home / "project/.git/refs/heads/main").unlink()
    assert paths(pod, tmp_path) == set()


def test_a_database_goes_back_with_its_logs_and_with_what_was_rewritten_beside_it(pod: Local, tmp_path: Path) -> None:
    migrate(pod.home / DATABASE)
    (pod.home / STORE / "state.json").write_text('{"schema": 2}')
    (pod.home / STORE / "newer").write_text("of today")
    (pod.home / "project/src/main.ts").write_text("2")
    assert paths(pod, tmp_path) == {*database_parts(DATABASE), f"{STORE}/state.json"}


def test_a_database_with_more_rows_stays(pod: Local, tmp_path: Path) -> None:
    with closing(sqlite3.connect(pod.home / DATABASE)) as database:
        database.execute("INSERT INTO heartbeat VALUES (1)")
        database.commit()
    assert paths(pod, tmp_path) == set()


def test_configuration_of_the_agents_must_parse_and_nobody_elses(pod: Local, tmp_path: Path) -> None:
    (pod.home / ".kiro/agents/default.json").write_text("{")
    (pod.home / "project/tsconfig.json").write_text("{ // with a comment, as its tool allows\n}")
    assert paths(pod, tmp_path) == {".kiro/agents/default.json"}


def test_only_these_paths_are_written(pod: Local, tmp_path: Path) -> None:
    """The volume is brought back by them: what was gone is there, what is newer stays."""
    (pod.home / "project/src/main.ts").unlink()
    (pod.home / "project/src").rmdir()
    (pod.home / "project/newer").write_text("of today")
    roots = tuple(paths(pod, tmp_path))
    with comparison(tmp_path) as table:
        contents = tmp_path / "backup" / "bot" / CONTENTS
        volume = Volume(pod.pod, str(pod.home), (), table, contents, roots)
        volume.look()
        list(volume.apply(volume.change(), tmp_path / "backup" / "bot" / HOME))
        assert [str(finding) for finding in volume.findings()] == []
    assert (pod.home / "project/src/main.ts").read_text() == "1"
    assert (pod.home / "project/newer").read_text() == "of today"


def test_what_changed_since_a_version_had_settled_is_told_with_its_bytes(pod: Local, tmp_path: Path) -> None:
    """What changed before is not: that was the version's, and was judged."""
    settled = Settled(tmp_path / "settled")
    (pod.home / "of-the-version").write_text("x")
    with since(pod, tmp_path) as seen:
        assert settled.changes_since("bot", seen) == ""  # nobody has taken it down yet
        settled.take("bot", seen)
        assert settled.changes_since("bot", seen) == ""
    (pod.home / "newer").write_text("of today")
    (pod.home / "project/src/main.ts").unlink()
    (pod.home / ".kiro/steering/rules.md").write_text("answer at length")
    with since(pod, tmp_path) as seen:
        told = settled.changes_since("bot", seen)
        assert "1 added ('newer')" in told
        assert "1 changed ('.kiro/steering/rules.md')" in told
        assert "1 removed ('project/src/main.ts')" in told
        assert told.endswith("; +9 bytes")
        assert "of-the-version" not in told
        assert settled.changes_since("of/another@kind", seen) == ""
    settled.forget()
    assert not settled.directory.exists()


def test_changes_can_be_confined() -> None:
    changes = Changes(("a/b", "ab"), ("a", "c"), ("d/e",))
    assert changes.below(("a", "d")) == Changes(("a/b",), ("a",), ("d/e",))
    assert changes.below(()) == changes
    assert changes.but_for(["c", "d/e"]) == Changes(("a/b", "ab"), ("a",), ())
