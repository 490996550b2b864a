"""The archive, written by the machine's own tar and read by ours, and the other way round."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from openab_sop.backups.archive import TAR, Archive, extract, read_back
from openab_sop.backups.tar_reader import Member
from openab_sop.errors import BackupError, PodError

ODD = ["plain", "with space", "new\nline", "back\\slash", "-dash", "ünï", os.fsdecode(b"latin1-\xe9"), "n" * 255]


def pack(home: Path, *names: str) -> bytes:
    """What tar in a pod writes for these names."""
    listed = b"".join(os.fsencode(f"./{name}") + b"\0" for name in names)
    return subprocess.run(["sh", "-c", TAR], cwd=home, input=listed, capture_output=True, check=True).stdout


def appended(archive: Archive, stream: bytes) -> list[Member]:
    """The members of a segment that was read to its end."""
    return list(archive.append(io.BytesIO(stream)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An empty archive."""
    return Archive(tmp_path / "home.tar")


def test_archive_is_private(archive: Archive) -> None:
    assert archive.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ODD)
def test_names_and_metadata_survive(home: Path, archive: Archive, name: str) -> None:
    (home / name).write_bytes(b"content")
    (home / name).chmod(0o2640)
    os.utime(home / name, ns=(1, 1_234_567_890_123_456_789))
    (member,) = appended(archive, pack(home, name))
    entry = member.entry
    assert (entry.path, entry.type, entry.mode, entry.size) == (name, "f", 0o2640, 7)
    assert entry.mtime_ns == 1_234_567_890_123_456_789
    assert entry.sha256 == hashlib.sha256(b"content").hexdigest()


def test_times_before_the_epoch(home: Path, archive: Archive) -> None:
    (home / "old").touch()
    os.utime(home / "old", ns=(0, -1_000_000_001))
    (member,) = appended(archive, pack(home, "old"))
    assert member.entry.mtime_ns == -1_000_000_001


def test_links_and_directories(home: Path, archive: Archive) -> None:
    (home / "a").write_bytes(b"x")
    (home / "b").hardlink_to(home / "a")
    (home / "c").symlink_to("two\nlines")
    (home / "d").mkdir(0o555)
    first, second, third, fourth = (member.entry for member in appended(archive, pack(home, "a", "b", "c", "d")))
    assert (first.hard_link, second.type, second.hard_link) == ("", "f", "a")
    assert (third.type, third.link) == ("l", "two\nlines")
    assert (fourth.type, fourth.mode) == ("d", 0o555)


def test_sparse_file_reads_in_full(home: Path, archive: Archive, tmp_path: Path) -> None:
    with (home / "sparse").open("wb") as file:
        file.write(b"begin")
        file.truncate(8 << 20)
    (member,) = appended(archive, pack(home, "sparse"))
    archive.close()
    assert member.entry.size == 8 << 20
    assert archive.path.stat().st_size < 1 << 20
    extract(archive.path, member.entry.offset, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (home / "sparse").read_bytes()


def test_databases_are_told_by_content(home: Path, archive: Archive) -> None:
    (home / "index").write_bytes(b"SQLite format 3\0" + bytes(100))
    (home / "data.sqlite3").write_bytes(b"no database")
    members = appended(archive, pack(home, "index", "data.sqlite3"))
    assert [member.database for member in members] == [True, False]


def test_last_segment_counts(home: Path, archive: Archive, tmp_path: Path) -> None:
    (home / "file").write_bytes(b"first")
    appended(archive, pack(home, "file"))
    (home / "file").write_bytes(b"second")
    appended(archive, pack(home, "file"))
    archive.close()
    subprocess.run(["tar", "-xf", archive.path, "-C", tmp_path], check=True)
    assert (tmp_path / "file").read_bytes() == b"second"
    assert len(list(read_back(archive.path, hashlib.sha256()))) == 2


def test_broken_segment_leaves_no_trace(home: Path, archive: Archive) -> None:
    (home / "file").write_bytes(os.urandom(100_000))
    appended(archive, pack(home, "file"))
    size = archive.size
    with pytest.raises(BackupError):
        appended(archive, pack(home, "file")[:50_000])
    assert archive.size == size
    archive.close()
    (member,) = read_back(archive.path, hashlib.sha256())
    assert member.entry.sha256 == hashlib.sha256((home / "file").read_bytes()).hexdigest()


def test_damage_is_told(home: Path, archive: Archive) -> None:
    (home / "a").write_bytes(bytes(1000))
    (home / "b").write_bytes(bytes(1000))
    appended(archive, pack(home, "a", "b"))
    archive.close()
    raw = bytearray(archive.path.read_bytes())
    raw[raw.rindex(b"./b")] ^= 0xFF  # in a header: its checksum is wrong now
    archive.path.write_bytes(raw)
    with pytest.raises(BackupError, match="damaged"):
        list(read_back(archive.path, hashlib.sha256()))


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../b"])
def test_paths_that_lead_out_are_refused(archive: Archive, name: str) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(PodError, match="outside"):
        appended(archive, raw.getvalue())
