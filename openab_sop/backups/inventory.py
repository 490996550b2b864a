"""Contents: what a home holds, file by file, and the comparison of two such lists.

A home may have hundreds of thousands of files, so lists live on disk: one JSON object a line in a backup, and a
scratch SQLite database while two of them are compared.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from io import TextIOBase
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

from openab_sop.backups.schema import is_below
from openab_sop.errors import BackupError

LONGEST = 1 << 17
"""Characters of a line: a path and what a link leads to, each byte as an escape of six, and the rest."""
Side = Literal["pod", "copy", "before", "base"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name below a home.

    Attributes:
        path: relative to the home; bytes that are no UTF-8 as surrogate escapes.
        type: as find's ``%y``: f file, d directory, l symbolic link, p pipe, c or b device, s socket.
        mode: permission bits with setuid, setgid and sticky.
        size: bytes of a file as it reads, holes included; 0 for all other types.
        mtime_ns: nanoseconds since the epoch.
        link: target of a symbolic link.
        inode: names with the same inode are one file; only the pod's side knows it, like the next.
        ctime_ns: when anything of the file last changed, its times included: nobody can set this one back.
        readable: whether the agent's user may read it (enter it, if a directory).
        sha256: of a file's content, in hexadecimal.
        note: why a copy may rightly differ from the pod ("database", "grew"); empty when it may not.
        offset: where in the archive its member begins; only the copy's side has it, like the next.
        hard_link: the earlier path whose content the member shares, empty if it has its own.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime_ns: int = 0
    link: str = ""
    inode: str = ""
    ctime_ns: int = 0
    readable: bool = True
    sha256: str = ""
    note: str = ""
    offset: int = 0
    hard_link: str = ""

    def __post_init__(self) -> None:
        """Refuse what no file system has: who sends it is not to be trusted.

        Raises:
            ValueError: a number does not fit into 64 bits. TypeError: it is none.
        """
        numbers = (self.mode, self.uid, self.gid, self.size, self.mtime_ns, self.ctime_ns, self.offset)
        if max(numbers) >= 1 << 63 or min(numbers) < -(1 << 63):
            raise ValueError(f"{self.path!r} has numbers that no file has")

    def unlike(self, other: Entry) -> list[str]:
        """Return the names of what differs and may not."""
        return [name for name in _COMPARED if getattr(self, name) != getattr(other, name)]

    def as_line(self) -> str:
        """Return the line that stands for it in ``contents.jsonl``; defaults are left out."""
        values = ((name, getattr(self, name)) for name in _COLUMNS)
        return json.dumps({name: value for name, value in values if value != _DEFAULTS.get(name)})

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read such a line; whoever can write the backup writes it.

        Raises:
            ValueError, TypeError: it is none, or has a value that no file has.
        """
        if len(line) > LONGEST:
            raise ValueError(f"a line of more than {LONGEST} characters")
        try:
            said: object = json.loads(line)
        except RecursionError as error:
            raise ValueError("a line of too many levels") from error
        if not isinstance(said, dict):
            raise TypeError("a line that is no object")
        values = cast(dict[str, object], said)
        if wrong := [name for name, value in values.items() if type(value) is not _FIELDS.get(name)]:
            raise TypeError(f"{wrong[0][:40]!r} is no field of an entry, or not of this type")
        entry = cls(**cast(dict[str, Any], values))
        if not (
            (entry.path == "." or is_below(entry.path))
            and (not entry.hard_link or is_below(entry.hard_link))
            and entry.type in _TYPES
            and _is_text(entry.link, entry.inode, entry.sha256, entry.note)
            and (not entry.sha256 or _DIGEST.fullmatch(entry.sha256))
        ):
            raise ValueError(f"{entry.path!r} is no entry of a home")
        for text in (entry.path, entry.link, entry.hard_link):
            os.fsencode(text)  # halves of characters, which no name has
        return entry


_FIELDS = {field.name: {"str": str, "int": int, "bool": bool}[str(field.type)] for field in fields(Entry)}
_DEFAULTS = {field.name: field.default for field in fields(Entry) if field.default is not MISSING}
_COLUMNS = [field.name for field in fields(Entry)]
_VALUES = attrgetter(*_COLUMNS[1:])
_READABLE = _COLUMNS.index("readable") - 1
_TYPES = frozenset("fdlpcbs")
_DIGEST = re.compile("[0-9a-f]{64}")
_MARKS = ", ".join("?" * len(_COLUMNS))
_COMPARED = ("type", "mode", "uid", "gid", "size", "mtime_ns", "link", "sha256")


