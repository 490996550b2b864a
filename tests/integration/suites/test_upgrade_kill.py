"""kill -9 at random instants of an upgrade and its way back; the same command again ends in a verified state.

Each trial draws a step and a moment in it from a seed. More than in CI: OPENAB_KILLS=200 OPENAB_SEED=7
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import psutil
import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.sidebyside import side_by_side
from tests.integration.suites.underway import begun
from tests.integration.suites.upgrades import Upgrading, upgrading
from world import World

SEED = int(os.environ.get("OPENAB_SEED", "20260801"))
TRIALS = int(os.environ.get("OPENAB_KILLS", "30"))
RELEASES = 3
"""Releases that are tried side by side, each again and again."""
START = "0.8.1"
DEADLINE = 240

GOOD, BAD = "0.8.2", "0.9.0-migration-fails.1"
VICTIMS = ("pytest", "group", "helm")
STEPS = {
    GOOD: (
        "test_baseline_is_taken",
        "test_stable_is_applied",
        "test_stable_runs_well",
        "test_stable_is_verified",
    ),
    BAD: (
        "test_stable_is_applied",
        "test_stable_runs_well",
        "test_agents_are_stopped",
        "test_volumes_are_compared",
        "test_data_are_restored",
        "test_release_is_rolled_back",
        "test_old_version_is_judged",
        "test_old_version_is_verified",
    ),
}
"""By target: the steps in whose middle a run is killed."""
LONGEST = 3.0
"""Seconds after a step's begin at which the kill comes, at most; it may so fall into a later step."""


@dataclass(frozen=True)
class Trial:
    """What is killed, in which upgrade, in which step, and how long after its begin."""

    number: int
    target: str
    step: str
    victim: str
    delay: float


def trials() -> list[Trial]:
    """Every trial, by the seed: each step of each upgrade in turn, victims and moments by chance."""
    chance = random.Random(SEED)
    places = [(target, step) for target, steps in STEPS.items() for step in steps]
    return [
        Trial(number, *places[number % len(places)], chance.choice(VICTIMS), chance.uniform(0, LONGEST))
        for number in range(TRIALS)
    ]


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: the run that was killed, those after it, and the release before and after."""

    killed: str
    runs: list[Run]
    chart: str
    image: str
    sound: tuple[bool, bool, str, bool]
    database: tuple[str, str, int]
    before: tuple[str, str, int]


@pytest.fixture(scope="module")
def outcomes(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Future[Outcome]]]:
    """Every trial, made or being made."""
    tmp_path_factory.getbasetemp()  # made once, before threads ask for it

    def release() -> AbstractContextManager[Upgrading]:
        return upgrading(world, status, volumes, tmp_path_factory.mktemp("kill") / "run", START)

    with side_by_side(trials(), [release] * RELEASES, partial(make, world)) as futures:
        yield futures


def make(world: World, release: Upgrading, trial: Trial) -> Outcome:
    """Make a trial on a release that runs ``START``."""
    if not release.chart().startswith(f"{START} "):
        go_back = [
            "upgrade",
            "openab",
            world.package(START),
            "--namespace",
            release.namespace,
            "--reuse-values",
            "--wait",
        ]
        world.helm(go_back)  # no rollback: Helm keeps ten revisions, and there are more
    before, claim = release.database(), release.claim()
    arguments = ("suites", f"--target-version={trial.target}", "--approval=auto")
    killed = kill(release, trial, arguments)
    runs = [release.run(*arguments)]
    while runs[-1].status not in (0, 11) and len(runs) < 3:
        runs.append(release.run(*arguments))
    sound = (release.ready(), release.kept(), release.leftovers(), release.claim() == claim)
    return Outcome(killed, runs, release.chart(), release.image(), sound, release.database(), before)


def kill(release: Upgrading, trial: Trial, arguments: tuple[str, ...]) -> str:
    """Start a run and kill what the trial says, when it says; returns in words what was hit."""
    known = set(release.suites.reports.glob("*"))
    run = release.suites.begin(*release.argv(*arguments))
    try:
        deadline = time.monotonic() + DEADLINE
        while run.poll() is None and not begun(release.suites.reports, known, trial.step):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(trial.delay)
        if trial.victim == "helm":
            helms = [child for child in children(run.pid) if child.name() == "helm"]
            for helm in helms:
                helm.kill()
            run.wait(DEADLINE)
            return f"{len(helms)} helm"
        run.kill(group=trial.victim == "group")
        return trial.victim
    finally:
        run.kill()
        run.wait(DEADLINE)


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize(
    "trial", trials(), ids=lambda trial: f"{trial.number}-{trial.target}-{trial.step}-{trial.victim}"
)
def test_the_same_command_again_ends_in_a_verified_state(trial: Trial, outcomes: list[Future[Outcome]]) -> None:
    end = outcomes[trial.number].result()
    said = f"killed: {end.killed}\n" + "\n\n".join(run.output for run in end.runs)
    assert end.runs[-1].status in (0, 11), said
    runs = trial.target if end.runs[-1].status == 0 and end.chart.startswith(trial.target) else START
    assert (end.chart, end.image) == (f"{runs} deployed", runs), said
    assert end.sound == (True, True, "", True), said
    assert end.database[:2] == end.before[:2], said
    assert end.database[2] >= end.before[2], said
