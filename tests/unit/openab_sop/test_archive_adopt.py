"""What a backup takes from an earlier one: the bytes as they are there, and nothing if anything of it is damaged."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.backups.archive import Archive, read_back
from openab_sop.backups.home import Base, HomeCopy
from openab_sop.backups.inventory import comparison
from tests.unit.openab_sop.local import Local, local
from tests.unit.openab_sop.stored import flip

SIZE = 400_000


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    """A pod with a large file and some small ones."""
    pod = local(tmp_path)
    (pod.home / "big").write_bytes(os.urandom(SIZE))
    (pod.home / "d").mkdir()
    for name in ("one", "two", "three"):
        (pod.home / "d" / name).write_text(f"this is {name}")
    os.utime(pod.home / "big", ns=(0, 1_234_567_890_123_456_789))
    return pod


@contextmanager
def copied(pod: Local, directory: Path, base: Base | None = None) -> Generator[tuple[HomeCopy, Base]]:
    """Copy the home; also as a base for another copy."""
    directory.mkdir()
    with comparison(directory) as table:
        copy = pod.copy(table, directory / "home.tar", base)
        assert copy.findings == []
        (directory / "contents.jsonl").write_text("".join(entry.as_line() + "\n" for entry in table.all("copy")))
        digest = hashlib.sha256((directory / "home.tar").read_bytes()).hexdigest()
        yield copy, Base(directory / "home.tar", digest, directory / "contents.jsonl")


def differences(pod: Local, archive: Path, target: Path) -> str:
    """What rsync finds between the home and an archive that plain tar unpacked."""
    target.mkdir()
    subprocess.run(["tar", "-xpf", archive, "-C", target], check=True)
    command = ["rsync", "-naHX", "--checksum", "--delete", "--itemize-changes", f"{pod.home}/", f"{target}/"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return "\n".join(line for line in lines if not line.endswith(" ./"))


def test_what_is_unchanged_is_taken(pod: Local, tmp_path: Path) -> None:
    with copied(pod, tmp_path / "1") as (_, base), copied(pod, tmp_path / "2", base) as (copy, second):
        assert copy.adopted > SIZE
        assert copy.received < SIZE / 4
        assert differences(pod, second.archive, tmp_path / "out") == ""


def replaced(home: Path) -> Path:
    """The path of a file that is gone."""
    (home / "d" / "one").unlink()
    return home / "d" / "one"


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda home: (home / "d" / "one").write_text("this is ONE"),
    "mode": lambda home: (home / "d" / "one").chmod(0o600),
    "time": lambda home: os.utime(home / "d" / "one", ns=(0, 1)),
    "name": lambda home: (home / "d" / "one").rename(home / "d" / "new"),
    "link": lambda home: (home / "d" / "again").hardlink_to(home / "d" / "one"),
    "removal": replaced,
    "link in place": lambda home: replaced(home).symlink_to("two"),
    "directory in place": lambda home: replaced(home).mkdir(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changed_comes_from_the_pod(pod: Local, tmp_path: Path, change: Callable[[Path], object]) -> None:
    with copied(pod, tmp_path / "1") as (_, base):
        change(pod.home)
        with copied(pod, tmp_path / "2", base) as (copy, second):
            assert copy.adopted >= SIZE
            assert differences(pod, second.archive, tmp_path / "out") == ""


def test_content_that_changed_under_the_same_metadata(pod: Local, tmp_path: Path) -> None:
    """Name, size and time say nothing; the pod's digest does."""
    with copied(pod, tmp_path / "1") as (_, base):
        before = (pod.home / "d" / "one").stat()
        (pod.home / "d" / "one").write_text("This is one")
        os.utime(pod.home / "d" / "one", ns=(before.st_atime_ns, before.st_mtime_ns))
        with copied(pod, tmp_path / "2", base) as (_, second):
            assert differences(pod, second.archive, tmp_path / "out") == ""


def test_no_bit_of_a_damaged_archive_is_taken(pod: Local, tmp_path: Path) -> None:
    """Content, header, attribute, padding, end: wherever the damage is, everything comes from the pod."""
    with copied(pod, tmp_path / "1") as (_, base):
        good = base.archive.read_bytes()
        places = [good.index(b"this is one"), good.index(b"mtime=") + 7, good.index(b"ustar"), SIZE, len(good) - 1]
        for number, place in enumerate(places):
            base.archive.write_bytes(good)
            flip(base.archive, place)
            with copied(pod, tmp_path / f"again-{number}", base) as (copy, second):
                assert (copy.adopted, copy.refused_base != "") == (0, True)
                assert differences(pod, second.archive, tmp_path / f"out-{number}") == ""


@pytest.mark.parametrize("part", ["archive", "contents"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise"])
def test_a_base_that_is_none(pod: Local, tmp_path: Path, part: str, damage: str) -> None:
    with copied(pod, tmp_path / "1") as (_, base):
        path = base.archive if part == "archive" else base.contents
        raw = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": raw[: len(raw) // 2], "noise": os.urandom(2000), "gone": b""}[damage])
        if damage == "gone":
            path.unlink()
        with copied(pod, tmp_path / "2", base) as (copy, second):
            assert copy.adopted == 0
            assert differences(pod, second.archive, tmp_path / "out") == ""


def test_little_is_not_worth_it(pod: Local, tmp_path: Path) -> None:
    with copied(pod, tmp_path / "1") as (_, base):
        (pod.home / "big").write_bytes(os.urandom(SIZE))
        with copied(pod, tmp_path / "2", base) as (copy, _):
            assert (copy.adopted, copy.refused_base) == (0, "")


def test_an_empty_home(tmp_path: Path) -> None:
    with copied(local(tmp_path), tmp_path / "1") as (copy, _):
        assert copy.findings == []


def test_what_is_not_in_the_archive_is_passed_over(pod: Local, tmp_path: Path) -> None:
    """Contents that tell a wrong place take no other file's bytes."""
    with copied(pod, tmp_path / "1") as (copy, base):
        one, two = (copy.table.get("copy", f"d/{name}") for name in ("one", "two"))
        assert one and two
        places = sorted((one.offset, two.offset))
        for path in ("d/one", "d/two"):
            archive = Archive(tmp_path / f"{path[2:]}.tar")
            wanted = [replace(one, path=path, offset=offset + shift) for offset in places for shift in (-1, 0, 1)]
            (taken,) = archive.adopt(base.archive, wanted)
            archive.close()
            (member,) = read_back(archive.path)
            assert (taken.path, member.entry.path) == (path, path)
