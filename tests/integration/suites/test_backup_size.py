"""A large home: memory does not grow with it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.integration.conftest import ROOT, Suites
from tests.integration.suites.conftest import QUIET
from world import World

SIZE = 2 << 30
"""Bytes of the home, in one file that neither compresses nor has holes."""
LIMIT = 200 << 20
"""Bytes of memory that no process of the run may reach."""


def test_memory_stays_small(suites: Suites, world: World, namespace: str) -> None:
    """pytest, and each kubectl and helm that it starts, stay below 200 MB while 2 GB pass."""
    world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {**world.agent_values(), "env": QUIET}}})
    world.fill_home(namespace, "openab-kiro", "random", size=SIZE)
    begun = time.monotonic()
    argv = suites.argv("suites/backup", f"--namespace={namespace}")
    with subprocess.Popen(argv, cwd=ROOT, env=dict(suites.env), stdout=subprocess.DEVNULL) as process:
        peaks = {name: peak for name, peak in sampled(process)}
    seconds = time.monotonic() - begun
    told = ", ".join(f"{name} {peak / 1e6:.0f} MB" for name, peak in sorted(peaks.items()))
    print(f"\n{SIZE >> 20} MiB in {seconds:.0f} s; most memory: {told}")
    assert process.returncode == 0
    assert suites.backups()[-1].joinpath("openab-kiro/pvc-data/home.tar").stat().st_size > SIZE
    assert {"pytest", "kubectl"} <= set(peaks)
    assert max(peaks.values()) < LIMIT


def sampled(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, int]]:
    """Names of processes with the most memory that each has held so far; ever larger ones."""
    most: dict[str, int] = {}
    while process.poll() is None:
        for name, pid in [("pytest", process.pid), *children(process.pid)]:
            with suppress(FileNotFoundError, ProcessLookupError):
                held = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                peak = int(held[1]) << 10 if held else 0  # a process that has just ended holds nothing
                if peak > most.get(name, 0):
                    most[name] = peak
                    yield name, peak
        time.sleep(0.05)


def children(pid: int) -> list[tuple[str, int]]:
    """Names and ids of the processes that a process has started, and they in turn."""
    found: list[tuple[str, int]] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found.append((Path(f"/proc/{child}/comm").read_text().strip(), int(child)))
                found += children(int(child))
    return found
