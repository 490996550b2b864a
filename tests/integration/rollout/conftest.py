"""Releases in a namespace of the module's own, and the library's view of the cluster there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from sandbox import Status
from tests.integration.conftest import new_namespace
from world import World

QUIET = {"OPENAB_WRITE_INTERVAL": "0"}


@dataclass(frozen=True)
class Field:
    """A namespace to roll releases out in."""

    world: World
    cluster: Cluster

    def values(self, **agent: Any) -> dict[str, Any]:
        """Values of a release with one agent, connected to the endpoint, quiet otherwise."""
        base = self.world.agent_values()
        return {"agents": {"kiro": {**base, "env": {**base["env"], **QUIET}, **agent}}}

    def install(self, release: str, version: str, values: Mapping[str, Any], *, wait: bool = True) -> None:
        """Install a release."""
        self.world.install(release, self.cluster.namespace, version, values, wait=wait)

    def upgrade(self, release: str, version: str, values: Mapping[str, Any]) -> None:
        """Upgrade one by plain helm, waiting for nothing."""
        self.world.upgrade(release, self.cluster.namespace, version, values, wait=False)

    def agent(self, release: str, key: str = "kiro") -> Agent:
        """The agent of a release."""
        return Agent.of(self.cluster.get("Deployment", deployment(release, key)))

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the namespace."""
        return self.world.kubectl("--namespace", self.cluster.namespace, *arguments)


def deployment(release: str, key: str = "kiro") -> str:
    """What the chart calls an agent's Deployment."""
    return f"{release}-{key}" if "openab" in release else f"{release}-openab-{key}"


@pytest.fixture(scope="module")
def field(world: World, status: Status) -> Iterator[Field]:
    """A namespace of the module's own; kubectl, which testinfra starts, is the sandbox's."""
    with new_namespace(world) as namespace, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(status.kubeconfig))
        patch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
        yield Field(world, Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace)))
