"""What an older version relies on in a database: versions and schema, not its rows (SOP 4.3)."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from openab_sop.backups.archive import Archive
from openab_sop.backups.database import DatabaseFormat, shape
from openab_sop.errors import BackupError

MADE = "CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO heartbeat (at) VALUES ('now');"


def shape_of(directory: Path, script: str, damage: bytes = b"") -> DatabaseFormat:
    """The shape of a database that a script makes, out of an archive."""
    directory.mkdir()
    path = directory / "db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    if damage:
        path.write_bytes(path.read_bytes()[:2000] + damage + path.read_bytes()[2000 + len(damage) :])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(path, "./data.sqlite3")
    stream.seek(0)
    archive = Archive(directory / "home.tar")
    entries = [member.entry for member in archive.append(stream)]
    return shape(archive.path, "data.sqlite3", entries, directory)


def test_rows_do_not_count(tmp_path: Path) -> None:
    before = shape_of(tmp_path / "a", MADE)
    after = shape_of(tmp_path / "b", MADE + "INSERT INTO heartbeat (at) VALUES ('later');")
    assert before.unlike(after) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("PRAGMA user_version = 2;", "user_version is 2, it was 0"),
        ("PRAGMA application_id = 7;", "application_id is 7"),
        ("ALTER TABLE heartbeat ADD COLUMN who TEXT;", "1 definitions gone, 1 new"),
        ("CREATE INDEX i ON heartbeat (at);", "0 definitions gone, 1 new"),
        ("DROP TABLE heartbeat;", "1 definitions gone, 0 new"),
    ],
)
def test_what_an_older_version_may_stumble_over_is_told(tmp_path: Path, change: str, said: str) -> None:
    before, after = shape_of(tmp_path / "a", MADE), shape_of(tmp_path / "b", MADE + change)
    assert said in before.unlike(after)


def test_a_damaged_database_has_no_shape(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="integrity"):
        shape_of(tmp_path / "a", MADE, b"\xff" * 200 + b"\0" * 6000)
