"""A release whose agent writes nothing while it is looked at, its volume as the host sees it, and one backup of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status, enclosure
from sandbox.processes import Records
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.callers import kubeconfig
from tests.line import Line, line
from world import World

QUIET = {"OPENAB_WRITE_INTERVAL": "0"}
"""Environment of an agent that writes at its start only."""


@dataclass(frozen=True)
class BackedUp:
    """A backup that a suite made, and what it was made of: the agent's Deployment and its volume on the host."""

    run: Run
    directory: Path
    namespace: str
    deployment: str
    volume: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """``backup.json``, read without the code under test."""
        return json.loads((self.directory / "backup.json").read_text())

    @property
    def archive(self) -> Path:
        """The whole home, as one tar file."""
        return self.directory / self.deployment / "pvc-data" / "home.tar"


@dataclass(frozen=True)
class Volumes:
    """Finds a claim's directory on the host, past kubelet and the pod."""

    world: World
    status: Status

    def of(self, namespace: str, claim: str) -> Path:
        """The directory behind a claim, seen through the node's own mounts."""
        return Path(f"/proc/{self.node.pid}/root{self.seen_by_node(namespace, claim)}")

    @property
    def node(self) -> enclosure.Enclosure:
        """The node's own namespaces; a program that resolves links itself must run in there."""
        inside = enclosure.find(Records(self.status.state / "run" / "parts"))
        assert inside is not None
        return inside

    def seen_by_node(self, namespace: str, claim: str) -> Path:
        """The directory behind a claim, as the node names it: our CSI driver calls a volume as the cluster does."""
        wanted = ("get", "pvc", claim, "--output=jsonpath={.spec.volumeName}")
        volume = self.world.kubectl("--namespace", namespace, *wanted)
        assert volume, f"claim {claim} is bound to nothing"
        return self.status.state / "volumes" / "volumes" / volume / "data"


@pytest.fixture(scope="session")
def volumes(world: World, status: Status) -> Volumes:
    """Finds the directories behind claims."""
    return Volumes(world, status)


@pytest.fixture
def switched(status: Status, tmp_path: Path) -> Iterator[Line]:
    """A line to the cluster with switches; it is whole at first."""
    with line(kubeconfig(status), tmp_path / "line") as found:
        yield found


@pytest.fixture(scope="session")
def quiet_backup(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackedUp]:
    """A backup of a quiet agent with a realistic home and instruction files mounted into it."""
    agent = {**world.agent_values(), "agentsMd": "# From the chart\n", "env": QUIET}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
        world.fill_home(namespace, "openab-kiro")
        suites = Suites.at(tmp_path_factory.mktemp("quiet"), status)
        run = suites.run("suites/backup", f"--namespace={namespace}")
        assert run.status == 0, run.output
        yield BackedUp(run, suites.backups()[-1], namespace, "openab-kiro", volumes.of(namespace, "openab-kiro"))
