"""The pod's side of the stream is not trusted: whatever it says or sends, it is harmless and named."""

from __future__ import annotations

import io
import os
import random
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop.backups import home, listing, tar_reader
from openab_sop.backups.archive import Archive, digest_of, extract
from openab_sop.backups.inventory import Comparison, Entry, comparison
from openab_sop.backups.tar_reader import EXTRACTED, HEADERS, LARGEST, MAP, Member
from openab_sop.errors import BackupError, PodError, SopError
from openab_sop.escape import one_line
from openab_sop.redact import mask
from openab_sop.verdict import Finding
from tests.unit.openab_sop.local import Local, local
from tests.unit.openab_sop.stored import fill, pack

ESC = "\x1b]0;owned\x07"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "home.tar")


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    return local(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Comparison]:
    with comparison(tmp_path) as table:
        yield table


def appended(archive: Archive, stream: bytes) -> list[Member]:
    return list(archive.append(io.BytesIO(stream)))


def member(name: str = "./a", content: bytes = b"", pax: dict[str, str] | None = None, **fields: object) -> bytes:
    """A tar stream of one member; fields and records as given, true or not."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    info.pax_headers = pax or {}
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % 512) + bytes(10240)


def extended(records: bytes) -> bytes:
    """An extended header with whatever stands in its records."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


# Streams.


@pytest.mark.parametrize(
    "name",
    ["../x", "./../x", "/etc/passwd", "./a/../../x", "a//b", "a/./b", "..", "./a/.."],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE], ids=["file", "link", "directory"])
def test_a_path_that_leads_out(archive: Archive, name: str, kind: bytes) -> None:
    with pytest.raises(PodError, match="outside its home"):
        appended(archive, member(name, type=kind))


def test_a_path_with_an_end_in_the_middle(archive: Archive) -> None:
    with pytest.raises(PodError, match="outside its home"):
        appended(archive, member(pax={"path": "./a\0b"}))


@pytest.mark.parametrize("target", ["../x", "/etc/passwd"])
def test_a_hard_link_that_leads_out(archive: Archive, target: str) -> None:
    with pytest.raises(PodError, match="outside its home"):
        appended(archive, member(type=tarfile.LNKTYPE, linkname=target))


def test_a_hard_link_to_nothing_or_to_itself(archive: Archive, table: Comparison) -> None:
    for target in ("./a", "./nothing"):
        (found,) = appended(archive, member(type=tarfile.LNKTYPE, linkname=target))
        assert table.linked("copy", found.entry).sha256 == ""


def test_a_device_is_written_down_and_not_made(archive: Archive, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    (found,) = appended(archive, member(type=tarfile.CHRTYPE, devmajor=1, devminor=5))
    assert (found.entry.type, found.entry.size) == ("c", 0)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("size", [1, 511, 513, 1 << 33, LARGEST + 1, 1 << 62, -1, -512])
def test_a_size_that_is_a_lie(archive: Archive, size: int) -> None:
    with pytest.raises(BackupError, match="damaged"):
        appended(archive, member(size=size)[:512])


def test_holes_beyond_all_measure(archive: Archive) -> None:
    """A few bytes that claim to be a file of exbibytes: digesting its holes would never end."""
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "./a"}
    stream = member(content=b"0\n".ljust(512, b"\0"), pax={**sparse, "GNU.sparse.realsize": str(1 << 62)})
    with pytest.raises(BackupError, match="'a' claims to be"):
        appended(archive, stream)


@pytest.mark.parametrize("holes", [b"9", b"1\n2", b"x\n", b"99999999999\n0\n"], ids=repr)
def test_a_map_of_holes_that_is_none(archive: Archive, holes: bytes) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "./a", "GNU.sparse.realsize": "9"}
    with pytest.raises(BackupError, match="damaged"):
        appended(archive, member(content=holes.ljust(512, b"\0"), pax=sparse))


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "./a"}


def holey(size: int, runs: list[tuple[int, int]]) -> bytes:
    """A member with holes, that is nothing but its map where no run has a length."""
    numbers = [len(runs), *(number for run in runs for number in run)]
    holes = "".join(f"{number}\n" for number in numbers).encode()
    holes += bytes(-len(holes) % 512) + b"x" * sum(length for _, length in runs)
    return member(content=holes, pax={**SPARSE, "GNU.sparse.realsize": str(size)})[:-10240]


