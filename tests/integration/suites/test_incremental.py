"""A second backup receives what changed, and is complete in itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.tiny import ARCHIVE, DEPLOYMENT, Tiny, tiny_release
from world import World

SIZE = 8_000_000
METADATA = 600_000
"""Bytes that the agent's own databases, and the headers of a few files, may take beyond what changed."""


@pytest.fixture(scope="module")
def tiny(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with tiny_release(world, status, tmp_path_factory.mktemp("incremental")) as tiny:
        tiny.shell(
            f"mkdir d && head -c {SIZE} /dev/urandom > big && head -c 100000 /dev/urandom > changed"
            " && for n in renamed moded touched linked replaced gone; do head -c 50000 /dev/urandom > d/$n; done"
        )
        yield tiny


@pytest.fixture
def first(tiny: Tiny) -> Path:
    """A backup that has everything, from the pod."""
    return tiny.backup("--full")[1]


def counted(run: Run) -> tuple[int, int]:
    """Bytes that were received from the pod, and taken from the earlier backup."""
    said = re.search(r"(\d+) bytes received, (\d+) taken", run.evidence("test_homes_are_copied"))
    assert said
    return int(said[1]), int(said[2])


def in_pod(tiny: Tiny) -> dict[str, str]:
    """By file: its digest, as the pod computes it."""
    lines = tiny.shell("find . -type f ! -name '*-wal' ! -name '*-shm' -print0 | xargs -0 sha256sum").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def unpacked(backup: Path, target: Path) -> dict[str, str]:
    """By file: its digest, after plain tar unpacked the home."""
    target.mkdir()
    subprocess.run(["tar", "-xpf", backup / ARCHIVE, "-C", target], check=True)
    script = "find . -type f ! -name '*-wal' ! -name '*-shm' -print0 | xargs -0 sha256sum"
    done = subprocess.run(["sh", "-c", script], cwd=target, check=True, capture_output=True, text=True)
    return {path: digest for digest, path in (line.split("  ", 1) for line in done.stdout.splitlines())}


def test_what_changed_is_received_and_the_whole_is_there(tiny: Tiny, first: Path, tmp_path: Path) -> None:
    tiny.shell(
        "head -c 100000 /dev/urandom > changed && cd d && mv renamed new-name && chmod 600 moded"
        " && touch -d 2001-02-03 touched && ln linked second-name && rm gone"
        " && head -c 50000 /dev/urandom > x && touch -r replaced x && mv x replaced"
    )
    run, second = tiny.backup()
    received, taken = counted(run)
    assert taken > SIZE
    assert received <= 2 * (100_000 + 5 * 50_000) + METADATA
    shutil.rmtree(first)
    assert tiny.verify(second).status == 0
    ours = unpacked(second, tmp_path / "home")
    assert ours == in_pod(tiny)
    listed = subprocess.run(["stat", "-c", "%a %Y %h %n", *(tmp_path / "home" / "d").iterdir()], capture_output=True)
    theirs = tiny.shell("stat -c '%a %Y %h %n' d/*").splitlines()
    assert sorted(line.rsplit("/", 1)[1] + line[:12] for line in listed.stdout.decode().splitlines()) == sorted(
        line.rsplit("/", 1)[1] + line[:12] for line in theirs
    )


def test_full_takes_nothing(tiny: Tiny, first: Path) -> None:
    received, taken = counted(tiny.backup("--full")[0])
    assert (received > SIZE, taken) == (True, 0)


@pytest.mark.parametrize("part", [ARCHIVE, f"{DEPLOYMENT}/pvc-data/contents.jsonl"], ids=["archive", "Contents"])
def test_damage_is_not_handed_on(tiny: Tiny, first: Path, tmp_path: Path, part: str) -> None:
    with (first / part).open("r+b") as file:
        file.seek((first / part).stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x80]))
    assert tiny.verify(first).status == 1
    run, second = tiny.backup()
    assert counted(run)[1] == 0 or part != ARCHIVE
    assert unpacked(second, tmp_path / "home") == in_pod(tiny)
    assert tiny.verify(second).status == 0


def test_another_claim_has_no_earlier_backup(tiny: Tiny, first: Path) -> None:
    """The claim is replaced by one of the same name with the same files: nothing is taken on its word."""
    tiny.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=0")
    tiny.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")
    tiny.kubectl("delete", "pvc", DEPLOYMENT)
    tiny.world.upgrade("openab", tiny.namespace, "0.8.1", {"agents": {"kiro": tiny.world.agent_values()}})
    tiny.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=1")
    tiny.kubectl("rollout", "status", f"deploy/{DEPLOYMENT}", "--timeout=60s")
    assert counted(tiny.backup()[0])[1] == 0
