"""What a failed node test leaves: pods, events, logs and the journals of its suites, in one directory of its own."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "build" / "failures"
"""Where the directories are; git ignores it."""
TAIL = 2000
"""Lines kept of each container's log."""
RECENT = 600.0
"""Seconds: reports that were written to within them are kept. Some tests share what earlier ones have run."""

Kubectl = Callable[..., str]

_namespaces: dict[str, Kubectl] = {}
_reports: list[Path] = []


@contextmanager
def watched(namespace: str, kubectl: Kubectl) -> Generator[None]:
    """Include a namespace in the evidence of whatever fails while it is there."""
    _namespaces[namespace] = kubectl
    try:
        yield
    finally:
        del _namespaces[namespace]


def keep_reports(directory: Path) -> None:
    """Include what suites report in a directory in the evidence of whatever fails soon after."""
    _reports.append(directory)


def collect(test: str, output: str) -> Path:
    """Write down what there is now, and return the directory.

    Args:
        test: the failed test's id.
        output: how it failed.
    """
    name = f"{datetime.now(UTC):%H%M%S}-{re.sub(r'[^A-Za-z0-9.-]+', '_', test.rpartition('/')[2])[:120]}"
    directory = ROOT / name
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "failure.txt", output)
    for namespace, kubectl in list(_namespaces.items()):
        _look(directory / namespace, partial(kubectl, "--namespace", namespace))
    for report in (report for reports in _reports for report in reports.glob("*")):
        kept = directory / report.parents[1].name / report.name
        try:
            if report.is_dir() and time.time() - report.stat().st_mtime < RECENT:
                shutil.copytree(report, kept, symlinks=True, dirs_exist_ok=True)
        except OSError as error:  # a run that still writes; an error out of here would end pytest, not this test
            kept.with_name(f"{kept.name}.txt").write_text(f"not kept in full: {error}\n")
    return directory


def _look(directory: Path, kubectl: Kubectl) -> None:
    directory.mkdir(exist_ok=True)
    questions = {
        "objects.txt": ("get", "all,pvc,configmaps,leases,jobs,networkpolicies", "--output=wide"),
        "objects.yaml": ("get", "deployments,replicasets,pods,pvc,leases,jobs", "--output=yaml"),
        "events.txt": ("get", "events", "--sort-by=.lastTimestamp"),
        "pods.txt": ("describe", "pods"),
    }
    for name, question in questions.items():
        _write(directory / name, _ask(kubectl, *question))
    for pod in _ask(kubectl, "get", "pods", "--output=name").split():
        for previous in ("false", "true"):
            words = ("logs", pod, "--all-containers", "--prefix", f"--tail={TAIL}", f"--previous={previous}")
            suffix = "previous.log" if previous == "true" else "log"
            _write(directory / f"{pod.rpartition('/')[2]}.{suffix}", _ask(kubectl, *words))


def _ask(kubectl: Kubectl, *words: str) -> str:
    """Return the answer, or why there is none: that is evidence too."""
    try:
        return kubectl(*words)
    except Exception as error:  # noqa: BLE001  (whatever is broken here must not hide the test's own failure)
        return f"{type(error).__name__}: {error}"


def _write(file: Path, text: str) -> None:
    file.write_text(text, errors="backslashreplace")  # names that are no UTF-8 come as surrogates
