"""The archive of a home: a plain tar file, written from the pod's stream and read back from disk.

Segments are appended: the first holds the whole home, later ones what changed meanwhile. As with any tar file the last
member of a name counts, so ``tar --extract`` of the file gives what the Contents say, and beside it only files that
the agent deleted during the copy.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Protocol

from openab_sop import storage
from openab_sop.backups.inventory import Entry
from openab_sop.backups.tar_reader import BLOCK, Member, Readable, TarReader
from openab_sop.errors import BackupError

CHUNK = 1 << 20
TAR = (
    "tar --create --file=- --blocking-factor=128 --format=posix "
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime "
    "--sparse --xattrs '--xattrs-include=user.*' --no-recursion --null --files-from=-"
)
"""How tar in the pod writes the names that it reads: times to the nanosecond, holes and links as they are, 64 KiB at
once: the fewer the writes, the faster the stream."""


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
            reader = TarReader(source, file.write, self.size)
            yield from reader.members()
            for _ in reader.rest():
                pass  # padding, up to the stream's proved end
        self.size = reader.offset

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
        """Write the archive's end; whoever keeps it puts it on disk."""
        with self.path.open("r+b") as file:
            file.truncate(self.size)
            file.seek(self.size)
            file.write(bytes(-(self.size + 2 * BLOCK) % tarfile.RECORDSIZE + 2 * BLOCK))


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

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes in."""
        ...


def read_back(path: Path, whole: Digest | None = None) -> Iterator[Member]:
    """Yield every member of an archive on disk with its content's digest, in the archive's order.

    Args:
        whole: is fed every byte of the file on the way, if given.

    Raises:
        BackupError: it is damaged.
    """

    def feed(piece: bytes | memoryview) -> None:
        if whole:
            whole.update(piece)

    with path.open("rb", buffering=0) as file:
        reader = TarReader(file, feed)
        yield from reader.members()
        for piece in reader.rest():
            feed(piece)


def ranges(path: Path) -> Iterator[tuple[int, int, str]]:
    """Yield where each member of an archive begins, headers included, where it ends, and its path.

    Raises:
        BackupError: it is damaged.
    """
    with path.open("rb", buffering=0) as file:
        yield from TarReader(file).ranges()


def digest_of(path: Path, offset: int) -> str:
    """Return the SHA-256 of the content of one file of an archive, holes as they read; nothing is written.

    Args, Raises: as ``extract`` has them; empty if it is no file.
    """
    with path.open("rb") as file:
        file.seek(offset)
        return next((member.entry.sha256 for member in TarReader(file, start=offset).members()), "")


def extract(path: Path, offset: int, target: Path) -> None:
    """Write the content of one file of an archive to a new private file; what is a hole there is one here.

    Args:
        offset: of the entry in the archive.

    Raises:
        BackupError: the archive is damaged there.
    """
    with path.open("rb") as file:
        file.seek(offset)
        with storage.private_file(target) as out:
            try:
                found = TarReader(file, start=offset).extract(out)
            except ValueError as error:  # numbers that no file has
                target.unlink()
                raise BackupError(f"the archive is damaged: {error}", "do not use it; take a new backup") from error
            except BackupError:
                target.unlink()
                raise
    if not found:
        target.unlink()
        raise BackupError(f"{path} has no file at {offset}", "do not use it; take a new backup")
