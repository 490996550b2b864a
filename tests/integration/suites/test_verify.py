"""A backup is proved without any cluster; each damage is named, and the backup stays as it was."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.tiny import ARCHIVE, DEPLOYMENT, Tiny, tiny_release
from world import World

NO_CLUSTER = {"KUBECONFIG": "/nonexistent"}


@dataclass(frozen=True)
class Sound:
    """Two backups of one release, the second of which is proved, and the run that made it."""

    tiny: Tiny
    other: Path
    backup: Path
    run: Run

    def verify(self, backup: Path, *arguments: str) -> Run:
        return self.tiny.suites.run("suites/backup", "--verify", f"--backup={backup}", *arguments, env=NO_CLUSTER)


@pytest.fixture(scope="module")
def sound(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sound]:
    with tiny_release(world, status, tmp_path_factory.mktemp("verify")) as tiny:
        tiny.shell("mkdir -p notes && echo unmistakable content > notes/file && head -c 300000 /dev/urandom > random")
        _, other = tiny.backup()
        tiny.shell("echo changed > notes/other")
        run, backup = tiny.backup()
        yield Sound(tiny, other, backup, run)


@pytest.fixture
def copy(sound: Sound, tmp_path: Path) -> Path:
    """A copy of the backup to be damaged."""
    copy = tmp_path / sound.backup.name
    subprocess.run(["cp", "-a", sound.backup, copy], check=True)
    return copy


def state(directory: Path) -> str:
    """Every name, size, owner, mode, times and content of a directory."""
    done = subprocess.run(
        [
            "sh",
            "-c",
            'find "$1" -printf "%P %y %s %m %u %T@ %C@\\n" | sort; tar -C "$1" -cf - . | sha256sum',
            "sh",
            directory,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@contextmanager
def read_only(directory: Path) -> Generator[None]:
    """Mount a directory so that nobody can write to it, root neither."""
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize("how", [(), ("--quick",)], ids=["full", "quick"])
def test_a_sound_backup_is_good_and_stays_as_it_is(sound: Sound, copy: Path, how: tuple[str, ...]) -> None:
    before = state(copy)
    with read_only(copy):
        run = sound.verify(copy, *how)
    assert run.status == 0, run.output
    assert run.verdicts()["test_backup_is_sound"] == "passed"
    assert ("sampled" if how else "read back in full") in run.evidence("test_backup_is_sound")
    assert state(copy) == before


def flipped(path: Path, text: bytes) -> None:
    """Turn one bit over where a text stands."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(text)] ^= 1
    path.write_bytes(raw)


def edited(backup: Path, **fields: object) -> None:
    """Change fields of backup.json."""
    path = backup / "backup.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda copy: flipped(copy / ARCHIVE, b"unmistakable"), "notes/file"),
    "header": (lambda copy: flipped(copy / ARCHIVE, b"ustar"), ARCHIVE),
    "Contents": (lambda copy: flipped(copy / DEPLOYMENT / "pvc-data/contents.jsonl", b"notes"), "contents.jsonl"),
    "values": (lambda copy: flipped(copy / "values.yaml", b"agents"), "values.yaml"),
    "truncation": (lambda copy: os.truncate(copy / ARCHIVE, 20_000), ARCHIVE),
    "missing part": (lambda copy: (copy / "helm-release.yaml").unlink(), "helm-release.yaml: missing"),
    "newer schema": (lambda copy: edited(copy, schema=99), "has schema 99; this tool knows"),
    "no JSON": (lambda copy: (copy / "backup.json").write_text("{"), "backup.json is damaged"),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_named(sound: Sound, copy: Path, damage: Callable[[Path], object], named: str) -> None:
    damage(copy)
    before = state(copy)
    run = sound.verify(copy)
    assert run.status == 1, run.output
    assert named in run.output
    assert "Traceback" not in run.output
    assert "next: " in run.output
    assert state(copy) == before


def test_the_manifest_of_another_backup_is_named(sound: Sound, copy: Path) -> None:
    (copy / "backup.json").write_bytes((sound.other / "backup.json").read_bytes())
    run = sound.verify(copy, "--quick")
    assert run.status == 1
    assert f"it is of backup {sound.other.name}" in run.output


def test_a_foreign_release_is_named(sound: Sound, copy: Path) -> None:
    assert sound.verify(copy, "--release=openab", f"--namespace={sound.tiny.namespace}", "--quick").status == 0
    run = sound.verify(copy, "--release=openab", "--namespace=elsewhere", "--quick")
    assert run.status == 1
    assert f"it is of namespace {sound.tiny.namespace}; expected one of namespace elsewhere" in run.output
    assert run.verdicts()["test_backup_is_sound"] == "not run"


def test_without_a_recipient_there_is_one_warning(sound: Sound) -> None:
    assert sound.run.verdicts()["test_backup_is_encrypted"] == "not needed"
    assert sound.run.output.count("WARNING") == 1
    assert "--encrypt-to" in sound.run.output
    assert "WARNING" in sound.run.html