class Comparison:
    """Lists of entries side by side on disk: what the pod has and what the copy has; what the pod had before, and what
    an earlier copy may still have of it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        columns = ", ".join(f"{name} BLOB PRIMARY KEY" if name == "path" else name for name in _COLUMNS)
        for side in get_args(Side):
            database.execute(f"CREATE TABLE {side} ({columns}) WITHOUT ROWID")
        database.execute("CREATE INDEX inode ON pod (inode)")
        database.create_function("parent", 1, _parent, deterministic=True)

    def add(self, side: Side, *entries: Entry) -> None:
        """Put entries in; one of the same path on that side gives way to it."""
        self.add_all(side, entries)

    def add_all(self, side: Side, entries: Iterable[Entry]) -> None:
        """Put entries in as they come, in half the time of one by one."""
        rows = ((os.fsencode(entry.path), *_VALUES(entry)) for entry in entries)
        self._database.executemany(f"INSERT OR REPLACE INTO {side} VALUES ({_MARKS})", rows)

    def clear(self, side: Side) -> None:
        """Take every entry of a side out."""
        self._database.execute(f"DELETE FROM {side}")

    def remove(self, side: Side, path: str) -> None:
        """Take a path out, if it is there."""
        self._database.execute(f"DELETE FROM {side} WHERE path = ?", [os.fsencode(path)])

    def digest(self, side: Side, digests: Iterable[tuple[str, str]]) -> None:
        """Set the digests of entries that are there.

        Args:
            digests: pairs of path and digest.
        """
        rows = ((sha256, os.fsencode(path)) for path, sha256 in digests)
        self._database.executemany(f"UPDATE {side} SET sha256 = ? WHERE path = ?", rows)

    def keep_digests(self) -> None:
        """Give the pod's files the digests that they had before, wherever nothing touched them since."""
        same = " AND ".join(f"before.{name} = pod.{name}" for name in ("path", "inode", "ctime_ns", "size", "mtime_ns"))
        digest = f"SELECT before.sha256 FROM before WHERE {same}"
        self._database.execute(f"UPDATE pod SET sha256 = coalesce(({digest}), '') WHERE type = 'f'")

    def get(self, side: Side, path: str) -> Entry | None:
        """Return the entry of a path."""
        rows = self._database.execute(f"SELECT * FROM {side} WHERE path = ?", [os.fsencode(path)])
        return next(_entries(rows), None)

    def all(self, side: Side) -> Iterator[Entry]:
        """Yield every entry of a side in the byte order of its path."""
        return _entries(self._database.execute(f"SELECT * FROM {side} ORDER BY path"))

    def by_offset(self, side: Side) -> Iterator[Entry]:
        """Yield every entry of a side in the order of the members in its archive."""
        return _entries(self._database.execute(f"SELECT * FROM {side} ORDER BY offset"))

    def below(self, side: Side, path: str) -> Iterator[Entry]:
        """Yield the entry of ``path`` and all below it, in the byte order of their paths."""
        raw = os.fsencode(path)
        query = f"SELECT * FROM {side} WHERE path = ? OR (path > ? AND path < ?) ORDER BY path"
        return _entries(self._database.execute(query, [raw, raw + b"/", raw + b"0"]))

    def differing(self) -> Iterator[Entry]:
        """Yield the pod's entry wherever the copy has none, or another one that it may not have."""
        unlike = " OR ".join(f"copy.{name} IS NOT pod.{name}" for name in _COMPARED)
        query = f"SELECT pod.* FROM pod LEFT JOIN copy USING (path) WHERE coalesce(copy.note, '') = '' AND ({unlike})"
        return _entries(self._database.execute(f"{query} ORDER BY path"))

    def missing_in_pod(self) -> Iterator[Entry]:
        """Yield the copy's entry wherever the pod has none."""
        query = "SELECT copy.* FROM copy LEFT JOIN pod USING (path) WHERE pod.path IS NULL ORDER BY path"
        return _entries(self._database.execute(query))

    def missing_in_copy(self) -> Iterator[Entry]:
        """Yield the pod's entry wherever the copy has none."""
        query = "SELECT pod.* FROM pod LEFT JOIN copy USING (path) WHERE copy.path IS NULL ORDER BY path"
        return _entries(self._database.execute(query))

    def since_before(self) -> tuple[list[str], list[str], list[str]]:
        """Return the pod's paths that it did not have before, that are otherwise, and those that are gone.

        A directory is otherwise if more of it than its time is.
        """
        unlike = " OR ".join(f"before.{name} IS NOT pod.{name}" for name in _COMPARED if name != "mtime_ns")
        otherwise = f"{unlike} OR (pod.type != 'd' AND before.mtime_ns IS NOT pod.mtime_ns)"
        queries = (
            "SELECT path FROM pod LEFT JOIN before USING (path) WHERE before.path IS NULL",
            f"SELECT path FROM pod JOIN before USING (path) WHERE {otherwise}",
            "SELECT path FROM before LEFT JOIN pod USING (path) WHERE pod.path IS NULL",
        )
        added, changed, gone = (
            [os.fsdecode(path) for (path,) in self._database.execute(f"{query} ORDER BY path")] for query in queries
        )
        return added, changed, gone

    def unrestored(self) -> Iterator[Entry]:
        """Yield the copy's entry wherever the pod has none, another one, or has lost its hard link."""
        unlike = " OR ".join(f"copy.{name} IS NOT pod.{name}" for name in _COMPARED)
        query = f"""SELECT copy.* FROM copy LEFT JOIN pod USING (path)
            LEFT JOIN pod AS source ON copy.hard_link != '' AND source.path = CAST(copy.hard_link AS BLOB)
            WHERE {unlike} OR (copy.hard_link != '' AND source.inode IS NOT pod.inode) ORDER BY path"""
        return _entries(self._database.execute(query))

    def misplaced(self, side: Side) -> Iterator[Entry]:
        """Yield every entry that stands below one that is no directory: no file system has such names."""
        query = f"SELECT lower.* FROM {side} AS lower JOIN {side} AS upper ON upper.path = parent(lower.path)"
        return _entries(self._database.execute(f"{query} WHERE upper.type != 'd' ORDER BY lower.path"))

    def sample(self, side: Side, number: int) -> Iterator[Entry]:
        """Yield so many files of a side, by chance."""
        query = f"SELECT * FROM {side} WHERE type = 'f' ORDER BY random() LIMIT ?"
        return _entries(self._database.execute(query, [number]))

    def same_file(self, inode: str) -> list[str]:
        """Return every path of the pod that is a name of this inode (hard links)."""
        rows = self._database.execute("SELECT path FROM pod WHERE inode = ?", [inode])
        return [os.fsdecode(path) for (path,) in rows]

    def content(self, side: Side, entry: Entry) -> Entry:
        """Return the entry whose member holds the content: itself, or the one that it is a hard link to."""
        return (self.get(side, entry.hard_link) if entry.hard_link else None) or entry

    def linked(self, side: Side, entry: Entry) -> Entry:
        """Return an entry with the size and digest of its content, which a hard link's member does not tell."""
        if not entry.hard_link:
            return entry
        content = self.content(side, entry)
        return replace(entry, size=content.size, sha256=content.sha256)

    def names(self, side: Side, inode: str) -> int:
        """Return how many names of a side are this inode's."""
        return int(self._database.execute(f"SELECT count(*) FROM {side} WHERE inode = ?", [inode]).fetchone()[0])

    def size(self, side: Side) -> int:
        """Return the bytes in all files of a side."""
        return int(self._database.execute(f"SELECT coalesce(sum(size), 0) FROM {side}").fetchone()[0])

    def note(self, path: str, note: str) -> None:
        """Say why the copy's entry may differ from the pod's."""
        if entry := self.get("copy", path):
            self.add("copy", replace(entry, note=note))


