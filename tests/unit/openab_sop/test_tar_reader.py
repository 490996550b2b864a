"""The reader of what GNU tar writes: the same whatever the pieces that it comes in, and nothing but that."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from openab_sop.backups.tar_reader import PIECE, Member, TarReader
from openab_sop.errors import BackupError
from tests.unit.openab_sop.stored import fill, pack


class Pieces:
    """A stream that gives so many bytes at once."""

    def __init__(self, data: bytes, size: int) -> None:
        self._file = io.BytesIO(data)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._size))


@pytest.fixture
def stream(tmp_path: Path) -> bytes:
    """What tar writes of a home with a file of each kind, a large one and one with holes."""
    names = fill(tmp_path)
    (tmp_path / "large").write_bytes(os.urandom(3 * PIECE + 100))
    (tmp_path / ("long" * 60)).write_bytes(b"")
    with (tmp_path / "holes").open("wb") as file:
        for place in (100_000, 300_000):
            file.seek(place)
            file.write(b"content")
        file.truncate(500_000)
    return pack(tmp_path, *names, "large", "long" * 60, "holes")


def read(data: bytes, size: int = PIECE) -> tuple[list[Member], bytes, bytes]:
    """The members, what belongs to them, and what follows."""
    ours = bytearray()
    reader = TarReader(Pieces(data, size), lambda piece: ours.extend(piece))
    members = list(reader.members())
    assert reader.offset == len(ours)
    return members, bytes(ours), b"".join(reader.rest())


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 4096, PIECE])
def test_pieces_of_any_size(stream: bytes, size: int) -> None:
    assert read(stream, size) == read(stream)


def test_it_is_what_tarfile_reads(stream: bytes) -> None:
    """Python's own reader finds the same members at the same places."""
    members, ours, rest = read(stream)
    assert ours + rest == stream
    with tarfile.open(fileobj=io.BytesIO(stream), errors="surrogateescape") as tar:
        for info, member in zip(tar, members, strict=True):
            entry = member.entry
            assert (info.name, info.offset) == (f"./{entry.path}", entry.offset)
            assert (info.mode, info.uid, info.gid) == (entry.mode, entry.uid, entry.gid)
            if info.isreg():
                content = tar.extractfile(info)
                assert content
                data = content.read()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)


def test_members_are_passed_over(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(stream)
    with (tmp_path / "tar").open("rb", buffering=0) as file:
        ranges = list(TarReader(file).ranges())
    members, ours, _ = read(stream)
    assert [(start, path) for start, _, path in ranges] == [(m.entry.offset, m.entry.path) for m in members]
    assert [end for _, end, _ in ranges] == [*(start for start, _, _ in ranges[1:]), len(ours)]


def test_an_archive_ends_with_its_end(stream: bytes) -> None:
    """At a member's end too: tarfile takes that for the archive's."""
    members, ours, _ = read(stream)
    for cut in (0, members[2].entry.offset, len(ours), len(ours) - 1):
        with pytest.raises(BackupError, match="it ends in the middle"):
            read(stream[:cut])


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE, b"V", b"M", b"Z"])
def test_what_we_never_ask_tar_for_is_refused(kind: bytes) -> None:
    info = tarfile.TarInfo("./a")
    info.type = kind
    with pytest.raises(BackupError, match="a member is of the type"):
        read(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
