"""The world to upgrade in, as tests and the demo use it: releases of any version, homes like real ones."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Sandbox, SandboxError
from sandbox.wait import until
from world.endpoint.client import Control
from world.harms import package_harm
from world.publish import Progress, Publisher
from world.tools import Tools
from world.versions import IMAGE_PREFIX, Source, family

Values = Mapping[str, Any]
ROLLOUT_TIMEOUT = 120
"""Seconds for a release's Deployments to become available."""
DEMO_VERSION = "0.8.0"


@dataclass(frozen=True)
class Filled:
    """What was put into a home: `bytes` counts the lengths of files, holes included."""

    entries: int
    bytes: int
    xattrs: bool


@dataclass(frozen=True)
class Demo:
    """The demo release: what to point the suites at."""

    namespace: str
    release: str
    deployments: tuple[str, ...]


DEMO = Demo("demo", "openab", ("openab-kiro", "openab-claude"))


class World:
    """What `box` is filled with. Everything that it writes is below the sandbox's state directory."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._directory = box.status().state / "world"
        self._publisher = Publisher(box, self._directory)
        self._tools = Tools(box, self._directory)

    @property
    def endpoint(self) -> Control:
        """The endpoint's control API."""
        return Control(self._publisher.url("127.0.0.1"))

    @property
    def chat_url(self) -> str:
        """The chat platform, as pods reach it: for OPENAB_CHAT_URL."""
        return self._publisher.url(self._box.status().address)

    @property
    def webhook_url(self) -> str:
        """A Discord webhook."""
        return f"{self.endpoint.url}/api/webhooks/1/demo"

    @property
    def release_notes_url(self) -> str:
        """The releases of the release-notes API."""
        return f"{self.endpoint.url}/repos/openabdev/openab/releases"

    @property
    def chart_repo_url(self) -> str:
        """The classic chart repository, which lags behind the registry."""
        return self.repository_url("charts")

    def repository_url(self, source: Source) -> str:
        """The classic chart repository of a source."""
        return f"{self.endpoint.url}/{source}"

    def registry(self, source: Source = "charts") -> str:
        """The OCI address below which the charts of a source are."""
        return self._publisher.registry(source)

    def package(self, version: str) -> Path:
        """The packaged chart of a version. Raises LookupError if there is no such version."""
        return self._publisher.archive(family().find(version))

    def harmful(self, name: str, directory: Path) -> Path:
        """Package the bad chart of this name in ``harms.toml`` below a new directory. Raises KeyError."""
        registry = self.registry().removeprefix("oci://").partition("/")[0]
        return package_harm(family(), name, registry, directory, self.helm)

    def publish(self, progress: Progress) -> None:
        """Build, load and publish every version, and start the endpoint; quick when nothing changed.

        Starts the sandbox if it is not up. Raises SandboxError.
        """
        if not self._box.status().up:
            self._box.up(progress)
        self._publisher.publish(progress)

    def install(
        self, release: str, namespace: str, version: str, values: Values | None = None, *, wait: bool = True
    ) -> None:
        """Install `version` as `release`, making the namespace; with `wait`, until it is available."""
        action = ["install", release, self.package(version), "--create-namespace"]
        self._deploy(action, release, namespace, values, wait=wait)

    def upgrade(
        self, release: str, namespace: str, version: str, values: Values | None = None, *, wait: bool = True
    ) -> None:
        """Upgrade `release` to `version` with the values given and no others."""
        self._deploy(["upgrade", release, self.package(version)], release, namespace, values, wait=wait)

    def fill_home(
        self,
        namespace: str,
        deployment: str,
        profile: str = "realistic",
        *,
        seed: int = 1,
        files: int = 1000,
        size: int = 200_000_000,
    ) -> Filled:
        """Fill the home of the Deployment's agent by a program in its pod.

        README.md describes the profiles; `files` and `size` (bytes) are for those that take them.
        """
        program = ("standin-home", "--profile", profile, "--seed", seed, "--files", files, "--bytes", size)
        return Filled(**json.loads(self._execute(namespace, deployment, *program)))

    def demo(self, progress: Progress) -> Demo:
        """The release `openab` with two agents and realistic homes; installed if it is not there."""
        self.publish(progress)
        if not json.loads(self.helm(["list", "--namespace", DEMO.namespace, "--output=json"])):
            progress(f"installing release {DEMO.release} {DEMO_VERSION} in namespace {DEMO.namespace}")
            self.install(DEMO.release, DEMO.namespace, DEMO_VERSION, self.demo_values())
        for seed, deployment in enumerate(DEMO.deployments, start=1):
            until(
                f"the start of {deployment}",  # after a restart of the node its pods take a moment to come back
                lambda deployment=deployment: self._answers(DEMO.namespace, deployment),
                timeout=ROLLOUT_TIMEOUT,
                next_step=f"look at it: kubectl --namespace {DEMO.namespace} describe pods",
            )
            if not self._is_filled(DEMO.namespace, deployment):
                filled = self.fill_home(DEMO.namespace, deployment, seed=seed)
                progress(f"filled the home of {deployment}: {filled.entries} entries, {filled.bytes / 1e6:.0f} MB")
        return DEMO

    def demo_values(self) -> dict[str, Any]:
        """Values of a release with two agents that speak to the endpoint."""
        kiro = {"agentsMd": "# House rules\n\nAnswer briefly.\n"}
        claude = {"command": "claude-agent-acp", "image": f"{IMAGE_PREFIX}/openab-claude"}
        return {"agents": {"kiro": self.agent_values() | kiro, "claude": self.agent_values() | claude}}

    def agent_values(self) -> dict[str, Any]:
        """The least that an agent needs to connect: an adapter with a token of its own, and the platform."""
        channels = ["1097261234567890123"]
        discord = {"enabled": True, "botToken": secrets.token_urlsafe(32), "allowedChannels": channels}
        return {"discord": discord, "env": {"OPENAB_CHAT_URL": self.chat_url}}

    def helm(self, arguments: Sequence[object]) -> str:
        """Run the sandbox's helm; its output. Raises SandboxError."""
        if arguments[0] in ("install", "upgrade"):
            # every object of these charts is known to be valid; helm would read the API's whole schema each time
            arguments = [*arguments, "--disable-openapi-validation"]
        return self._tools.helm(arguments)

    def kubectl(self, *arguments: object) -> str:
        """Run the sandbox's kubectl; its output. Raises SandboxError."""
        return self._tools.kubectl(arguments)

    def _execute(self, namespace: str, deployment: str, *command: object) -> str:
        target = ("--namespace", namespace, f"deploy/{deployment}", "--container=openab")
        return self.kubectl("exec", *target, "--", *command)

    def _answers(self, namespace: str, deployment: str) -> bool:
        with suppress(SandboxError):
            self._execute(namespace, deployment, "true")
            return True
        return False

    def _is_filled(self, namespace: str, deployment: str) -> bool:
        """Whether the realistic home is there: an agent makes `.kiro`, but nobody else what is in `odd`."""
        return "odd" in self._execute(namespace, deployment, "ls").split()

    def _deploy(
        self, action: Sequence[object], release: str, namespace: str, values: Values | None, *, wait: bool
    ) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._directory) as file:  # its mode is 0600
            json.dump(values or {}, file)
            file.flush()
            self.helm([*action, "--namespace", namespace, "--values", file.name])
        if wait:
            which = ("--namespace", namespace, f"--selector=app.kubernetes.io/instance={release}")
            self.kubectl("rollout", "status", "deployment", *which, f"--timeout={ROLLOUT_TIMEOUT}s")
