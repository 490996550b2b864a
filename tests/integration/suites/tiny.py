"""A release with one agent that writes nothing by itself and a home of a few files: cheap to back up many times."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from world import World

DEPLOYMENT = "openab-kiro"
ARCHIVE = f"{DEPLOYMENT}/pvc-data/home.tar"
VERSION = "0.8.1"


@dataclass(frozen=True)
class Tiny:
    """The release, and suites with a backup root of its own."""

    world: World
    namespace: str
    suites: Suites

    def kubectl(self, *arguments: str) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def shell(self, script: str) -> str:
        """Run a script in the agent's home, as the agent."""
        return self.kubectl("exec", f"deploy/{DEPLOYMENT}", "--container=openab", "--", "sh", "-c", f"cd && {script}")

    def attempt(self, *arguments: str) -> Run:
        """Run the backup, well or not."""
        return self.suites.run("suites/backup", f"--namespace={self.namespace}", *arguments)

    def backup(self, *arguments: str) -> tuple[Run, Path]:
        """Make a backup; the run, and its directory."""
        run = self.attempt(*arguments)
        assert run.status == 0, run.output
        return run, self.suites.backups()[-1]

    def verify(self, backup: Path, *arguments: str) -> Run:
        """Prove a backup."""
        return self.suites.run("suites/backup", "--verify", f"--backup={backup}", *arguments)


@contextmanager
def tiny_release(
    world: World, status: Status, directory: Path, values: Mapping[str, Any] | None = None
) -> Generator[Tiny]:
    """Install one below the backup root ``directory``; ``values`` go on top of the agent's."""
    agent = {**world.agent_values(), "env": {"OPENAB_WRITE_INTERVAL": "0"}, **(values or {})}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, VERSION, {"agents": {"kiro": agent}})
        yield Tiny(world, namespace, Suites.at(directory, status))
