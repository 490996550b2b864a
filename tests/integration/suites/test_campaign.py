"""Whatever breaks, in whatever run: an agent that is verified runs at the end, or the data that are not are named.

Each trial draws a stage, what breaks, and the request at which it does, from a seed; the run goes over a line with
switches (``tests/line.py``). More than in CI: OPENAB_BREAKS=300 OPENAB_SEED=7 OPENAB_LONGEST=30
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pytest

from sandbox import SandboxError, Status
from tests.integration.conftest import Run
from tests.integration.suites.callers import kubeconfig
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.sidebyside import side_by_side
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from tests.line import Line, Request, line
from world import World

SEED = int(os.environ.get("OPENAB_SEED", "20261127"))
TRIALS = int(os.environ.get("OPENAB_BREAKS", "30"))
LONGEST = float(os.environ.get("OPENAB_LONGEST", "4"))
"""Seconds that the line is away, at most."""
RELEASES = 3
START, GOOD, BAD = "0.8.1", "0.8.2", "0.9.0-migration-fails.1"

REQUESTS = {
    "backup": 70,
    "restore": 90,
    "upgrade": 330,
    "failing": 420,
    "rollback": 150,
    "reinstall": 180,
    "rebuild": 120,
}
"""By stage: about how many requests its run makes."""
FAULTS = ("cut", "cut", "busy", "error", "forbidden", "freeze", "another")
VERBS = ("GET", "PATCH", "POST", "DELETE")
FORWARD = ("restore", "reinstall", "rebuild")
"""Stages that end in one way: the backup is back."""
ABSENT = {"reinstall": (15,), "rebuild": (1, 15)}
"""By stage: the statuses that it ends with while the release is not installed, or not yet."""
HITS = 4
"""Requests that get the status in place of an answer."""
ANOTHER: dict[str, tuple[str, ...]] = {
    "deletes the helpers": ("delete", "pods", "--selector=app.kubernetes.io/managed-by=openab-sop", "--wait=false"),
    "deletes the agent's pods": ("delete", "pods", "--selector=app.kubernetes.io/component=kiro", "--wait=false"),
    "deletes the lock": ("delete", "leases", "--all"),
    "edits the claim": ("annotate", "pvc", AGENT, "somebody=was-here", "--overwrite"),
    "edits the Deployment": ("annotate", "deploy", AGENT, "somebody=was-here", "--overwrite"),
    "starts the agent": ("scale", "deploy", AGENT, "--replicas=1"),
}


@dataclass(frozen=True)
class Trial:
    """What breaks in which run: at which request, for how long, at which verb; or what another does."""

    number: int
    stage: str
    fault: str
    request: int
    seconds: float
    verb: str
    another: str

    def __str__(self) -> str:
        how = {"another": self.another, "cut": f"{self.seconds:.1f} s", "freeze": f"{self.seconds:.1f} s"}
        return f"{self.number}-{self.stage}-{self.fault} {how.get(self.fault, self.verb)} at {self.request}"


def trials() -> list[Trial]:
    """Every trial, by the seed: the stages in turn, all else by chance."""
    chance, stages = random.Random(SEED), list(REQUESTS)
    return [
        Trial(
            number,
            stage := stages[number % len(stages)],
            chance.choice(FAULTS),
            int(chance.uniform(0.1, 0.95) * REQUESTS[stage]),
            chance.uniform(0.5, LONGEST),
            chance.choice(VERBS),
            chance.choice(list(ANOTHER)),
        )
        for number in range(TRIALS)
    ]


@dataclass(frozen=True)
class Ground:
    """A release, and a line to it."""

    release: Upgrading
    line: Line


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: whether the fault was met, the run, how the release was then, and how it ended."""

    met: bool
    run: Run
    ran: bool
    again: list[Run]
    chart: str
    sound: tuple[bool, bool, str, bool]
    integrity: str


class Breaker:
    """Breaks the line as a trial says."""

    def __init__(self, trial: Trial, ground: Ground) -> None:
        self.met = False
        self._trial, self._ground = trial, ground
        self._left = HITS
        self._seen = 0

    def __call__(self, request: Request) -> int | None:
        trial = self._trial
        self._seen += 1
        if self._seen < trial.request:
            return None
        first, self.met = not self.met, True
        if trial.fault in ("busy", "error", "forbidden"):
            if self._left and request.method == trial.verb and not request.is_stream:
                self._left -= 1
                return {"busy": 429, "error": 500, "forbidden": 403}[trial.fault]
            return None
        if first:
            threading.Thread(target=self._break, daemon=True).start()
        return None

    def _break(self) -> None:
        trial, line = self._trial, self._ground.line
        if trial.fault == "cut":
            line.cut(trial.seconds)
        elif trial.fault == "freeze":
            line.freeze()
            time.sleep(trial.seconds)
            line.freeze(False)
        else:
            with suppress(SandboxError):
                self._ground.release.kubectl(*ANOTHER[trial.another])


