"""Cleanup lists, deletes what is named, and never the newest good backup of a release."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites
from tests.integration.suites.tiny import ARCHIVE, VERSION, tiny_release
from world import World

NO_CLUSTER = {"KUBECONFIG": "/nonexistent"}
NAMES = ("openab-backup-20260101-000000", "openab-backup-20260102-000000", "openab-backup-20260103-000000")
FOREIGN = "openab-backup-20260104-000000"


@pytest.fixture(scope="module")
def original(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real backup to make others of."""
    with tiny_release(world, status, tmp_path_factory.mktemp("cleanup")) as tiny:
        yield tiny.backup()[1]


@pytest.fixture
def stocked(suites: Suites, original: Path) -> Suites:
    """Three backups of one release, the newest of them damaged, and one of another release."""
    suites.backup_root.mkdir()
    for name in (*NAMES, FOREIGN):
        subprocess.run(["cp", "-a", original, suites.backup_root / name], check=True)
        path = suites.backup_root / name / "backup.json"
        release = "another" if name == FOREIGN else "openab"
        path.write_text(json.dumps({**json.loads(path.read_text()), "name": name, "release": release}))
    with (suites.backup_root / NAMES[2] / ARCHIVE).open("r+b") as file:
        file.truncate(10_000)
    return suites


def cleanup(suites: Suites, *arguments: str) -> Run:
    return suites.run("suites/cleanup", *arguments, env=NO_CLUSTER)


def names(suites: Suites) -> list[str]:
    return [path.name for path in suites.backups()]


def test_the_list(stocked: Suites) -> None:
    run = cleanup(stocked)
    assert run.status == 0, run.output
    lines = [line for line in run.evidence("test_backups_are_listed").splitlines() if "openab-backup-" in line]
    states = ["safe to delete", "the newest good one", "damaged: ", "the newest good one"]
    for line, name, state in zip(lines, (*NAMES, FOREIGN), states, strict=True):
        assert name in line
        assert state in line
        assert "unknown" not in line
        assert f"  {VERSION}  " in line
        assert " MiB  " in line
    assert "total: 4 backups" in run.output
    assert names(stocked) == [*NAMES, FOREIGN]


def test_only_what_is_named_goes(stocked: Suites) -> None:
    run = cleanup(stocked, f"--delete={NAMES[0]}", f"--delete={NAMES[2]}")
    assert run.status == 0, run.output
    assert names(stocked) == [NAMES[1], FOREIGN]


def test_a_retention_is_shown_first_and_acts_when_it_is_confirmed(stocked: Suites) -> None:
    """The newest good one of each release stays, and one that is damaged neither counts nor goes."""
    shown = cleanup(stocked, "--keep-last=1")
    assert shown.status == 0, shown.output
    assert f"nothing; --yes would delete {NAMES[0]}" in shown.output
    assert names(stocked) == [*NAMES, FOREIGN]
    done = cleanup(stocked, "--keep-last=1", "--keep-monthly=1", "--yes")
    assert done.status == 0, done.output
    assert names(stocked) == [*NAMES[1:], FOREIGN]
    again = cleanup(stocked, "--keep-last=1", "--yes")
    assert "each backup is kept (last 1)" in again.html


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "99999999"])
def test_a_retention_that_is_no_number_of_backups_is_refused(stocked: Suites, count: str) -> None:
    run = cleanup(stocked, f"--keep-daily={count}", "--yes")
    assert run.status == 4, run.output
    assert names(stocked) == [*NAMES, FOREIGN]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((NAMES[0], NAMES[1]), "it stays"),
        ((NAMES[0], FOREIGN), "it stays"),
        ((NAMES[0], "nothing"), "there is no backup nothing"),
        ((NAMES[0], NAMES[0]), "is named 2 times"),
        ((f"../backups/{NAMES[0]}",), "there is no backup ../backups"),
        (("/etc",), "there is no backup /etc"),
    ],
    ids=["newest good", "newest of another", "unknown", "twice", "path", "absolute"],
)
def test_what_may_not_go(stocked: Suites, given: tuple[str, ...], told: str) -> None:
    run = cleanup(stocked, f"--delete={','.join(given)}")
    assert run.status == 1, run.output
    assert told in run.output
    assert "Traceback" not in run.output
    assert names(stocked) == [*NAMES, FOREIGN]


def test_leftovers_go(stocked: Suites) -> None:
    """What a run that was killed while it deleted has left is taken for no backup, and the next cleanup removes it."""
    left = stocked.backup_root / f".{NAMES[0]}.partial"
    (stocked.backup_root / NAMES[0]).rename(left)
    run = cleanup(stocked)
    assert run.status == 0, run.output
    assert left.name in run.evidence("test_leftovers_are_removed")
    assert not left.exists()
    assert names(stocked) == [*NAMES[1:], FOREIGN]
