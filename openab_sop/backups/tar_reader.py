"""Reads the tar that GNU tar writes for us (``archive.TAR``), as it passes, and refuses every other.

POSIX pax: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html, with GNU's sparse files, format 1.0:
https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html. Python's own tarfile knows many more kinds,
takes damage behind the first member for the end, and needs several times as long for a small file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from typing import IO, Protocol

from openab_sop.backups.inventory import Entry
from openab_sop.backups.listing import relative
from openab_sop.errors import BackupError

BLOCK = 512
PIECE = 1 << 16
"""Bytes that are read and digested at once: they stay in the processor's cache."""
SQLITE_MAGIC = b"SQLite format 3\0"
HEADERS = 16 << 20
"""Bytes that stand before a member's content at most: names, attributes, the map of its holes. More is an attack."""
LARGEST = 1 << 40
"""Bytes of a file at most, holes included: few bytes of archive may claim any size, and digesting holes takes time."""
MAP = 4 << 20
"""Bytes of the map of a file's holes: two hundred thousand of them."""
HOLES = 1 << 36
"""Bytes of holes that all files together may have: digesting them takes a minute or two, and a few bytes claim them."""
EXTRACTED = 1 << 30
"""Bytes of holes that a file may have which is taken out of the archive: others read it, and write it elsewhere."""

_END = bytes(BLOCK)
_ZEROS = bytes(PIECE)
_EXTENDED = b"x"
_HARD_LINK = b"1"
_TYPES = {b"0": "f", b"\0": "f", b"7": "f", b"1": "f", b"2": "l", b"3": "c", b"4": "b", b"5": "d", b"6": "p"}
_TIME = re.compile(rb"(-?)(\d{1,18})(?:\.(\d{1,9}))?")
_OCTAL = re.compile(rb"\s*+([0-7]*+)[\s\0]*+")


class Readable(Protocol):
    """Anything whose ``read`` returns at most about so many bytes, and none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return what there is, at most about ``size`` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the archive as it was read: its entry, and whether its content begins like an SQLite database.

    The entry of a hard link has no digest; ``Comparison.linked`` supplies it.
    """

    entry: Entry
    database: bool = False


class TarReader:
    """A tar stream, read once from its begin.

    Args:
        source: the stream.
        sink: is handed all of it that belongs to members, in pieces.
        start: where it begins in its file: what the entries' offsets count from.
    """

    def __init__(
        self, source: Readable, sink: Callable[[memoryview], object] = lambda piece: None, start: int = 0
    ) -> None:
        self.offset = start
        self._source = source
        self._sink = sink
        self._held = b""
        self._at: int = 0
        self._records: dict[bytes, bytes] = {}
        self._holes = 0

    def members(self) -> Iterator[Member]:
        """Yield each member with its content's digest; the offset is then the end of the last one.

        Raises:
            BackupError: this is not what GNU tar writes.
            PodError: a path leads out of the home.
        """
        while True:
            start = self.offset
            block = self._header()
            if block is None:
                self._hand_on()
                return
            try:
                member = self._member(block, start)
            except ValueError as error:  # numbers that no file has
                raise _damaged(str(error)) from error
            yield member

    def ranges(self) -> Iterator[tuple[int, int, str]]:
        """Yield where each member begins, headers included, where it ends, and its path; the source must be a file.

        Raises:
            BackupError, PodError: as ``members``; content is passed over unread.
        """
        assert isinstance(self._source, FileIO)
        while True:
            start = self.offset
            block = self._header()
            if block is None:
                return
            size = self._stored(block)
            size += -size % BLOCK
            held = min(size, len(self._held) - self._at)
            self._source.seek(size - held, os.SEEK_CUR)
            self._at += held
            self.offset += size
            yield start, self.offset, self._path(block)

    def extract(self, out: IO[bytes]) -> bool:
        """Write the content of the member that begins here, its holes as holes; returns whether it is a file.

        Raises:
            BackupError: this is not what GNU tar writes, or a file with holes beyond all measure.
        """
        block = self._header()
        if block is None or block[156:157] == _HARD_LINK or _TYPES.get(block[156:157]) != "f":
            return False
        stored = size = self._stored(block)
        runs = [(0, stored)]
        if b"GNU.sparse.major" in self._records:
            size = _decimal(self._records.get(b"GNU.sparse.realsize", b""))
            runs = self._runs(stored, size)
            if size > sum(length for _, length in runs) + EXTRACTED:
                raise BackupError(
                    f"a file with more than {EXTRACTED} bytes of holes is not taken out of an archive",
                    "look at it in the pod: a sparse file of that size is no configuration and no database",
                )
        for at, length in runs:
            out.seek(at)
            left = length
            while left:
                left -= out.write(self._piece(left))
        out.truncate(size)
        return True

    def rest(self) -> Iterator[bytes]:
        """Yield what follows the last member, to the source's end."""
        yield self._held[self._at :]
        while piece := self._source.read(PIECE):
            yield piece

    def _header(self) -> bytes | None:
        """Take a member's headers in; returns its last block, None at the end of the archive."""
        self._records = {}
        block = self._peek()
        if block == _END:
            return None
        if self._checked(block)[156:157] == _EXTENDED:
            if (size := _number(block, 124, 136)) > HEADERS:
                raise _damaged(f"a header is longer than {HEADERS} bytes")
            self._records = _records(self._take(size))
            self._take(-size % BLOCK)
            self._checked(block := self._peek())
        return block

    def _peek(self) -> bytes:
        """Return the next block; it is taken if it is not the archive's end."""
        if len(self._held) - self._at < BLOCK:
            self._fill(BLOCK)
        block = self._held[self._at : self._at + BLOCK]
        if block != _END:
            self._at += BLOCK
            self.offset += BLOCK
        return block

    def _checked(self, block: bytes) -> bytes:
        if _number(block, 148, 156) != sum(block) - sum(block[148:156]) + 8 * 32:
            raise _damaged("a header's checksum is wrong")
        return block

    def _member(self, block: bytes, start: int) -> Member:
        records, kind, path, stored = self._records, block[156:157], self._path(block), self._stored(block)
        type_, is_file = _TYPES[kind], _TYPES[kind] == "f" and kind != _HARD_LINK
        link = records.get(b"linkpath") or _text(block, 157, 257)
        is_sparse = b"GNU.sparse.major" in records
        size = _decimal(records.get(b"GNU.sparse.realsize", b"")) if is_sparse else stored
        if max(stored, size) > LARGEST:
            raise _damaged(f"{path!r} claims to be {max(stored, size)} bytes long; at most {LARGEST} are read")
        if stored and not is_file:
            raise _damaged(f"{path!r} is no file and has content")
        digest, head = "", b""
        if is_file:
            digest, head = self._sparse(stored, size) if is_sparse else self._content(stored)
            self._take(-stored % BLOCK)
        entry = Entry(
            path,
            type_,
            _number(block, 100, 108) & 0o7777,
            _decimal(records[b"uid"]) if b"uid" in records else _number(block, 108, 116),
            _decimal(records[b"gid"]) if b"gid" in records else _number(block, 116, 124),
            size,
            _time(records[b"mtime"]) if b"mtime" in records else _number(block, 136, 148) * 10**9,
            os.fsdecode(link) if type_ == "l" else "",
            sha256=digest,
            offset=start,
            hard_link=relative(link) if kind == _HARD_LINK else "",
        )
        return Member(entry, head == SQLITE_MAGIC)

    def _path(self, block: bytes) -> str:
        kind = block[156:157]
        if kind not in _TYPES:
            raise _damaged(f"a member is of the type {kind!r}")
        name = self._records.get(b"GNU.sparse.name") or self._records.get(b"path") or _name(block)
        return relative(name.rstrip(b"/") if _TYPES[kind] == "d" else name)

    def _stored(self, block: bytes) -> int:
        """Return the bytes that a member has in the archive behind its headers."""
        return _decimal(self._records[b"size"]) if b"size" in self._records else _number(block, 124, 136)

    def _content(self, size: int) -> tuple[str, bytes]:
        """Take content; returns its digest and its first bytes."""
        digest, head, left = hashlib.sha256(), b"", size
        while left:
            piece = self._piece(left)
            head += piece[: len(SQLITE_MAGIC) - len(head)]
            digest.update(piece)
            left -= len(piece)
        return digest.hexdigest(), head

    def _sparse(self, stored: int, size: int) -> tuple[str, bytes]:
        """Take the content of a file with holes, which read as zeros."""
        digest, head, at = hashlib.sha256(), b"", 0
        for offset, length in [*self._runs(stored, size), (size, 0)]:
            head += bytes(min(offset - at, len(SQLITE_MAGIC) - len(head)))
            while at < offset:
                digest.update(_ZEROS[: offset - at])
                at += min(PIECE, offset - at)
            while at < offset + length:
                piece = self._piece(offset + length - at)
                head += piece[: len(SQLITE_MAGIC) - len(head)]
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest(), head

    def _runs(self, stored: int, size: int) -> list[tuple[int, int]]:
        """Take the map of a file's holes: returns where each run of its content stands, and the run's length."""
        numbers, taken = self._map(stored)
        runs, end = list(zip(numbers[::2], numbers[1::2], strict=True)), 0
        for offset, length in runs:
            if offset < end:
                raise _damaged("the map of a file's holes is wrong")
            end = offset + length
        if end > size or sum(numbers[1::2]) != stored - taken:
            raise _damaged("the map of a file's holes is wrong")
        self._holes += size - (stored - taken)
        if self._holes > HOLES:
            raise _damaged(f"its files have more than {HOLES} bytes of holes together")
        return runs

    def _map(self, stored: int) -> tuple[list[int], int]:
        """Take the map as it stands before the content: a count, and pairs of numbers; with the map's bytes."""
        if (self._records[b"GNU.sparse.major"], self._records.get(b"GNU.sparse.minor")) != (b"1", b"0"):
            raise _damaged("the map of a file's holes is of another format than 1.0")
        numbers: list[int] = []
        rest, taken, wanted = b"", 0, 1
        while len(numbers) < wanted:
            if taken >= min(stored, MAP):
                raise _damaged(f"the map of a file's holes is longer than {taken} bytes")
            *lines, rest = (rest + self._take(BLOCK)).split(b"\n")
            taken += BLOCK
            if lines and not numbers:
                wanted = 1 + 2 * _decimal(lines[0])
            numbers += map(_decimal, lines[: wanted - len(numbers)])
            if len(numbers) < wanted and len(rest) > BLOCK:
                raise _damaged("the map of a file's holes has no numbers")
        return numbers[1:], taken

    def _take(self, size: int) -> bytes:
        if len(self._held) - self._at < size:
            self._fill(size)
        data = self._held[self._at : self._at + size]
        self._at += size
        self.offset += size
        return data

    def _piece(self, most: int) -> memoryview:
        if self._at == len(self._held):
            self._fill(1)
        piece = memoryview(self._held)[self._at : self._at + most]
        self._at += len(piece)
        self.offset += len(piece)
        return piece

    def _fill(self, size: int) -> None:
        """Read until so many bytes are held."""
        self._hand_on()
        held = bytearray()
        while len(self._held) + len(held) < size:
            piece = self._source.read(PIECE)
            if not piece:
                raise _damaged("it ends in the middle")
            held += piece
        self._held = self._held + held if self._held else bytes(held)

    def _hand_on(self) -> None:
        """Hand what was taken to the sink, and forget it."""
        if self._at:
            self._sink(memoryview(self._held)[: self._at])
            self._held = self._held[self._at :]
            self._at = 0


