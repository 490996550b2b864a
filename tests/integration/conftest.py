"""The real node and the world on it, and a way to run a suite as an operator does: as a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox import Sandbox, Status
from tests import warm
from tests.integration import evidence
from world import World

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A suite's run: its exit status, what it printed, and what it left."""

    status: int
    output: str
    report: Path

    @property
    def html(self) -> str:
        """The report's page."""
        return (self.report / "report.html").read_text()

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The journal's events."""
        return [json.loads(line) for line in (self.report / "journal.jsonl").read_text().splitlines()]

    def verdicts(self) -> dict[str, str]:
        """By test name: the verdict of its step."""
        return {e["test"].split("::")[1]: e["verdict"] for e in self.journal if e["event"] == "step ends"}

    def evidence(self, test: str) -> str:
        """What a step recorded, by its test's name."""
        ended = (e for e in self.journal if e["event"] == "step ends" and e["test"].endswith(f"::{test}"))
        return "\n".join(next(ended)["evidence"])


@dataclass(frozen=True)
class Suites:
    """Runs suites against the sandbox, with a backup root and a reports directory of their own."""

    backup_root: Path
    reports: Path
    env: Mapping[str, str]

    @classmethod
    def at(cls, directory: Path, status: Status) -> Suites:
        """Suites that leave everything below `directory`; the sandbox is to them a kubeconfig like any other."""
        (directory / "reports").mkdir()
        evidence.keep_reports(directory / "reports")
        env = warm.environment("OPENAB_", "PYTEST_")
        env |= {"PATH": f"{status.bin}{os.pathsep}{env['PATH']}", "KUBECONFIG": str(status.kubeconfig)}
        return cls(directory / "backups", directory / "reports", env)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a run."""
        return [sys.executable, "-m", "pytest", *self.words(*arguments)]

    def words(self, *arguments: str) -> list[str]:
        """What pytest gets."""
        return [*arguments, f"--backup-root={self.backup_root}", f"--reports={self.reports}", "-p", "no:cacheprovider"]

    def run(self, *arguments: str, timeout: float = 300, env: Mapping[str, str] | None = None) -> Run:
        """Run to the end; ``env`` goes on top of the sandbox's."""
        before = set(self.reports.glob("*"))
        done = warm.run(self.words(*arguments), ROOT, {**self.env, **(env or {})}, timeout)
        new = sorted(set(self.reports.glob("*")) - before)
        return Run(done.returncode, done.stdout, new[-1] if new else self.reports)

    def begin(self, *arguments: str) -> warm.Process:
        """Begin a run in a session of its own; nobody reads what it prints."""
        with Path(os.devnull).open("w") as nothing:
            return warm.start(self.words(*arguments), ROOT, self.env, nothing.fileno(), session=True)

    def backups(self) -> list[Path]:
        """The complete backups, oldest first."""
        return sorted(self.backup_root.glob("openab-backup-*"))

    def partial(self) -> list[Path]:
        """What runs that died have left."""
        return sorted(self.backup_root.glob(".openab-backup-*"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the node shows while it is still there, and name the place in the failure's message."""
    report = yield
    if report.failed and report.when != "teardown":
        try:
            said = f"pods, events, logs and journals: {evidence.collect(item.nodeid, report.longreprtext)}"
        except Exception as error:  # noqa: BLE001  (out of this hook it would end pytest, and every test to come)
            said = f"not collected: {error!r}"
        report.sections.append(("evidence", said))
    return report


@pytest.fixture(scope="session")
def box() -> Sandbox:
    """The sandbox of this checkout, up; its audit log tells what a suite has really asked for."""
    box = Sandbox()
    box.up(progress=print, audit=True)
    return box


@pytest.fixture(scope="session")
def status(box: Sandbox) -> Status:
    """Where the sandbox's parts are."""
    return box.status()


@pytest.fixture(scope="session")
def world(box: Sandbox) -> World:
    """The world, published."""
    world = World(box)
    world.publish(print)
    return world


@pytest.fixture(scope="session")
def helm3(box: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which ``helm`` is helm 3."""
    box.up(progress=print, optional=["helm3"])
    directory = tmp_path_factory.mktemp("helm3")
    (directory / "helm").symlink_to(box.status().bin / "helm3")
    return directory


@contextmanager
def new_namespace(world: World) -> Generator[str]:
    """A namespace with a name of its own; gone afterwards."""
    name = f"t-{uuid4().hex[:8]}"
    world.kubectl("create", "namespace", name)
    with evidence.watched(name, world.kubectl):
        yield name
    world.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def namespace(world: World) -> Iterator[str]:
    """A namespace of this test's own."""
    with new_namespace(world) as name:
        yield name


@pytest.fixture
def suites(tmp_path: Path, status: Status) -> Suites:
    """Runs suites with a backup root and a reports directory of this test's own."""
    return Suites.at(tmp_path, status)
