"""The archive of a home: a plain tar file, written from the pod's stream and read back from disk.

Segments are appended: the first holds the whole home, later ones what changed meanwhile. As with any tar file the last
member of a name counts, so ``tar --extract`` of the file gives what the Contents say, and beside it only files that
the agent deleted during the copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import IO, Literal, Protocol, cast

from openab_sop.backups.contents import Entry
from openab_sop.backups.listing import relative
from openab_sop.errors import BackupError

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
PIECE = 1 << 16
"""Bytes that are read and digested at once: tarfile copies as much for each header, so it must stay in the cache."""
TAR = (
    "tar --create --file=- --blocking-factor=128 --format=posix "
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime "
    "--sparse --xattrs '--xattrs-include=user.*' --no-recursion --null --files-from=-"
)
"""How tar in the pod writes the names that it reads: times to the nanosecond, holes and links as they are, 64 KiB at
once: the fewer the writes, the faster the stream."""
SQLITE_MAGIC = b"SQLite format 3\0"
HEADERS = 16 << 20
"""Bytes that stand before a member's content at most: names, attributes, the map of its holes. More is an attack."""
LARGEST = 1 << 40
"""Bytes of a file at most, holes included: few bytes of archive may claim any size, and digesting holes takes time."""

_TYPES = {
    tarfile.REGTYPE: "f",
    tarfile.AREGTYPE: "f",
    tarfile.CONTTYPE: "f",
    tarfile.GNUTYPE_SPARSE: "f",
    tarfile.LNKTYPE: "f",
    tarfile.SYMTYPE: "l",
    tarfile.DIRTYPE: "d",
    tarfile.FIFOTYPE: "p",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
}


class Readable(Protocol):
    """Anything whose ``read`` returns at most so many bytes, and none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return what there is, at most ``size`` bytes."""
        ...


@dataclass(frozen=True)
class Member:
    """A member of the archive as it was read: its entry, and whether its content begins like an SQLite database.

    The entry of a hard link has no digest; ``Comparison.linked`` supplies it.
    """

    entry: Entry
    database: bool = False


class Archive:
    """A tar file that grows by segments.

    Args:
        path: the file; created private (0600), must not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def append(self, source: Readable) -> Iterator[Member]:
        """Write the tar stream that ``source`` gives behind what is there, and yield its members as they pass.

        A segment that is not read to its end leaves the archive as it was: the next one overwrites it.

        Raises:
            BackupError: the stream is not a tar stream, or the disk is full.
        """
        with self.path.open("r+b") as file:
            file.seek(self.size)
            tee = _Guarded(source, file.write)
            with _reading(tee, "r|") as tar:
                yield from _members(tar, self.size, tee)
                end = tar.offset
            while tee.read(CHUNK):
                pass  # what follows the last member up to the stream's proved end is padding
        self.size += end

    def adopt(self, base: Path, wanted: Iterable[Entry]) -> Iterator[Entry]:
        """Take members over from another archive, and yield their entries as they are in this one.

        Args:
            base: an archive whose digest was found to be right.
            wanted: entries of its Contents, in the order of their offsets; one that is not there is passed over.

        Raises:
            BackupError: the other archive is damaged, or the disk is full.
        """
        with self.path.open("r+b", buffering=0) as out, base.open("rb", buffering=0) as raw:
            out.seek(self.size)
            members = ranges(base)
            start, end, path = -1, 0, ""
            for entry in wanted:
                while start < entry.offset and (found := next(members, None)):
                    start, end, path = found
                if (start, path) == (entry.offset, entry.path):
                    _copy_range(raw, start, end, out)
                    yield replace(entry, offset=self.size)
                    self.size += end - start

    def clear(self) -> None:
        """Forget every segment: the next one is the first."""
        self.size = 0

    def close(self) -> None:
        """Write the archive's end, and put all of it on disk."""
        with self.path.open("r+b") as file:
            file.truncate(self.size)
            file.seek(self.size)
            file.write(bytes(-(self.size + 2 * BLOCK) % tarfile.RECORDSIZE + 2 * BLOCK))
            file.flush()
            os.fsync(file.fileno())


def _copy_range(source: FileIO, start: int, end: int, target: FileIO) -> None:
    """Copy a part of a file: by the kernel where it can, which then may not move a byte but share the blocks."""
    source.seek(start)
    try:
        while start < end and (moved := os.copy_file_range(source.fileno(), target.fileno(), end - start)):
            start += moved
    except (AttributeError, OSError):  # not on this system, or not on this file system; a full disk shows below again
        while start < end and (piece := source.read(min(CHUNK, end - start))):
            start += target.write(piece)
            source.seek(start)


