"""Neutralise the credentials in a backup's copy of a home, without a pod: the copy must never act as the real agent.

Where a known program keeps credentials, all that may be one becomes a placeholder; in any other file only what looks
like one, or is known to be one. What changed goes into an archive of its own, to be unpacked over the home.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from openab_sop import storage
from openab_sop.agents.workload import in_home
from openab_sop.backups import database
from openab_sop.backups.archive import extract
from openab_sop.backups.inventory import Comparison, Entry, comparison
from openab_sop.backups.tar_reader import BLOCK
from openab_sop.errors import BackupError
from openab_sop.rehearsals.placeholders import is_json, neutral, placeholder, redact_all_values
from openab_sop.rehearsals.secret_scanner import SecretScanner
from openab_sop.storage import CHUNK
from openab_sop.upstream import homes, logins

ARCHIVE = "neutral.tar"
WHOLE = 16 << 20
"""Bytes of a file, or of a value in a database, that is treated as a whole; a larger one is no configuration."""
TEXT = 64 << 20
"""Bytes of a text in which single credentials are replaced; a larger one is data."""

READ = 1 << 18
"""Bytes that are read at once: of small files, many."""

_PROGRAM = b"\x7fELF"
"""How a program begins: what looks like a credential in one is an example in its help."""
_ENCRYPTED = "its format hides what is in it; it is left as it is"


@dataclass(frozen=True)
class SanitizedHome:
    """A home without its credentials.

    Attributes:
        archive: a plain tar file, its members' metadata as the home's, to be unpacked over the home.
        changed: paths in the home whose content it replaces.
        left: by path, why a credential may still be in it, in words that show nothing of it.
    """

    archive: Path
    changed: tuple[str, ...]
    left: Mapping[str, str]


Treat = Callable[[str], str]


@dataclass(frozen=True)
class Place:
    """Where a known program keeps credentials.

    Attributes:
        what: whose they are, for a report.
        patterns: as fnmatch has them, of the path with a slash before it: "*" takes slashes too.
        treat: makes the content harmless; None if nobody can.
    """

    what: str
    patterns: tuple[str, ...]
    treat: Treat | None


def _emptied(text: str) -> str:
    return ""


def _words(text: str) -> str:
    """Treat a .netrc: words in pairs, on as many lines as one likes."""
    return re.sub(r"(?i)\b((?:password|passwd|account)\s+)(\S+)", lambda m: m[1] + placeholder(m[2]), text)


def _lines(text: str) -> str:
    """Treat a file of nothing but secrets, one a line."""
    return "".join(placeholder(line) for line in neutral(text).splitlines(keepends=True))


_TREATMENTS: Mapping[logins.Login, Treat] = {
    logins.NETRC: _words,
    logins.GIT: neutral,
    logins.TOKENS: _lines,
    logins.SSH: neutral,
}
"""How logins are made harmless that are more than one value after the other."""
PLACES = (
    Place("OpenAB's own jobs", homes.JOBS, _emptied),
    *(Place(login.what, login.patterns, _TREATMENTS.get(login, redact_all_values)) for login in logins.LOGINS),
    Place(
        "settings of agents",
        homes.SETTINGS,
        neutral,
    ),
    Place(
        "settings of tools",
        (
            *(
                "*/.npmrc",
                "*/.pypirc",
                "*/.yarnrc*",
                "*/.my.cnf",
                "*/.gitconfig",
                "/.config/git/config",
                "*/.git/config",
            ),
            *("/.aws/config", "/.config/glab-cli/*.yml", "/.config/hub", "*/.terraformrc", "/.terraform.d/*.json"),
            *("/.config/pip/*", "/.pip/*", "/.m2/settings.xml", "/.gem/credentials", "/.composer/auth.json"),
        ),
        neutral,
    ),
    Place(
        "variables",
        (
            *("*/.env", "*/.env.*", "*/*.env", "*/.envrc", "/.profile", "/.bashrc", "/.bash_profile", "/.zshrc"),
            *("/.zshenv", "/.zprofile", "/.bash_history", "/.zsh_history", "/.config/environment.d/*"),
        ),
        neutral,
    ),
    Place(
        "keyrings and cookies",
        (
            *("/.local/share/keyrings/*", "*/Cookies", "*/Cookies-journal", "*/cookies.sqlite*", "*/Login Data*"),
            *("*/key[34].db", "/.gnupg/private-keys-v1.d/*", "*.kdbx", "*.p12", "*.pfx", "*.jks", "*.keystore"),
        ),
        None,
    ),
)
"""Earlier ones count."""

_PATTERNS = [(place, re.compile("|".join(map(translate, place.patterns)))) for place in PLACES]


def treat(
    home: Path, entries: Iterable[Entry], databases: Sequence[str], scratch: Path, inside: str = ""
) -> SanitizedHome:
    """Find the credentials in a home and write what replaces the files that hold them.

    Args:
        home: the home's archive.
        entries: of its Contents, in any order.
        databases: paths of the SQLite databases in it.
        scratch: a private directory, with room for the largest database three times.
        inside: where in the home all this is, if it is a volume that is mounted in there.

    Raises:
        BackupError: the archive is damaged, or the disk is full.
    """
    with (
        storage.translate_os_errors(scratch),
        comparison(scratch) as table,
        _Draft.begun(home, scratch / ARCHIVE) as draft,
    ):
        table.add_all("copy", entries)
        work = _Home(home, scratch, table, draft, SecretScanner(), inside)
        work.files(set(databases))
        for path in databases:
            work.database(path)
    return SanitizedHome(scratch / ARCHIVE, tuple(draft.changed), work.left)


@dataclass
class _Draft:
    """The archive in the making."""

    source: IO[bytes]
    file: IO[bytes]
    changed: list[str] = field(default_factory=list[str])

    @classmethod
    @contextmanager
    def begun(cls, home: Path, target: Path) -> Generator[_Draft]:
        with home.open("rb") as source, storage.private_file(target) as file:
            yield cls(source, file)
            file.write(bytes(-(file.tell() + 2 * BLOCK) % tarfile.RECORDSIZE + 2 * BLOCK))

    def add(self, entry: Entry, size: int, content: Iterable[bytes]) -> None:
        """Write a member with the header that the home's archive has of it, and other content."""
        info = self._info(entry)
        info.size = size
        # of a file with holes the content is written out
        info.pax_headers = {
            key: value for key, value in info.pax_headers.items() if not key.startswith("GNU.sparse.") and key != "size"
        }
        self.file.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        begin = self.file.tell()
        for piece in content:
            self.file.write(piece)
        if self.file.tell() - begin != size:
            raise BackupError(f"{entry.path} could not be read whole", "do not use this backup; take a new one")
        self.file.write(bytes(-size % BLOCK))
        self.changed.append(entry.path)

    def link(self, entry: Entry) -> None:
        """Write a hard link once more: its name must lead to the new content."""
        self.file.write(self._info(entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self.changed.append(entry.path)

    def _info(self, entry: Entry) -> tarfile.TarInfo:
        with _member(self.source, entry) as (_, info):
            return info


@dataclass
class _Home:
    """A home that is being treated."""

    archive: Path
    scratch: Path
    table: Comparison
    draft: _Draft
    scanner: SecretScanner
    inside: str = ""
    left: dict[str, str] = field(default_factory=dict[str, str])
    links: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def _place(self, path: str) -> Place | None:
        return _place(in_home(self.inside, path))

    def files(self, databases: set[str]) -> None:
        """Treat everything but the databases."""
        parts = {part for path in databases for part in database.parts(path)}
        self._find_links()
        with self.archive.open("rb", READ) as source:
            for entry in self.table.by_offset("copy"):
                place = self._place(entry.path)
                if entry.type == "l" and place:
                    self.left[entry.path] = "it is a symbolic link: what it leads to is judged by its own name only"
                if entry.type == "f" and not entry.hard_link and entry.path not in parts:
                    names = [entry.path, *self.links.get(entry.path, [])]
                    self._file(source, entry, next(filter(None, map(self._place, names)), None))

    def _find_links(self) -> None:
        """Take down the further names of files that have some, by the path of their content."""
        for entry in self.table.all("copy"):
            if entry.hard_link:
                content = self.table.get("copy", entry.hard_link)
                if content is None or content.type != "f" or content.hard_link:
                    self.left[entry.path] = "it is a hard link to a file that the backup does not have"
                else:
                    self.links.setdefault(content.path, []).append(entry.path)

    def _file(self, source: IO[bytes], entry: Entry, place: Place | None) -> None:
        if place and place.treat is None:
            self.left[entry.path] = _ENCRYPTED
        elif place and place.treat and entry.size <= WHOLE:
            data = b"".join(_content(source, entry))
            hidden = place.treat(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")
            if hidden != data:
                self._add(entry, len(hidden), [hidden])
        elif (kind := self._looked_at(source, entry)) and (place or kind == "binary" or entry.size > TEXT):
            self.left[entry.path] = f"it holds what looks like a credential, and is {_too(kind, place)}"
        elif kind:
            pieces = self.scanner.replaced(_content(source, entry))
            self._add(entry, entry.size, pieces)

    def _add(self, entry: Entry, size: int, content: Iterable[bytes]) -> None:
        self.draft.add(entry, size, content)
        for name in self.links.get(entry.path, []):
            if other := self.table.get("copy", name):
                self.draft.link(other)

    def _looked_at(self, source: IO[bytes], entry: Entry) -> str:
        """Tell whether a file holds a credential: "text" or "binary" if so, empty if not."""
        is_binary, is_found = False, False
        for piece, holds in self.scanner.found_in(_content(source, entry)):
            if not is_binary and piece.startswith(_PROGRAM):
                return ""
            is_binary = is_binary or b"\0" in piece
            is_found = is_found or holds
            if is_found and (is_binary or entry.size > TEXT):
                break
        return ("binary" if is_binary else "text") if is_found else ""

    def database(self, path: str) -> None:
        """Treat an SQLite database together with its logs."""
        ours = {part: entry for part in database.parts(path) if (entry := self.table.get("copy", part))}
        if path not in ours:
            return
        if (place := self._place(path)) and place.treat is None:
            self.left[path] = _ENCRYPTED
            return
        with TemporaryDirectory(dir=self.scratch) as name:
            try:
                for suffix in ("", *database.LOGS):
                    if entry := ours.get(path + suffix):
                        extract(self.archive, self.table.content("copy", entry).offset, Path(name, f"db{suffix}"))
                result = _Database(Path(name, "db"), self.scanner).treated()
            except sqlite3.Error:
                # what SQLite says may quote what is in it
                self.left[path] = "it cannot be opened or changed by this machine's SQLite"
                return
            if result.file:
                self._add_database(path, ours, result.file)
            if result.left:
                self.left[path] = result.left

    def _add_database(self, path: str, ours: dict[str, Entry], file: Path) -> None:
        """Write a database, and its logs empty: an old one would be played back into it, an old index mislead."""
        with file.open("rb") as content:
            self._add(ours[path], file.stat().st_size, _pieces(content))
        for part in database.parts(path)[1:]:
            if entry := ours.get(part):
                self._add(entry, 0, [])


@dataclass(frozen=True)
class _Result:
    """What became of a database: the file that replaces it, if any, and why a credential may still be in it."""

    file: Path | None
    left: str


_SECRET = re.compile(
    r"(?i)auth(?!or(?!i))|token|secret|credential|session_?key|passw|api_?key|access_?key|private_?key|cookie"
)
_IDENTIFIER = re.compile(rb"[A-Za-z]+(?:[ :._/-][A-Za-z]+)*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]?[\d:.]*(?:Z|[+-]\d\d:?\d\d)?")


class _Database:
    """A private copy of a database, its logs beside it."""

    def __init__(self, path: Path, scanner: SecretScanner) -> None:
        self._path = path
        self._scanner = scanner
        self._count = 0

    def treated(self) -> _Result:
        """Hide the credentials in it, and every trace of them in pages that are not in use.

        Raises:
            sqlite3.Error: it is damaged, or needs what this machine's SQLite does not have.
        """
        is_traced = any(self._traced(Path(f"{self._path}{suffix}")) for suffix in ("", *database.LOGS))
        with closing(sqlite3.connect(self._path, isolation_level=None)) as opened:
            opened.execute("PRAGMA trusted_schema = OFF")
            opened.execute("PRAGMA ignore_check_constraints = ON")
            mode = str(opened.execute("PRAGMA journal_mode").fetchone()[0])
            opened.execute("PRAGMA journal_mode = DELETE")  # works the log in
            if opened.execute("PRAGMA encoding").fetchone()[0] != "UTF-8":
                return _Result(None, "its text is not in UTF-8")
            changed, is_large = self._change(opened)
            left = f"values of more than {WHOLE} bytes in it were not looked into" if is_large else ""
            if not changed and not is_traced:
                return _Result(None, left)
            target = self._path.with_name("neutral")
            opened.execute("VACUUM INTO ?", [str(target)])  # unlike VACUUM, keeps every rowid
        with closing(sqlite3.connect(target, isolation_level=None)) as opened:
            opened.execute(f"PRAGMA journal_mode = {'WAL' if mode == 'wal' else 'DELETE'}")
        return _Result(target, "something in it still looks like a credential" if self._holds_any(target) else left)

    def _traced(self, path: Path) -> bool:
        """Tell whether a page, in use or not, may hold a credential."""
        if not path.exists():
            return False
        with path.open("rb") as file:
            return self._scanner.suspected(_pieces(file))

    def _holds_any(self, path: Path) -> bool:
        with path.open("rb") as file:
            return any(holds for _, holds in self._scanner.found_in(_pieces(file)))

    def _change(self, opened: sqlite3.Connection) -> tuple[int, bool]:
        """Hide what is to be hidden; returns how many values changed, and whether there are some that are too large."""
        opened.create_function("found", 1, self._found, deterministic=True)
        opened.create_function("hidden", 1, _hidden, deterministic=True)
        opened.create_function("hidden_key", 1, _hidden_key, deterministic=True)
        opened.create_function("numbered", 1, self._numbered)
        before, is_large = opened.total_changes, False
        opened.execute("BEGIN")
        # a trigger might keep what was there before
        triggers = opened.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            opened.execute(f"DROP TRIGGER {_name(name)}")
        for table, column, change in _columns(opened):
            is_large |= _update(opened, table, column, change)
        changed = opened.total_changes - before
        if changed:
            _index_again(opened)
        for _, sql in triggers:
            opened.execute(sql)
        opened.execute("COMMIT")
        return changed, is_large

    def _found(self, data: bytes) -> bytes | None:
        """Return a value without what looks like a credential in it; None if nothing does."""
        hidden = self._scanner.cleaned(data)
        return hidden if hidden != data else None

    def _numbered(self, data: bytes) -> bytes | None:
        """Return a placeholder that no other value has: where values must be unique, some would be alike."""
        if (hidden := _hidden(data)) is None:
            return None
        self._count += 1
        mark = f"{self._count:b}".replace("0", "x").replace("1", "X").encode()
        return hidden[: -len(mark)] + mark if len(hidden) >= len(mark) else hidden


def _columns(opened: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Yield table, column, and the function that hides what is in it."""
    tables = opened.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')")
    for (table,) in tables.fetchall():
        if table.startswith("sqlite_"):
            continue
        for column, key, hidden in opened.execute("SELECT name, pk, hidden FROM pragma_table_xinfo(?)", [table]):
            if hidden:  # it is computed from others
                continue
            if _SECRET.search(column):
                yield table, column, "hidden"
            elif _SECRET.search(table):
                yield table, column, "hidden_key" if key else "hidden"
            else:
                yield table, column, "found"


def _update(opened: sqlite3.Connection, table: str, column: str, change: str) -> bool:
    """Change a column; tells whether it has values that are too large for that."""
    where, name = f"typeof({_name(column)}) IN ('text', 'blob')", _name(column)
    for function in (change, "numbered"):
        new = f"{function}(CAST({name} AS BLOB))"
        is_due = f"{where} AND length(CAST({name} AS BLOB)) <= {WHOLE} AND {change}(CAST({name} AS BLOB)) IS NOT NULL"
        try:
            opened.execute(
                f"UPDATE {_name(table)} SET {name} = CASE typeof({name}) "
                f"WHEN 'text' THEN CAST({new} AS TEXT) ELSE {new} END WHERE {is_due}"
            )
            break
        except sqlite3.IntegrityError:
            if function == "numbered":
                raise
    large = f"SELECT 1 FROM {_name(table)} WHERE {where} AND length(CAST({name} AS BLOB)) > {WHOLE} LIMIT 1"
    return opened.execute(large).fetchone() is not None


def _index_again(opened: sqlite3.Connection) -> None:
    """Build full-text indexes anew, whatever was made of their tables: they hold the words of what was hidden."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts%'"
    for (table,) in opened.execute(query).fetchall():
        opened.execute(f"INSERT INTO {_name(table)} ({_name(table)}) VALUES ('rebuild')")


def _hidden(data: bytes) -> bytes | None:
    """Return the shape of a value in a place for credentials; None if there is nothing to hide."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return bytes(len(data)) if any(data) else None
    if "\0" in text:
        return bytes(len(data)) if any(data) else None
    if is_json(text) or "PRIVATE KEY-----" in text:
        hidden = redact_all_values(text)
    elif _DATE.fullmatch(text) or not text.strip():
        hidden = text
    else:
        hidden = placeholder(text)
    return hidden.encode() if hidden != text else None


def _hidden_key(data: bytes) -> bytes | None:
    """As ``_hidden``, but what only names a row stays: a program looks for it by this name."""
    return None if _IDENTIFIER.fullmatch(data) else _hidden(data)


def _name(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _place(path: str) -> Place | None:
    return next((place for place, pattern in _PATTERNS if pattern.match(f"/{path}")), None)


def _too(kind: str, place: Place | None) -> str:
    return "no text" if kind == "binary" else f"larger than {WHOLE if place else TEXT} bytes"


@contextmanager
def _member(source: IO[bytes], entry: Entry) -> Generator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Read the header of an entry's member.

    Raises:
        BackupError: there is none.
    """
    source.seek(entry.offset)
    try:
        with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            if (info := tar.next()) is None:
                raise BackupError(f"the archive has nothing at {entry.offset}", "do not use it; take a new backup")
            yield tar, info
    except (tarfile.TarError, ValueError, ArithmeticError, RecursionError) as error:
        raise BackupError(f"the archive is damaged: {error}", "do not use it; take a new backup") from error


def _content(source: IO[bytes], entry: Entry) -> Iterator[bytes]:
    """Yield the content of a file in pieces; tarfile, which is slow, only reads those with holes."""
    source.seek(entry.offset)
    head = source.read(BLOCK)
    is_extended = head[156:157] == b"x"
    records = source.read(-(-int(head[124:136].rstrip(b" \0") or b"0", 8) // BLOCK) * BLOCK) if is_extended else b""
    if b" GNU.sparse." in records:
        with _member(source, entry) as (tar, info):
            content = tar.extractfile(info)
            yield from _pieces(content) if content else ()
        return
    source.seek(BLOCK if is_extended else 0, os.SEEK_CUR)
    left = entry.size
    while left and (piece := source.read(min(CHUNK, left))):
        left -= len(piece)
        yield piece


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece
