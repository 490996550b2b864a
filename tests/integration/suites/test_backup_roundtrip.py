"""What was backed up is what the volume holds, judged by tools that know nothing of the code under test."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.integration.suites.conftest import BackedUp
from world import World

FOREIGN = {"AGENTS.md", "CLAUDE.md", "GEMINI.md"}
"""Mount points of ConfigMap files: kubelet leaves them on the volume, empty."""


@pytest.fixture(scope="module")
def extracted(quiet_backup: BackedUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home's archive, unpacked into an empty directory as an operator would in need."""
    target = tmp_path_factory.mktemp("extracted")
    options = ["--same-owner", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    subprocess.run(["tar", "-xpf", quiet_backup.archive, "-C", target, *options], check=True)
    return target


def differences(ours: Path, theirs: Path) -> list[str]:
    """What rsync would do to make `ours` equal to `theirs`: contents, all metadata, what is there in excess."""
    flags = ["-naHXS", "--checksum", "--numeric-ids", "--delete", "--itemize-changes", "--modify-window=-1"]
    done = subprocess.run(["rsync", *flags, f"{theirs}/", f"{ours}/"], check=True, capture_output=True)
    return [line for line in done.stdout.decode("utf-8", "surrogateescape").splitlines() if not line.endswith(" ./")]


def test_rsync_finds_no_difference_but_mount_points(quiet_backup: BackedUp, extracted: Path) -> None:
    """Every name, type, byte, mode, owner, nanosecond, link and attribute is on both sides."""
    found = {line.split(" ", 1)[1] for line in differences(extracted, quiet_backup.volume)}
    assert found == FOREIGN


def test_tar_finds_no_difference(quiet_backup: BackedUp) -> None:
    """The archive itself compares equal with the volume."""
    done = subprocess.run(
        ["tar", "--compare", "--file", quiet_backup.archive, "-C", quiet_backup.volume], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("change", ["content", "mtime", "mode", "extra", "missing", "attribute", "link"])
def test_rsync_would_see_it(quiet_backup: BackedUp, extracted: Path, tmp_path: Path, change: str) -> None:
    """The judge above is not blind: each kind of damage to the extracted copy is found."""
    subprocess.run(["cp", "-a", extracted, tmp_path / "copy"], check=True)
    copy = tmp_path / "copy"
    file = copy / "odd" / "sizes" / "one-block"
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    match change:
        case "content":
            file.write_bytes(bytes(512))
            os.utime(file, ns=times)
        case "mtime":
            os.utime(file, ns=(times[0], times[1] + 1))
        case "mode":
            file.chmod(0o600)
        case "extra":
            (copy / "extra").touch()
        case "missing":
            file.unlink()
        case "attribute":
            os.removexattr(copy / "odd" / "attributes" / "tagged", "user.comment")
        case _:
            (copy / "odd" / "links" / "second name").unlink()
            (copy / "odd" / "links" / "second name").write_bytes((copy / "odd" / "links" / "original").read_bytes())
    assert differences(copy, quiet_backup.volume) != differences(extracted, quiet_backup.volume)


def test_holes_stay_holes(extracted: Path) -> None:
    """A sparse file of 64 MiB takes two blocks in the archive's copy."""
    sparse = (extracted / "odd" / "sizes" / "sparse").stat()
    assert sparse.st_size == 64 << 20
    assert sparse.st_blocks * 512 < 1 << 20


def test_contents_list_what_the_volume_holds(quiet_backup: BackedUp) -> None:
    """contents.jsonl agrees with a walk over the volume on the host: every name, its metadata and its digest."""
    lines = (quiet_backup.archive.parent / "contents.jsonl").read_text().splitlines()
    listed = {entry["path"]: entry for entry in map(json.loads, lines)}
    walked = {path: entry for path, entry in walk(quiet_backup.volume).items() if path not in FOREIGN}
    assert set(listed) == set(walked) | {"."}
    for path, expected in walked.items():
        assert {name: listed[path].get(name, "") for name in expected} == expected, path


def walk(root: Path) -> dict[str, dict[str, str | int]]:
    """Every name below a directory with type, mode, owner, time, link target, and size and digest of files."""
    found: dict[str, dict[str, str | int]] = {}
    raw = os.fsencode(root)
    for directory, directories, files in os.walk(raw):
        for name in directories + files:
            path = os.path.join(directory, name)  # noqa: PTH118  (names as bytes)
            found[os.fsdecode(os.path.relpath(path, raw))] = described(path)
    return found


def described(path: bytes) -> dict[str, str | int]:
    """One name's metadata as the Contents word it."""
    seen = os.lstat(path)
    entry: dict[str, str | int] = {"mode": stat.S_IMODE(seen.st_mode), "uid": seen.st_uid, "gid": seen.st_gid}
    if not os.path.basename(path).endswith(b"-shm"):  # noqa: PTH119  (the log's index: any moment's will do)
        entry["mtime_ns"] = seen.st_mtime_ns
    if stat.S_ISLNK(seen.st_mode):
        return entry | {"type": "l", "link": os.fsdecode(os.readlink(path))}  # noqa: PTH115
    if stat.S_ISDIR(seen.st_mode):
        return entry | {"type": "d"}
    content = Path(os.fsdecode(path)).read_bytes()
    return entry | {"type": "f", "size": seen.st_size or "", "sha256": hashlib.sha256(content).hexdigest()}


def test_nothing_is_left_in_the_pod(quiet_backup: BackedUp, world: World) -> None:
    """No process and no file of the copy remains: only the init, the agent with its own file, and this look."""
    agent = ("--namespace", quiet_backup.namespace, f"deploy/{quiet_backup.deployment}", "--container=openab")
    target = ("exec", *agent, "--")
    processes = world.kubectl(*target, "ps", "-eo", "comm=").split()
    assert sorted(processes) == ["openab", "ps", "tini"]
    assert world.kubectl(*target, "find", "/tmp", "-mindepth", "1").split() == ["/tmp/openab-ready"]