class Digest(Protocol):
    """The part of hashlib's objects that is used here."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""
        ...


class _Guarded:
    """Reads from a source, hands on all that it read, and stops where a header has no end: tarfile keeps all of it."""

    def __init__(self, source: Readable, sink: Callable[[bytes], object]) -> None:
        self._source = source
        self._sink = sink
        self._left: int | None = HEADERS  # tarfile reads the first one when it is opened

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._sink(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise tarfile.ReadError(f"a header is longer than {HEADERS} bytes")
        return data

    @contextmanager
    def header(self) -> Generator[None]:
        """What is read in this block is a header."""
        self._left = HEADERS
        yield
        self._left = None


def read_back(path: Path, whole: Digest | None = None) -> Iterator[Member]:
    """Yield every member of an archive on disk with its content's digest, in the archive's order.

    Args:
        whole: is fed every byte of the file on the way, if given.

    Raises:
        BackupError: it is damaged.
    """
    with path.open("rb") as file:
        guarded = _Guarded(file, whole.update if whole else lambda data: None)
        with _reading(guarded, "r|") as tar:
            yield from _members(tar, 0, guarded)
        while guarded.read(CHUNK):
            pass


def ranges(path: Path) -> Iterator[tuple[int, int, str]]:
    """Yield where each member of an archive begins, headers included, where it ends, and its path.

    Raises:
        BackupError: it is damaged.
    """
    with path.open("rb") as file, _reading(file, "r:") as tar:
        while info := _next(tar):
            yield info.offset, tar.offset, _path(info)


def extract(path: Path, offset: int, target: Path) -> None:
    """Write the content of one file of an archive to a new private file.

    Args:
        offset: of the entry in the archive.

    Raises:
        BackupError: the archive is damaged there.
    """
    with path.open("rb") as file:
        file.seek(offset)
        with _reading(file, "r:") as tar:
            info = tar.next()
            content = tar.extractfile(info) if info else None
            if content is None:
                raise BackupError(f"{path} has no file at {offset}", "do not use it; take a new backup")
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                shutil.copyfileobj(content, out, CHUNK)


def _members(tar: tarfile.TarFile, start: int, source: _Guarded) -> Iterator[Member]:
    """Yield the members of an open archive that begins at the offset ``start`` of its file."""
    return (_member(tar, info, start + info.offset) for info in _infos(tar, source))


def _infos(tar: tarfile.TarFile, source: _Guarded) -> Iterator[tarfile.TarInfo]:
    while True:
        with source.header():
            info = _next(tar)
        if info is None:
            return
        yield info


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    vars(tar)["members"] = []  # else tarfile keeps every member that it has seen
    return tar.next()


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo, offset: int) -> Member:
    if not 0 <= info.size <= LARGEST:
        raise tarfile.ReadError(f"{info.name!r} claims to be {info.size} bytes long; at most {LARGEST} are read")
    entry = Entry(
        path=_path(info),
        type=_TYPES.get(info.type, "?"),
        mode=info.mode & 0o7777,
        uid=info.uid,
        gid=info.gid,
        size=info.size if info.isfile() else 0,
        mtime_ns=int(Decimal(info.pax_headers.get("mtime", str(info.mtime))) * 10**9),
        link=info.linkname if info.issym() else "",
        offset=offset,
        hard_link=relative(os.fsencode(info.linkname)) if info.islnk() else "",
    )
    if not info.isfile():
        return Member(entry)
    digest, head = _digest(cast(IO[bytes], tar.extractfile(info)))
    return Member(replace(entry, sha256=digest), database=head == SQLITE_MAGIC)


def _digest(content: IO[bytes]) -> tuple[str, bytes]:
    digest, head = hashlib.sha256(), b""
    while chunk := content.read(PIECE):
        head = head or chunk[: len(SQLITE_MAGIC)]
        digest.update(chunk)
    return digest.hexdigest(), head


def _path(info: tarfile.TarInfo) -> str:
    return relative(os.fsencode(info.name))


@contextmanager
def _reading(source: Readable, mode: Literal["r|", "r:"]) -> Generator[tarfile.TarFile]:
    """Open an archive for reading, and tell its damage as ours."""
    file = cast(IO[bytes], source)
    try:
        with tarfile.open(fileobj=file, mode=mode, bufsize=PIECE, encoding="utf-8", errors="surrogateescape") as tar:
            yield tar
    except (tarfile.TarError, ValueError, ArithmeticError, RecursionError) as error:  # tarfile raises all of them
        raise BackupError(f"the archive is damaged: {error}", "do not use it; take a new backup") from error
