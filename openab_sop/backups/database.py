"""SQLite databases, copied as one consistent set while their writer goes on (SOP 2.9).

A set is the main file with its ``-wal`` or ``-journal``. The main file alone lacks the newest rows and still passes an
integrity check, so the set is copied between two looks: if the main file and the header of its log are the same before
and after, no checkpoint fell into the copy, and what was committed before it is in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from openab_sop.backups.archive import TAR, Archive, extract
from openab_sop.backups.inventory import Entry
from openab_sop.cluster.pod import Pod, ScriptFailed
from openab_sop.errors import BackupError

LOGS = ("-wal", "-journal")
"""Suffixes of the files that belong to a database and hold committed or rolled-back pages."""
INDEX = "-shm"
"""Suffix of the log's index: SQLite builds it anew, so it may be of any moment."""
ATTEMPTS = 60
"""Tries to copy a set between two checkpoints; on a busy machine most of them may be in vain."""

_MOVED = 75
_COPY = (
    'db=$1; look() { { head -q -c 32 "$db-wal" "$db-journal"; cat "$db"; } 2>/dev/null | sha256sum; }; '
    "before=$(look); "
    'for name in "$db" "$db-wal" "$db-journal" "$db-shm"; do [ -e "$name" ] && printf "%s\\0" "$name"; done '
    f'| {TAR}; [ "$before" = "$(look)" ] || status={_MOVED}'
)


def parts(path: str) -> tuple[str, ...]:
    """Return every path that may belong to the set of a database."""
    return (path, *(path + suffix for suffix in (*LOGS, INDEX)))


def copy(pod: Pod, home: str, path: str, archive: Archive, limit: int) -> list[Entry]:
    """Append a database's set to the archive, consistently, and check it (SOP 2.9).

    Args:
        path: the main file, relative to the home.
        limit: bytes that the set may take.

    Returns:
        The entries of what was copied, the main file's first.

    Raises:
        BackupError: it was checkpointed during every attempt, or the copy fails SQLite's integrity check.
    """
    for _ in range(ATTEMPTS):
        try:
            with pod.open(_COPY, home, f"./{path}", limit=limit) as output:
                entries = [member.entry for member in archive.append(output)]
        except ScriptFailed as failed:
            if failed.status != _MOVED:
                raise
            continue
        check(archive.path, path, entries, archive.path.parent)
        return entries
    raise BackupError(
        f"the database {path} was checkpointed during each of {ATTEMPTS} attempts to copy it",
        "run again when the agent is less busy",
    )


def check(archive: Path, path: str, entries: Iterable[Entry], scratch: Path) -> None:
    """Stop if a database in the archive fails SQLite's own integrity check.

    Args:
        path: its main file's.
        entries: those of its set; others do no harm.
        scratch: a private directory where a copy of it can be opened: opening a database may change it.

    Raises:
        BackupError: it fails, or is no database.
    """
    with _opened(archive, path, entries, scratch):
        pass


def export(archive: Path, path: str, entries: Iterable[Entry], target: Path) -> None:
    """Write a database of the archive, its log worked in, as one private file of its own (SOP 2.5).

    Raises:
        BackupError: it is not sound.
    """
    with _opened(archive, path, entries, archive.parent) as source:
        target.touch(0o600)
        with closing(sqlite3.connect(target)) as copied:
            source.backup(copied)


@dataclass(frozen=True)
class DatabaseFormat:
    """What a program relies on in a database: its versions, and the text of its schema."""

    user_version: int
    application_id: int
    schema: tuple[str, ...]

    def unlike(self, other: DatabaseFormat) -> str:
        """Tell in words what another database of the same program has otherwise; empty if nothing."""
        if self.user_version != other.user_version:
            return f"its user_version is {other.user_version}, it was {self.user_version}"
        if self.application_id != other.application_id:
            return f"its application_id is {other.application_id}, it was {self.application_id}"
        gone, new = set(self.schema) - set(other.schema), set(other.schema) - set(self.schema)
        return f"its schema changed: {len(gone)} definitions gone, {len(new)} new" if gone or new else ""


def shape(archive: Path, path: str, entries: Iterable[Entry], scratch: Path) -> DatabaseFormat:
    """Return what a program relies on in a database of the archive (SOP 4.3); arguments as ``check`` has them.

    Raises:
        BackupError: it is not sound.
    """
    with _opened(archive, path, entries, scratch) as database:
        version, application = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("user_version", "application_id")
        )
        rows = database.execute("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY 1")
        return DatabaseFormat(version, application, tuple(str(sql) for (sql,) in rows))


@contextmanager
def _opened(archive: Path, path: str, entries: Iterable[Entry], scratch: Path) -> Generator[sqlite3.Connection]:
    """Open a scratch copy of a set."""
    suffixes = {path + suffix: suffix for suffix in ("", *LOGS)}
    with TemporaryDirectory(dir=scratch) as directory:
        for entry in entries:
            if (suffix := suffixes.get(entry.path)) is not None:
                extract(archive, entry.offset, Path(directory, f"db{suffix}"))
        with closing(sqlite3.connect(Path(directory, "db"))) as database:
            if (found := _integrity(database)) != "ok":
                raise BackupError(
                    f"the copy of the database {path} fails SQLite's integrity check: {found}",
                    "check the original in the pod; if it is sound, run again",
                )
            yield database


def _integrity(database: sqlite3.Connection) -> str:
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        return str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