def _damaged(why: str) -> BackupError:
    return BackupError(f"the archive is damaged: {why}", "do not use it; take a new backup")


def _number(block: bytes, start: int, end: int) -> int:
    match = _OCTAL.fullmatch(block, start, end)
    if match is None:
        raise _damaged("a header has no number where there must be one")
    return int(match[1] or b"0", 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _damaged(f"a header says {text[:40]!r} where a number must be")
    return int(text)


def _time(text: bytes) -> int:
    """Return nanoseconds since the epoch."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _damaged(f"a header says {text[:40]!r} where a time must be")
    sign, seconds, fraction = match.groups(b"")
    moment = int(seconds) * 10**9 + int(fraction.ljust(9, b"0"))
    return -moment if sign else moment


def _text(block: bytes, start: int, end: int) -> bytes:
    return block[start:end].partition(b"\0")[0]


def _name(block: bytes) -> bytes:
    prefix = _text(block, 345, 500)
    return (prefix + b"/" if prefix else b"") + _text(block, 0, 100)


def _records(text: bytes) -> dict[bytes, bytes]:
    """Read the records of an extended header: "LENGTH KEYWORD=VALUE" and a newline, one after the other."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        space = text.find(b" ", at, at + 10)
        end = at + _decimal(text[at:space]) if space > at else at
        key, equals, value = text[space + 1 : end].partition(b"=")
        if not at < space < end <= len(text) or not equals or value[-1:] != b"\n":
            raise _damaged("an extended header has an invalid record")
        found[key] = value[:-1]
        at = end
    return found
