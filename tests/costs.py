"""What each test costs: time, processor time of its processes, and how often it starts a suite.

``pytest tests --costs=DIR`` records, ``python -m tests.costs DIR`` prints the slowest tests and set-ups as tables.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

SLOWEST = 50


@dataclass(frozen=True)
class Cost:
    """What a test, or one set-up of a fixture, took.

    Attributes:
        what: the test's id, or the fixture's name and scope.
        kind: "test" or "fixture".
        wall: seconds; a fixture's contain those of the fixtures that it asks for by name at run time.
        cpu: seconds of processor time of this process and of those that it started and that ended meanwhile. What the
            node does for it is not in here.
        waited: seconds that the tests or the product slept between two looks.
        when: seconds since the epoch at its end.
    """

    what: str
    kind: str
    wall: float
    cpu: float
    waited: float
    when: float


class Costs:
    """Writes a line for each test and each set-up of a shared fixture, one file for each process."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.jsonl"
        self._slept = 0.0
        self._sleep = time.sleep
        time.sleep = self._counted_sleep

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        begin = self._now()
        result = yield
        self._write(item.nodeid, "test", begin)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        begin = self._now()
        result = yield
        if fixturedef.scope in ("session", "module"):
            self._write(f"{fixturedef.baseid}: {fixturedef.argname} ({fixturedef.scope})", "fixture", begin)
        return result

    def _counted_sleep(self, seconds: float) -> None:
        self._slept += seconds
        self._sleep(seconds)

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), _cpu(), self._slept

    def _write(self, what: str, kind: str, begin: tuple[float, float, float]) -> None:
        wall, cpu, waited = (now - then for now, then in zip(self._now(), begin, strict=True))
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(Cost(what, kind, wall, cpu, waited, time.time()))) + "\n")


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def read(directory: Path) -> list[Cost]:
    """Return what a run recorded. Raises OSError, ValueError."""
    lines = (line for file in sorted(directory.glob("*.jsonl")) for line in file.read_text().splitlines())
    return [Cost(**json.loads(line)) for line in lines]


def tables(costs: list[Cost]) -> str:
    """Return the slowest tests, every shared set-up, and sums by module, as Markdown."""
    tests = sorted((cost for cost in costs if cost.kind == "test"), key=lambda cost: -cost.wall)
    fixtures = sorted((cost for cost in costs if cost.kind == "fixture"), key=lambda cost: -cost.wall)
    modules: dict[str, list[Cost]] = defaultdict(list)
    for cost in tests:
        modules[cost.what.partition("::")[0]].append(cost)
    sums = [_sum(f"{module} ({len(own)} tests)", own) for module, own in modules.items()]
    parts = (
        ("module", sorted(sums, key=lambda cost: -cost.wall)[:SLOWEST]),
        ("set-up", [cost for cost in fixtures if cost.wall >= 0.5]),
        ("test", tests[:SLOWEST]),
    )
    return "\n\n".join(_table(title, rows) for title, rows in parts)


def _sum(what: str, costs: list[Cost]) -> Cost:
    wall, cpu, waited = (sum(values) for values in zip(*((c.wall, c.cpu, c.waited) for c in costs), strict=True))
    return Cost(what, "module", wall, cpu, waited, costs[-1].when)


def _table(title: str, rows: list[Cost]) -> str:
    lines = [f"| {title} | seconds | processor | slept |", "|---|---|---|---|"]
    lines += [f"| {cost.what} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.waited:.1f} |" for cost in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables(read(Path(sys.argv[1]))))
