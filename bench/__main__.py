"""How long a backup takes against the plain transport: ratios measured in one run, medians, as a table.

    python -m bench                    every home, three runs of each
    python -m bench --homes mixed      one of them
    python -m bench --runs 5

Machines differ and are busy; only the ratios mean something. (a) is ``kubectl exec -- tar > file``, the transport's own
limit; (b) is ``kubectl cp``, which loses links, modes and times. Ours digests on both sides and reads all of it back.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox import Sandbox
from world import World

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "bench"
AGENT = "openab-kiro"


@dataclass(frozen=True)
class Home:
    """A home to copy: its name, and the profiles of standin-home that fill it, with their files and bytes."""

    name: str
    profiles: tuple[tuple[str, int, int], ...]


HOMES = (
    Home("mixed", (("realistic", 0, 0), ("small-files", 1000, 4_000_000), ("random", 0, 200_000_000))),
    Home("many", (("small-files", 20_000, 80_000_000),)),
    Home("text", (("text", 0, 2_000_000_000),)),
)


class Bench:
    """One release on the sandbox, its home filled anew for each case."""

    def __init__(self, world: World, scratch: Path, env: dict[str, str]) -> None:
        self._world = world
        self._scratch = scratch
        self._env = env

    def fill(self, home: Home) -> None:
        """Install the release with an empty volume, and fill its home."""
        self._world.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        agent = self._world.agent_values()
        agent["env"]["OPENAB_WRITE_INTERVAL"] = "1s"
        self._world.install("openab", NAMESPACE, "0.8.1", {"agents": {"kiro": agent}})
        for profile, files, size in home.profiles:
            self._world.fill_home(NAMESPACE, AGENT, profile, files=files, size=size)

    def bare(self) -> float:
        """Seconds of the transport alone."""
        out = self._scratch / "bare.tar"
        with out.open("wb") as file:
            return self._timed(
                [*self._exec(), "tar", "--format=posix", "-cSf", "-", "-C", "/home/agent", "."], file.fileno()
            )

    def copied(self) -> float:
        """Seconds of kubectl cp."""
        target = self._scratch / "cp"
        seconds = self._timed(
            ["kubectl", "-n", NAMESPACE, "cp", "-c", "openab", f"{self._pod()}:/home/agent", str(target)]
        )
        shutil.rmtree(target)
        return seconds

    def backed_up(self, *options: str) -> float:
        """Seconds of the backup's own steps: everything between its directory's creation and its name."""
        reports = self._scratch / "reports"
        command = [sys.executable, "-m", "pytest", "suites/backup", f"--namespace={NAMESPACE}", *options]
        own = [f"--backup-root={self._scratch / 'backups'}", f"--reports={reports}", "--snapshot-above=never"]
        subprocess.run([*command, *own], cwd=ROOT, env=self._env, check=True, stdout=subprocess.DEVNULL)
        journal = max(reports.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        return sum(e["seconds"] for e in events if e["event"] == "step ends" and e["step"].startswith("backup "))

    def _exec(self) -> list[str]:
        return ["kubectl", "-n", NAMESPACE, "exec", self._pod(), "-c", "openab", "--"]

    def _pod(self) -> str:
        path = "--output=jsonpath={.items[0].metadata.name}"
        return self._world.kubectl("-n", NAMESPACE, "get", "pods", "--field-selector=status.phase=Running", path)

    def _timed(self, command: list[str], stdout: int = subprocess.DEVNULL) -> float:
        begun = time.monotonic()
        subprocess.run(command, env=self._env, stdout=stdout, stderr=subprocess.DEVNULL, check=False)
        return time.monotonic() - begun


def measure(bench: Bench, home: Home, runs: int) -> str:
    """Return a line of the table: medians of runs that alternate."""
    cases: dict[str, Callable[[], float]] = {
        "bare": bench.bare,
        "cp": bench.copied,
        "full": lambda: bench.backed_up("--full"),
        "again": bench.backed_up,
    }
    bench.fill(home)
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            taken[name].append(case())
    bare, cp, full, again = (statistics.median(taken[name]) for name in cases)
    return f"| {home.name} | {bare:.1f} s | {full / bare:.2f} | {full / cp:.2f} | {again / full:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--homes", default=",".join(home.name for home in HOMES), help="names separated by commas")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    box = Sandbox()
    world = World(box)
    world.publish(print)
    status = box.status()
    env = os.environ | {"PATH": f"{status.bin}:{os.environ['PATH']}", "KUBECONFIG": str(status.kubeconfig)}
    print("| home | (a) bare tar | backup / (a) | backup / (b) | second backup / first |\n|---|---|---|---|---|")
    with TemporaryDirectory(prefix="openab-bench-") as scratch:
        bench = Bench(world, Path(scratch), env)
        for home in HOMES:
            if home.name in arguments.homes.split(","):
                print(measure(bench, home, arguments.runs), flush=True)
    world.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
