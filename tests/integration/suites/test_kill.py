"""A run that dies, is interrupted or is not alone: no half-made backup, and nothing left in the pod."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.underway import DEADLINE, copying, ended, half_copied, started, until
from world import World

AGENT = "openab-kiro"


@dataclass(frozen=True)
class Running:
    """A release whose home takes a while to copy, and what its pod looks like while nobody meddles with it."""

    world: World
    namespace: str

    def inside(self, *command: str) -> list[str]:
        """The lines that a command prints in the agent's container."""
        where = ("--namespace", self.namespace, "exec", f"deploy/{AGENT}", "--container=openab", "--")
        return self.world.kubectl(*where, *command).splitlines()

    def names(self) -> set[str]:
        """Every name where somebody could have left a file."""
        return set(self.inside("find", "/tmp", "/var/tmp", "/dev/shm", "/run", "/home/agent"))

    def strangers(self) -> list[str]:
        """Command lines of processes that are not the agent's."""
        return [line for line in self.inside("ps", "-eo", "args=") if "openab run" not in line and "ps -eo" not in line]


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Running]:
    """A release of this module's own."""
    with new_namespace(world) as name:
        world.install("openab", name, "0.8.1", {"agents": {"kiro": world.agent_values()}})
        world.fill_home(name, AGENT, "random", size=120_000_000, files=3)
        yield Running(world, name)


@pytest.fixture
def clean(running: Running) -> Iterator[None]:
    """Nothing of ours stays in the pod: no process for long, and no file."""
    before = running.names()
    yield
    deadline = time.monotonic() + DEADLINE
    while left := running.strangers():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert running.names() == before


@contextmanager
def held(suites: Suites) -> Generator[None]:
    """Keep every run on the backup root from giving a backup its name."""
    root = os.open(suites.backup_root, os.O_RDONLY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)


def drafted(suites: Suites) -> bool:
    """Tell whether the draft has been created."""
    return any(suites.backup_root.glob(".openab-backup-*"))


def begun(suites: Suites, step: str) -> bool:
    """Tell whether a step has begun, by its test's name."""
    return any(step in path.read_text() for path in suites.reports.glob("*/journal.jsonl"))


INSTANTS: dict[str, Callable[[Suites], bool]] = {
    "before the copy": drafted,
    "in the copy": lambda suites: half_copied(suites.backup_root),
    "in the gate": lambda suites: begun(suites, "test_verification_gate"),
    "before the name": lambda suites: begun(suites, "test_backup_is_complete"),
}


def assert_unfinished(run: Run) -> None:
    """Check that report, junit.xml and journal are there and say that the run did not finish."""
    assert "<td>verdict</td><td>not finished" in run.html
    properties = ElementTree.parse(run.report / "junit.xml").iter("property")
    assert next(p.attrib["value"] for p in properties if p.attrib["name"] == "verdict").startswith("not finished")
    assert "run ends" not in [event["event"] for event in run.journal]


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("instant", INSTANTS.values(), ids=INSTANTS)
def test_a_killed_run_leaves_no_backup_and_the_next_one_clears_up(
    suites: Suites, running: Running, instant: Callable[[Suites], bool]
) -> None:
    with ExitStack() as stack:
        process = stack.enter_context(started(suites, running.namespace))
        until(process, lambda: drafted(suites))
        stack.enter_context(held(suites))
        until(process, lambda: instant(suites))
        process.send_signal(signal.SIGKILL)
        run = ended(suites, process)
    assert run.status == -signal.SIGKILL
    assert suites.backups() == []
    (left,) = suites.backup_root.glob(".openab-backup-*")
    assert_unfinished(run)
    if instant is INSTANTS["before the name"]:
        again = suites.run("suites/backup", f"--namespace={running.namespace}")
        assert again.status == 0, again.output
        assert len(suites.backups()) == 1
        assert not left.exists()
        assert not drafted(suites)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_removes_what_it_made(suites: Suites, running: Running, number: signal.Signals) -> None:
    with copying(suites, running.namespace) as process:
        process.send_signal(number)
        run = ended(suites, process)
    assert run.status == 2, run.output
    assert suites.backups() == []
    assert not drafted(suites)
    assert run.verdicts()["test_homes_are_copied"] == "failed"
    assert run.verdicts()["test_verification_gate"] == "not run"
    assert "<td>verdict</td><td>failed at backup 2.7" in run.html


def test_a_run_under_nohup_goes_on_when_its_terminal_closes(suites: Suites, running: Running) -> None:
    """A signal that is ignored when it begins stays ignored."""
    had = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child has what its parent ignores, as nohup has it
    try:
        with copying(suites, running.namespace) as process:
            process.send_signal(signal.SIGHUP)
            run = ended(suites, process)
    finally:
        signal.signal(signal.SIGHUP, had)
    assert run.status == 0, run.output


def test_two_runs_at_once_on_one_release_and_root(suites: Suites, running: Running) -> None:
    with started(suites, running.namespace) as one, started(suites, running.namespace) as other:
        statuses = [process.communicate(timeout=2 * DEADLINE) and process.returncode for process in (one, other)]
    assert statuses == [0, 0]
    assert len(suites.backups()) == 2
    assert not drafted(suites)
    for backup in suites.backups():
        listed = subprocess.run(["tar", "-tf", backup / AGENT / "pvc-data/home.tar"], capture_output=True, check=True)
        assert listed.stdout