@pytest.fixture(scope="module")
def outcomes(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Future[Outcome]]]:
    """Every trial, made or being made."""
    tmp_path_factory.getbasetemp()  # made once, before threads ask for it

    @contextmanager
    def ground() -> Generator[Ground]:
        directory = tmp_path_factory.mktemp("campaign")
        with (
            upgrading(world, status, volumes, directory / "run", START) as release,
            line(kubeconfig(status), directory / "line") as found,
        ):
            yield Ground(release, found)

    with side_by_side(trials(), [ground] * RELEASES, partial(make, world)) as futures:
        yield futures


def make(world: World, ground: Ground, trial: Trial) -> Outcome:
    """Make a trial on a release that runs ``START`` and has a backup."""
    release = ground.release
    if not release.chart().startswith(f"{START} "):
        back = ("upgrade", "openab", str(world.package(START)), "--reuse-values", "--wait", "--force-conflicts")
        world.helm([*back, "--namespace", release.namespace])
    assert release.run("suites/backup").status == 0
    claim, over = release.claim(), {"KUBECONFIG": str(ground.line.kubeconfig)}
    command = commands(release, trial.stage)
    breaker = Breaker(trial, ground)
    ground.line.judge = breaker
    run = release.run(*command, env=over)
    ground.line.judge = lambda request: None
    ground.line.cut(0)
    replicas = release.kubectl("get", "deploy", AGENT, "--ignore-not-found", "--output=jsonpath={.spec.replicas}")
    left = trial.stage == "failing" and run.status == 15  # the way back was refused, and the version fails on
    ran = runs(release) or (left and replicas == "1")
    again: list[Run] = []
    done = (0,) if trial.stage in FORWARD else (0, 11)
    while trial.stage != "backup" and (again or [run])[-1].status not in done and len(again) < 3:
        told = (again or [run])[-1].output  # where the lock was deleted, another command is told
        other = (
            ("suites/rollback",) if "do again what it did, which ends it: pytest suites/rollback" in told else command
        )
        again.append(release.run(*other))
    left = release.leftovers()
    if trial.fault == "forbidden" and not release.holder():  # who may not delete the lock gives it back
        left = left.replace("lease.coordination.k8s.io/openab-sop-openab\n", "")
    sound = (runs(release), release.kept(), left, trial.stage == "rebuild" or release.claim() == claim)
    return Outcome(breaker.met, run, ran, again, release.chart(), sound, release.database()[0])


def commands(release: Upgrading, stage: str) -> tuple[str, ...]:
    """The command line of a stage; what it needs is brought about."""
    match stage:
        case "backup":
            return ("suites/backup", "--full")
        case "restore":
            backup = release.suites.backups()[-1]
            release.shell("rm -rf .kiro/steering; echo new > newer")
            return ("suites/restore", f"--backup={backup}")
        case "reinstall":
            return ("suites/reinstall", f"--backup={release.suites.backups()[-1]}")
        case "rebuild":
            release.world.kubectl("delete", "namespace", release.namespace, "--timeout=120s")
            return ("suites/rebuild", f"--backup={release.suites.backups()[-1]}")
        case "rollback":
            assert release.run("suites", f"--target-version={GOOD}", "--approval=auto").status == 0
            return ("suites/rollback",)
        case _:
            return ("suites", f"--target-version={GOOD if stage == 'upgrade' else BAD}", "--approval=auto")


def runs(release: Upgrading) -> bool:
    """Whether the agent runs, or comes to within a minute."""
    with suppress(SandboxError):
        release.kubectl("rollout", "status", f"deploy/{AGENT}", "--timeout=60s")
        return release.ready()
    return False


@pytest.mark.parametrize("trial", trials(), ids=str)
def test_an_agent_that_is_verified_runs_at_the_end(trial: Trial, outcomes: list[Future[Outcome]]) -> None:
    end = outcomes[trial.number].result()
    said = f"met: {end.met}\n" + "\n\n".join(run.output for run in (end.run, *end.again))
    assert "this is a defect" not in said
    if end.run.status == 13:
        assert "neither as" in end.run.output or "half written" in end.run.output, said
    elif end.run.status not in ABSENT.get(trial.stage, ()):
        assert end.ran, said
    if trial.stage != "backup":
        done = (0,) if trial.stage in FORWARD else (0, 11)
        assert (end.again or [end.run])[-1].status in done, said
    version = GOOD if trial.stage == "upgrade" and end.chart.startswith(GOOD) else START
    assert end.chart == f"{version} deployed", said
    assert end.sound == (True, True, "", True), said
    assert end.integrity == "ok", said
