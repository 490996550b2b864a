"""The world on the checkout's own sandbox; each module has namespaces of its own, deleted at its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox import Sandbox, SandboxError
from sandbox.wait import until
from tests.integration.conftest import new_namespace
from world import World


@dataclass(frozen=True)
class Seen:
    """What the API says of an agent's container. `last_exit` is its previous run's status, None if there was none."""

    ready: bool
    running: bool
    restarts: int
    waiting: str
    last_exit: int | None
    image: str

    @classmethod
    def of(cls, pod: dict[str, Any]) -> Seen:
        """From a pod; of one that has not been started nothing is known."""
        for status in pod["status"].get("containerStatuses", []):
            if status["name"] in ("openab", "agent-broker"):
                state = status["state"]
                ended = state.get("terminated") or status["lastState"].get("terminated")
                return cls(
                    ready=status["ready"],
                    running="running" in state,
                    restarts=status["restartCount"],
                    waiting=state.get("waiting", {}).get("reason", ""),
                    last_exit=ended["exitCode"] if ended else None,
                    image=pod["spec"]["containers"][0]["image"],
                )
        return cls(ready=False, running=False, restarts=0, waiting="", last_exit=None, image="")


@dataclass(frozen=True)
class Place:
    """A namespace to install releases in."""

    world: World
    namespace: str

    def install(self, release: str, version: str, agent: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Install a release with the one agent `kiro`, connected to the endpoint, with further values of it."""
        self.world.install(release, self.namespace, version, self._values(agent), wait=wait)

    def upgrade(self, release: str, version: str, agent: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Upgrade a release of `install`."""
        self.world.upgrade(release, self.namespace, version, self._values(agent), wait=wait)

    def pods(self, release: str) -> list[dict[str, Any]]:
        """The release's pods, but those that are ending."""
        found = json.loads(
            self.kubectl("get", "pods", f"--selector=app.kubernetes.io/instance={release}", "--output=json")
        )
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def seen(self, release: str) -> Seen:
        """The state of the release's only pod's agent."""
        pods = self.pods(release)
        return Seen.of(pods[0]) if len(pods) == 1 else Seen.of({"status": {}})

    def wait_for(self, release: str, condition: Callable[[Seen], bool], timeout: float = 30) -> Seen:
        """What was seen once it fulfils `condition`."""
        last: list[Seen] = []

        def fulfilled() -> bool:
            last[:] = [self.seen(release)]
            return condition(last[0])

        until(f"the awaited state of {release}", fulfilled, timeout=timeout, next_step="kubectl describe pod")
        return last[0]

    def log(self, release: str) -> str:
        """The log of the agent's present run, or of its last one if it does not run."""
        (pod,) = self.pods(release)
        return self.kubectl("logs", pod["metadata"]["name"])

    def wait_for_log(self, release: str, text: str, timeout: float = 30) -> str:
        """The agent's log once it has `text`; read once: a restart right after it would begin another."""
        last = ""

        def there() -> bool:
            nonlocal last
            try:
                last = self.log(release)
            except (SandboxError, ValueError):  # no container or no pod yet
                return False
            return text in last

        until(f"{text!r} in the log of {release}", there, timeout=timeout, next_step="kubectl logs")
        return last

    def execute(self, deployment: str, *command: object) -> str:
        """The output of a command in the agent's container."""
        return self.kubectl("exec", f"deploy/{deployment}", "--container=openab", "--", *command)

    def kubectl(self, *arguments: object) -> str:
        """kubectl in this namespace."""
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def _values(self, agent: dict[str, Any] | None) -> dict[str, Any]:
        return {"agents": {"kiro": self.world.agent_values() | (agent or {})}}


@pytest.fixture(scope="session")
def world() -> World:
    """The world, published; the sandbox is started if it is not up."""
    made = World(Sandbox())
    made.publish(print)
    return made


@pytest.fixture(scope="module")
def place(world: World) -> Iterator[Place]:
    """A namespace of the module's own."""
    with new_namespace(world) as name:
        yield Place(world, name)
