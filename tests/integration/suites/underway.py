"""A backup while it is under way: what a test needs to meddle with it at a known moment."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from tests import warm
from tests.integration.conftest import ROOT, Run, Suites

DEADLINE = 120
"""Seconds that anything here may take."""


@contextmanager
def started(suites: Suites, namespace: str) -> Generator[subprocess.Popen[str]]:
    """Start a backup; it is killed if the block leaves it running."""
    process = subprocess.Popen(
        suites.argv("suites/backup", f"--namespace={namespace}"),
        cwd=ROOT,
        env=dict(suites.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def copying(suites: Suites, namespace: str) -> Generator[subprocess.Popen[str]]:
    """Start a backup and give it over in the middle of the copy of a home."""
    with started(suites, namespace) as process:
        until(process, lambda: half_copied(suites.backup_root))
        yield process


def until(process: subprocess.Popen[str] | warm.Process, reached: Callable[[], bool]) -> None:
    """Wait for a moment in a run; it must not end before."""
    deadline = time.monotonic() + DEADLINE
    while not reached():
        assert process.poll() is None, process.communicate() if isinstance(process, subprocess.Popen) else "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def half_copied(root: Path) -> bool:
    """Tell whether more than 1 MiB of a home has arrived."""
    return any(path.stat().st_size > 1 << 20 for path in root.glob(".openab-backup-*/*/pvc-data/home.tar"))


def begun(reports: Path, known: set[Path], step: str) -> bool:
    """Whether a new report's journal says that a step has begun."""
    for journal in set(reports.glob("*/journal.jsonl")) - {report / "journal.jsonl" for report in known}:
        for line in journal.read_text().rpartition("\n")[0].splitlines():  # the last one may not be whole yet
            if f'::{step}"' in line and json.loads(line)["event"] == "step begins":
                return True
    return False


def ended(suites: Suites, process: subprocess.Popen[str]) -> Run:
    """Wait for the end of a run."""
    output, _ = process.communicate(timeout=DEADLINE)
    return Run(process.returncode, output, max(suites.reports.glob("*")))


def children(pid: int) -> list[tuple[int, str]]:
    """Process ids and command lines of a process' children."""
    found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [(child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")) for child in found]
