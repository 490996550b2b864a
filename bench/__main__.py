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
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.memory import peaks
from sandbox import Sandbox
from world import World

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "bench"
AGENT = "openab-kiro"

_CHANGE = r"""cd /home/agent && find small text -type f -printf '%s %p\n' 2>/dev/null |
sort -k 2 | awk 'NR % 100 == 50' |
while read -r size path; do head -c "$size" /dev/urandom > "$path"; echo "$size"; done |
awk '{ sum += $1 } END { print sum }'"""
"""Give every hundredth file another content, and say how many bytes that is."""
_EMPTY = "cd /home/agent && rm -rf text small random.bin"
HEADER = """\
| home | (a) | backup / (a) | backup / (b) | whole stage / (a) | second / first | received / changed | restore / (a) \
| memory, MB |
|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Home:
    """A home to copy: its name, and the profiles of standin-home that fill it, with their files and bytes."""

    name: str
    description: str
    profiles: tuple[tuple[str, int, int], ...]
    runs: int | None = None


HOMES = (
    Home(
        "mixed",
        "1,000 small files, one of 200 MB, odd names",
        (("realistic", 0, 0), ("small-files", 1000, 4_000_000), ("random", 0, 200_000_000)),
    ),
    Home("many", "20,000 small files", (("small-files", 20_000, 80_000_000),)),
    Home("text", "2 GB of mixed text", (("text", 0, 2_000_000_000),)),
    Home("huge", "200,000 small files", (("small-files", 200_000, 800_000_000),), runs=1),
)


@dataclass(frozen=True)
class Run:
    """A run of a suite, as its journal has it: seconds and evidence by step, and the memory that it took."""

    steps: dict[str, tuple[float, str]]
    memory: dict[str, int]

    def seconds(self, *names: str) -> float:
        """Seconds of the steps whose test is named so; of every step of the suite if none is."""
        return sum(seconds for test, (seconds, _) in self.steps.items() if not names or test in names)

    @property
    def received(self) -> int:
        """Bytes that came from the pod."""
        said = re.search(r"(\d+) bytes received", self.steps["test_homes_are_copied"][1])
        return int(said[1]) if said else 0


@dataclass
class Taken:
    """What was measured of a home, a number for each run."""

    numbers: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    memory: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, name: str, number: float) -> None:
        """Take a number down."""
        self.numbers.setdefault(name, []).append(number)

    def ran(self, run: Run) -> Run:
        """Take the memory of a run down."""
        for name, size in run.memory.items():
            self.memory[name] = max(size, self.memory.get(name, 0))
        return run

    def ratio(self, name: str, other: str) -> str:
        """Return the ratio of two medians."""
        return f"{statistics.median(self.numbers[name]) / statistics.median(self.numbers[other]):.2f}"


class Bench:
    """One release on the sandbox, its home filled anew for each case."""

    def __init__(self, world: World, scratch: Path, env: dict[str, str]) -> None:
        self._world = world
        self._scratch = scratch
        self._env = env

    def fill(self, home: Home) -> None:
        """Install the release with an empty volume, and fill its home."""
        self._world.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        shutil.rmtree(self._scratch / "backups", ignore_errors=True)
        agent = self._world.agent_values()
        agent["env"]["OPENAB_WRITE_INTERVAL"] = "1s"
        agent["resources"] = {"requests": {"cpu": "1"}}  # else what runs in the pod gets what everything else leaves
        self._world.install("openab", NAMESPACE, "0.8.1", {"agents": {"kiro": agent}})
        for profile, files, size in home.profiles:
            self._world.fill_home(NAMESPACE, AGENT, profile, files=files, size=size)

    def bare(self) -> float:
        """Seconds of the transport alone."""
        tar = ("tar", "--format=posix", "-cSf", "-", "-C", "/home/agent", ".")
        with (self._scratch / "bare.tar").open("wb") as file:
            return self._timed(
                ["kubectl", "-n", NAMESPACE, "exec", self._pod(), "-c", "openab", "--", *tar], file.fileno()
            )

    def copied(self) -> float:
        """Seconds of kubectl cp."""
        target = self._scratch / "cp"
        source = f"{self._pod()}:/home/agent"
        seconds = self._timed(["kubectl", "-n", NAMESPACE, "cp", "-c", "openab", source, str(target)])
        shutil.rmtree(target)
        return seconds

    def backed_up(self, *options: str) -> Run:
        """Back up."""
        return self._run("backup", "--snapshot-above=never", *options)

    def changed(self) -> int:
        """Change one file in a hundred; returns the bytes of these files."""
        return int(self._shell(_CHANGE))

    def restored(self) -> Run:
        """Empty the home and restore the newest backup."""
        self._shell(_EMPTY)
        return self._run("restore", f"--backup={max((self._scratch / 'backups').glob('openab-backup-*'))}")

    def _run(self, suite: str, *options: str) -> Run:
        reports = self._scratch / "reports"
        command = [sys.executable, "-m", "pytest", f"suites/{suite}", f"--namespace={NAMESPACE}", *options]
        own = [f"--backup-root={self._scratch / 'backups'}", f"--reports={reports}"]
        with subprocess.Popen([*command, *own], cwd=ROOT, env=self._env, stdout=subprocess.DEVNULL) as process:
            memory = peaks(process)
        if process.returncode != 0:
            sys.exit(f"the {suite} failed: see the newest report in {reports}")
        journal = max(reports.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
        events: list[dict[str, Any]] = [json.loads(line) for line in journal.read_text().splitlines()]
        ended = [e for e in events if e["event"] == "step ends" and e["step"].startswith(f"{suite} ")]
        return Run({e["test"].rpartition(":")[2]: (e["seconds"], "\n".join(e["evidence"])) for e in ended}, memory)

    def _shell(self, script: str) -> str:
        return self._world.kubectl("-n", NAMESPACE, "exec", self._pod(), "-c", "openab", "--", "sh", "-c", script)

    def _pod(self) -> str:
        path = "--output=jsonpath={.items[0].metadata.name}"
        return self._world.kubectl("-n", NAMESPACE, "get", "pods", "--field-selector=status.phase=Running", path)

    def _timed(self, command: list[str], stdout: int = subprocess.DEVNULL) -> float:
        begun = time.monotonic()
        subprocess.run(command, env=self._env, stdout=stdout, stderr=subprocess.DEVNULL, check=False)
        return time.monotonic() - begun


def measure(bench: Bench, home: Home, runs: int) -> Taken:
    """Return what runs that alternate took."""
    bench.fill(home)
    taken = Taken()

    def full() -> None:
        run = taken.ran(bench.backed_up("--full"))
        taken.note("full", run.seconds("test_homes_are_copied", "test_verification_gate"))
        taken.note("stage", run.seconds())

    def again() -> None:
        taken.note("changed", bench.changed())
        run = taken.ran(bench.backed_up())
        taken.note("again", run.seconds("test_homes_are_copied", "test_verification_gate"))
        taken.note("received", run.received)

    def restore() -> None:
        run = taken.ran(bench.restored())
        taken.note("restore", run.seconds("test_volumes_are_restored", "test_volumes_are_proved"))

    cases: tuple[Callable[[], None], ...] = (
        lambda: taken.note("bare", bench.bare()),
        full,
        lambda: taken.note("cp", bench.copied()),
        again,
        restore,
    )
    for _ in range(home.runs or runs):
        for case in cases:
            case()
    return taken


def line(home: Home, taken: Taken) -> str:
    """Return a home's line of the table."""
    memory = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in sorted(taken.memory.items()))
    ratios = [("full", "bare"), ("full", "cp"), ("stage", "bare"), ("again", "full"), ("received", "changed")]
    cells = [taken.ratio(*names) for names in (*ratios, ("restore", "bare"))]
    bare = f"{statistics.median(taken.numbers['bare']):.1f} s"
    return f"| {home.description} | {' | '.join([bare, *cells, memory])} |"


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
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, load before {os.getloadavg()[0]:.0f}"
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {machine}\n")
    print(HEADER, flush=True)
    with TemporaryDirectory(prefix="openab-bench-") as scratch:
        bench = Bench(world, Path(scratch), env)
        for home in HOMES:
            if home.name in arguments.homes.split(","):
                print(line(home, measure(bench, home, arguments.runs)), flush=True)
    world.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
