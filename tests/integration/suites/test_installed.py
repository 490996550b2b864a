"""The wheel against the real node: a backup by ``openab-sop`` from an empty directory, and what it tells to type."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.suites.tiny import Tiny, tiny_release
from tests.wheel import Installed, install
from world import World


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def tiny(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with tiny_release(world, status, tmp_path_factory.mktemp("installed")) as tiny:
        tiny.shell("echo kept > file")
        yield tiny


def run(words: list[str | Path], tiny: Tiny, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=directory,
        env=tiny.suites.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def test_a_backup_by_the_command_is_one_and_leaves_its_report_here(
    installed: Installed, tiny: Tiny, tmp_path: Path
) -> None:
    where = [f"--namespace={tiny.namespace}", f"--backup-root={tiny.suites.backup_root}"]
    before = installed.files()
    made = run([installed.command, "backup", *where], tiny, tmp_path)
    assert made.returncode == 0, made.stdout
    (backup,) = tiny.suites.backups()
    advice = next(line for line in made.stdout.splitlines() if line.startswith("next: "))
    assert f"openab-sop restore --backup={backup}" in advice
    assert "pytest suites" not in advice
    (report,) = (tmp_path / "reports").iterdir()
    assert sorted(path.name for path in report.iterdir()) == ["journal.jsonl", "junit.xml", "report.html"]
    proved = run([installed.command, "backup", "--verify", f"--backup={backup}"], tiny, tmp_path)
    assert proved.returncode == 0, proved.stdout
    assert installed.files() == before
    assert tiny.verify(backup).status == 0, "the checkout takes it for a good one too"


def test_the_command_that_is_printed_does_the_same(installed: Installed, tiny: Tiny, tmp_path: Path) -> None:
    where = [f"--namespace={tiny.namespace}", f"--backup-root={tiny.suites.backup_root}"]
    shown = run([installed.command, "readiness", *where], tiny, tmp_path).stdout.splitlines()[0]
    again = run([*shlex.split(shown)], tiny, tmp_path)
    assert again.returncode == 0, again.stdout
    assert len(list((tmp_path / "reports").iterdir())) == 2
