"""What a rehearsal costs and what it saves: its time, and the outage of an upgrade whose pre-release ran on a copy.

    python -m bench.rehearsal          three runs of each, in turn

Time: a rehearsal against a backup and a restore of the same home. Outage: an upgrade by way of a pre-release, live and
rehearsed, against a plain ``helm upgrade``, all watched from outside the release.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from bench.upgrade import Bench, Cost, bench_of, median

BEFORE, AFTER = "0.8.0", "0.8.1"
"""The second has a pre-release."""


def seconds(work: Callable[[], None]) -> float:
    """Return how long something takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def round_trip(bench: Bench) -> float:
    """Return the seconds of a backup of the home, and of its restore after it was emptied."""
    backup = seconds(lambda: bench.suite("suites/backup", "--full"))
    bench.empty()
    return backup + seconds(bench.restore)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rehearsal")
    parser.add_argument("--runs", type=int, default=3)
    runs: int = parser.parse_args().runs
    upgrades: dict[str, list[Cost]] = {"live": [], "rehearsed": [], "helm": []}
    times: dict[str, list[float]] = {"rehearsal": [], "round trip": []}
    with bench_of(BEFORE, AFTER) as bench:
        for _ in range(runs):
            times["round trip"].append(round_trip(bench))
            times["rehearsal"].append(seconds(lambda: bench.suite("suites/rehearsal")))
            for name, upgrade in (
                ("live", lambda: bench.ours("--prerelease=live")),
                ("rehearsed", lambda: bench.ours("--prerelease=rehearse")),
                ("helm", bench.helm_only),
            ):
                upgrades[name].append(upgrade())
                bench.back()
    helm = median(upgrades["helm"], "outage")
    live, rehearsed = (median(upgrades[name], "outage") for name in ("live", "rehearsed"))
    rehearsal, both = (statistics.median(times[name]) for name in ("rehearsal", "round trip"))
    print("| rehearsal / (backup + restore) | outage, pre-release live / helm | rehearsed / helm |\n|---|---|---|")
    print(
        f"| {rehearsal / both:.2f} ({rehearsal:.1f} s) "
        f"| {live / helm:.2f} ({live:.1f} s) | {rehearsed / helm:.2f} ({rehearsed:.1f} s) |"
    )


if __name__ == "__main__":
    main()
