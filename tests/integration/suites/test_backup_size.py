"""A large home: memory does not grow with it."""

from __future__ import annotations

import subprocess
import time

from bench.memory import peaks
from tests.integration.conftest import ROOT, Suites
from tests.integration.suites.conftest import QUIET
from world import World

SIZE = 2 << 30
"""Bytes of the home, in one file that neither compresses nor has holes."""
LIMIT = 150_000_000
"""Bytes of memory that no process of the run may reach."""


def test_memory_stays_small(suites: Suites, world: World, namespace: str) -> None:
    """pytest, and each kubectl and helm that it starts, stay below 150 MB while 2 GB pass."""
    world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {**world.agent_values(), "env": QUIET}}})
    world.fill_home(namespace, "openab-kiro", "random", size=SIZE)
    begun = time.monotonic()
    argv = suites.argv("suites/backup", f"--namespace={namespace}")
    with subprocess.Popen(argv, cwd=ROOT, env=dict(suites.env), stdout=subprocess.DEVNULL) as process:
        most = peaks(process)
    seconds = time.monotonic() - begun
    told = ", ".join(f"{name} {peak / 1e6:.0f} MB" for name, peak in sorted(most.items()))
    print(f"\n{SIZE >> 20} MiB in {seconds:.0f} s; most memory: {told}")
    assert process.returncode == 0
    assert suites.backups()[-1].joinpath("openab-kiro/pvc-data/home.tar").stat().st_size > SIZE
    assert {"pytest", "kubectl"} <= set(most)
    assert max(most.values()) < LIMIT