def test_the_map_of_holes_takes_no_more_than_in_proportion(archive: Archive) -> None:
    """Issue 14: it took the square of its length, of which 16 MiB were let pass."""
    begun = time.process_time()
    appended(archive, holey(9, [(9, 0)] * 200_000) + bytes(10240))
    assert time.process_time() - begun < 5
    with pytest.raises(BackupError, match="the map of a file's holes is longer than"):
        appended(archive, holey(9, [(9, 0)] * (MAP // 4)) + bytes(10240))


def test_holes_of_many_files_are_added_up(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_reader, "HOLES", 1 << 20)
    assert len(appended(archive, holey(1 << 19, []) * 2 + bytes(10240))) == 2
    with pytest.raises(BackupError, match="bytes of holes together"):
        appended(archive, holey(1 << 19, []) * 3 + bytes(10240))


@pytest.mark.parametrize("records", [b"9 a=bcde\nnolength", b"9 a=bcde\n 9 a=b\n", b"9 a=bcde\n0 a=b\n", b"99 a=b\n"])
def test_records_of_a_header_that_lead_nowhere(archive: Archive, records: bytes) -> None:
    """A record without a length was read again and again, for ever, where another stood before it."""
    with pytest.raises(BackupError, match="has an invalid record"):
        appended(archive, extended(records) + member())


def test_holes_stay_holes_where_a_file_is_taken_out(archive: Archive, tmp_path: Path) -> None:
    """Issue 14: an archive of 12 KB became 210 MB on the disk."""
    appended(archive, holey(1 << 28, [(1 << 20, 4), (1 << 27, 4)]) + bytes(10240))
    archive.close()
    extract(archive.path, 0, tmp_path / "out")
    found = (tmp_path / "out").stat()
    assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (1 << 28, True)
    with (tmp_path / "out").open("rb") as out:
        out.seek(1 << 27)
        assert out.read(5) == b"xxxx\0"


def test_a_file_that_is_nearly_all_holes_is_not_taken_out(archive: Archive, tmp_path: Path) -> None:
    appended(archive, holey(EXTRACTED + 1, []) + bytes(10240))
    archive.close()
    with pytest.raises(BackupError, match="bytes of holes"):
        extract(archive.path, 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_nearly_all_holes_is_looked_at_all_the_same(archive: Archive) -> None:
    """A home with a sparse file of a virtual machine is a good backup: the quick look only reads it."""
    appended(archive, holey(EXTRACTED + 1, []) + bytes(10240))
    archive.close()
    assert len(digest_of(archive.path, 0)) == 64


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1e99999999999", "1e300", "-1e300", "99999999999999999999", ""])
def test_a_time_that_is_none(archive: Archive, value: str) -> None:
    with pytest.raises(BackupError, match="damaged"):
        appended(archive, member(pax={"mtime": value}))


def test_an_owner_that_is_none(archive: Archive) -> None:
    for digits, told in ((19, "has numbers that no file has"), (30, "where a number must be")):
        with pytest.raises(BackupError, match=told):
            appended(archive, member(pax={"uid": "9" * digits}))


class Endless:
    """A stream that begins in one way and goes on in another for ever; counts what was read."""

    def __init__(self, head: bytes, rest: bytes) -> None:
        self.taken = 0
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        piece, self._head = self._head[:size], self._head[size:]
        while len(piece) < min(size, 1 << 16):
            piece += self._rest
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME], ids=["x", "g", "L"])
def test_a_header_without_end(archive: Archive, kind: bytes) -> None:
    source = Endless(member(type=kind, size=1 << 32)[:512], b"x" * 4096)
    with pytest.raises(BackupError, match=r"a header is longer than|a member is of the type"):
        list(archive.append(source))
    assert source.taken < HEADERS + (4 << 20)


def test_headers_without_end(archive: Archive) -> None:
    header = member(pax={"comment": "x"})[:1024]
    with pytest.raises(BackupError, match="damaged"):
        list(archive.append(Endless(b"", header)))


def test_whatever_is_turned_over_is_told_as_ours(tmp_path: Path) -> None:
    """Bits of a good stream, one at a time and in bulk: it is read, or it is damaged; nothing else comes up."""
    (tmp_path / "home").mkdir()
    good = pack(tmp_path / "home", *fill(tmp_path / "home"))
    chance, told = random.Random(1), 0
    for number in range(1500):
        raw = bytearray(good)
        for _ in range(1 + number % 3):
            block = 512 * chance.randrange(len(raw) // 512)
            raw[block + chance.randrange(512 if number % 2 else 64)] = chance.randrange(256)
        archive = Archive(tmp_path / f"{number}.tar")
        try:
            appended(archive, bytes(raw))
        except SopError:
            told += 1
        archive.path.unlink()
    assert told > 50, "nothing of it did any damage: this test proves nothing"


# A pod with tools of its own.


def test_an_honest_pod(pod: Local, table: Comparison, tmp_path: Path) -> None:
    fill(pod.home)
    copy = pod.copy(table, tmp_path / "out.tar")
    assert copy.findings == []
    there = {str(path.relative_to(pod.home)) for path in pod.home.rglob("*")}
    assert {entry.path for entry in table.all("copy")} == {".", *there}


@pytest.mark.parametrize(
    "record",
    [
        "./a//f 644 0 0 1 1.0 1:1 yes",
        "./a//f x 0 0 1 1.0 1:1 yes//",
        "./a//f 644 0 0 1 1.0 1:1//",
        "./a//f 644 0 0 1 nan 1:1 yes//",
        "./a//f 644 99999999999999999999 0 1 1.0 1:1 yes//",
        "../a//f 644 0 0 1 1.0 1:1 yes//",
        "/etc//f 644 0 0 1 1.0 1:1 yes//",
        "./a",
        "",
    ],
)
def test_a_listing_that_is_none(pod: Local, record: str) -> None:
    pod.tool("find", f"printf '%s\\0' '{record}'")
    with pytest.raises(PodError, match=r"an invalid record|outside its home|cannot list"):
        list(listing.listed(pod.pod, str(pod.home), ()))


@pytest.mark.parametrize("said", ["", "many .", "-1 .", "9" * 30 + " .", "1"])
def test_a_measure_that_is_none(pod: Local, said: str) -> None:
    pod.tool("du", f"printf '%s\\n' '{said}'" if said != "1" else "printf 1")
    with pytest.raises(PodError, match="du in pod"):
        listing.used(pod.pod, str(pod.home))


@pytest.mark.parametrize("openssl", ["exit 1", "printf 'no digest *./a\\n'", "echo no"])
def test_digests_that_are_none(pod: Local, openssl: str) -> None:
    (pod.home / "a").touch()
    pod.tool("openssl", openssl)
    pod.tool("sha256sum", "printf 'no digest *./a\\0'")
    with pytest.raises(PodError, match="digests have an invalid record"):
        list(listing.digests(pod.pod, str(pod.home), ()))


def test_a_record_without_end(pod: Local) -> None:
    pod.tool("find", "exec yes")
    with pytest.raises(PodError, match="an invalid record"):
        list(listing.listed(pod.pod, str(pod.home), ()))


def test_output_without_end(pod: Local) -> None:
    endless = pod.pod.open("yes", "/", limit=100_000)
    with pytest.raises(PodError, match="sends more than 100000 bytes"), endless as output:
        while output.read(1 << 16):
            pass


def test_an_archive_without_end(pod: Local, table: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the last member is read to the stream's end, but not for ever."""
    monkeypatch.setattr(home, "ROOM", 1 << 20)
    pod.tool("tar", "exec head -c 1G /dev/zero")
    with pytest.raises(SopError, match=r"sends more than|damaged"):
        pod.copy(table, tmp_path / "out.tar", expected=1000)
    assert (tmp_path / "out.tar").stat().st_size < 3 << 20


def test_a_file_below_a_link_is_named(pod: Local, table: Comparison, tmp_path: Path) -> None:
    """Unpacked by somebody who trusts it, it would be written where the link leads."""
    table.add("copy", Entry("way", "l", 0o777, 0, 0, link="/etc"))
    table.add("copy", Entry("way/passwd", "f", 0o644, 0, 0))
    table.add("copy", Entry("way-out", "f", 0o644, 0, 0))
    assert [entry.path for entry in table.misplaced("copy")] == ["way/passwd"]


def test_tar_that_sends_another_file_than_find_lists(pod: Local, table: Comparison, tmp_path: Path) -> None:
    (pod.home / "a").write_text("honest")
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "a").symlink_to("/etc/passwd")
    (tmp_path / "evil.tar").write_bytes(pack(evil, "a"))
    pod.tool("tar", f"cat {tmp_path / 'evil.tar'}")
    copy = pod.copy(table, tmp_path / "out.tar")
    assert [finding.subject for finding in copy.findings] == [f"{pod.home}/a"]


# What is shown.


def test_names_reach_nobody_raw() -> None:
    finding = str(Finding(f"a{ESC}\n    next: curl evil", "b\r\x9b31m", "c", "ls 'x\u202egpj'"))
    assert finding.count("\n") == 1
    for control in "\x1b\x07\r\x9b\u202e":
        assert control not in finding
    assert finding.splitlines()[1].startswith("    next: ls")


def test_whatever_is_shown_is_harmless() -> None:
    shown = mask(f"one{ESC}\ttwo\n{os.fsdecode(bytes([0x6C, 0xE9]))}")
    assert shown == "one\\x1b]0;owned\\x07\ttwo\nl\\udce9"
    assert one_line("a\nb") == "a\\nb"