@contextmanager
def comparison(scratch: Path) -> Generator[Comparison]:
    """Compare two lists in a scratch database in the directory ``scratch``; it is gone afterwards."""
    path = scratch / ".comparison.sqlite3"
    path.unlink(missing_ok=True)
    try:
        # two threads may share it: SQLite itself serializes them
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")  # never ended: else each row is written to the file by itself
            yield Comparison(database)
    finally:
        path.unlink(missing_ok=True)


def read(lines: Iterable[str]) -> Iterator[Entry]:
    """Read the lines of a ``contents.jsonl``, of an open file none further than ``LONGEST``.

    Raises:
        BackupError: a line is none of ours.
    """
    given = iter(partial(lines.readline, LONGEST + 1), "") if isinstance(lines, TextIOBase) else lines
    number = 0
    try:
        for line in given:
            yield Entry.from_line(line)
            number += 1
    except (ValueError, TypeError) as error:
        raise BackupError(
            f"the Contents of a home have a line that is not ours, behind line {number}: {str(error)[:200]}",
            "do not use this backup: take a new one, or use another",
        ) from error


def _is_text(*values: str) -> bool:
    return not any("\0" in value for value in values)


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _entries(rows: Iterable[tuple[Any, ...]]) -> Iterator[Entry]:
    for path, *rest in rows:
        rest[_READABLE] = bool(rest[_READABLE])
        yield Entry(os.fsdecode(path), *rest)
