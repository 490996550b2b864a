"""The world to upgrade in, on a sandbox: images and charts of every version, the endpoint, releases to play with."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from sandbox.build import go_binaries
from sandbox.command import run
from sandbox.images import rootfs
from sandbox.site import locked
from world.charts import package
from world.endpoint.client import Control
from world.endpoint.releases import ReleaseNote, write_notes
from world.images import AGENT, images, write_archive
from world.versions import SOURCES, WORLD, Source, family

Progress = Callable[[str], None]
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
    """The demo release."""

    namespace: str
    release: str
    deployments: tuple[str, ...]


class World:
    """What `box` is filled with. Everything it writes is below the sandbox's state directory."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._directory = box.status().state / "world"
        self._root = self._directory / "endpoint"
        self._packages = self._directory / "packages"

    @property
    def endpoint(self) -> Control:
        """The endpoint's control API."""
        return Control(self._url("127.0.0.1"))

    @property
    def chat_url(self) -> str:
        """The chat platform, as pods reach it: for OPENAB_CHAT_URL."""
        return self._url(self._box.status().address)

    @property
    def webhook_url(self) -> str:
        """A Discord webhook."""
        return f"{self._url('127.0.0.1')}/api/webhooks/1/demo"

    @property
    def release_notes_url(self) -> str:
        """The releases of the release-notes API."""
        return f"{self._url('127.0.0.1')}/repos/openabdev/openab/releases"

    @property
    def chart_repo_url(self) -> str:
        """The classic chart repository, which lags behind the registry."""
        return self.repository_url("charts")

    def repository_url(self, source: Source) -> str:
        """The classic chart repository of a source."""
        return f"{self._url('127.0.0.1')}/{source}"

    def registry(self, source: Source = "charts") -> str:
        """The OCI address below which a source's charts are."""
        return f"{self._box.status().registry.rpartition('/')[0]}/{source}"

    def package(self, version: str) -> Path:
        """The packaged chart of a version. Raises LookupError if there is no such version."""
        found = family().find(version)
        return self._packages / f"{found.name}-{found.version}.tgz"

    def publish(self, progress: Progress) -> None:
        """Build, load and publish every version, and start the endpoint; quick when nothing changed.

        Starts the sandbox if it is not up. Raises SandboxError.
        """
        if not self._box.status().up:
            self._box.up(progress)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._directory / "lock"):
            program, base = go_binaries(AGENT, progress) / "openab", rootfs(progress)
            inputs = _digest_of_inputs(program, base)
            done = self._directory / "published"
            if not done.exists() or done.read_text() != inputs:
                self._load_images(program, base, progress)
                self._publish_charts(progress)
                done.write_text(inputs)
            self._serve()

    def install(self, release: str, namespace: str, version: str, values: Values | None = None, *, wait: bool = True) -> None:
        """Install `version` as `release`, making the namespace; with `wait`, until its Deployments are available."""
        self._deploy(["install", release, self.package(version), "--create-namespace"], release, namespace, values, wait)

    def upgrade(self, release: str, namespace: str, version: str, values: Values | None = None, *, wait: bool = True) -> None:
        """Upgrade `release` to `version` with the values given and no others."""
        self._deploy(["upgrade", release, self.package(version)], release, namespace, values, wait)

    def fill_home(
        self, namespace: str, deployment: str, profile: str = "realistic", *, seed: int = 1, files: int = 1000, size: int = 200_000_000
    ) -> Filled:
        """Fill the home of the Deployment's agent by a program in its pod; `size` is in bytes. See world/README.md."""
        program = ["standin-home", "--profile", profile, "--seed", seed, "--files", files, "--bytes", size]
        output = self.kubectl("exec", "--namespace", namespace, f"deploy/{deployment}", "--container=openab", "--", *program)
        return Filled(**json.loads(output))

    def demo(self, progress: Progress) -> Demo:
        """The release `openab` with two agents and realistic homes in the namespace `demo`; made if it is not there."""
        demo = Demo("demo", "openab", ("openab-kiro", "openab-claude"))
        self.publish(progress)
        if not json.loads(self.helm(["list", "--namespace", demo.namespace, "--output=json"])):
            progress(f"installing release {demo.release} {DEMO_VERSION} in namespace {demo.namespace}")
            self.install(demo.release, demo.namespace, DEMO_VERSION, self.demo_values())
            for seed, deployment in enumerate(demo.deployments, start=1):
                filled = self.fill_home(demo.namespace, deployment, seed=seed)
                progress(f"filled the home of {deployment}: {filled.entries} entries, {filled.bytes / 1e6:.0f} MB")
        return demo

    def demo_values(self) -> dict[str, Any]:
        """Values of a release with two agents that speak to the endpoint, with bot tokens that nobody else has."""

        def agent(**more: Any) -> dict[str, Any]:
            discord = {"enabled": True, "botToken": secrets.token_urlsafe(32), "allowedChannels": ["1097261234567890123"]}
            return {"discord": discord, "env": {"OPENAB_CHAT_URL": self.chat_url}} | more

        kiro = agent(agentsMd="# House rules\n\nAnswer briefly.\n")
        claude = agent(command="claude-agent-acp", args=[], image="openab.local/openab-claude")
        return {"agents": {"kiro": kiro, "claude": claude}}

    def helm(self, arguments: Sequence[str | Path]) -> str:
        """Run the sandbox's helm with a configuration of its own; its output. Raises SandboxError."""
        return run([self._box.status().bin / "helm", *arguments], env=self._environment(), timeout=300)

    def kubectl(self, *arguments: object) -> str:
        """Run the sandbox's kubectl; its output. Raises SandboxError."""
        return run([self._box.status().bin / "kubectl", *map(str, arguments)], env=self._environment(), timeout=600)

    def _url(self, address: str) -> str:
        return f"http://{address}:{self._box.port('world')}"

    def _environment(self) -> dict[str, str]:
        places = {f"HELM_{kind}_HOME": str(self._directory / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        status = self._box.status()
        return {"PATH": os.defpath, "HOME": str(self._directory), "KUBECONFIG": str(status.kubeconfig), **places}

    def _load_images(self, program: Path, base: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            directory = Path(name)
            made = images(family().versions, base, program, directory)
            progress(f"loading {len(made)} images")
            self._box.load(write_archive(directory / "images.tar", made))

    def _publish_charts(self, progress: Progress) -> None:
        versions = family().versions
        progress(f"publishing {len(versions)} chart versions")
        shutil.rmtree(self._packages, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self._directory) as sources:
            package(family(), versions, Path(sources), self._packages, self.helm)
        for source in SOURCES:
            offered = [version for version in versions if version.is_in(source)]
            repository = self._root / source
            shutil.rmtree(repository, ignore_errors=True)
            repository.mkdir(parents=True)
            for version in offered:
                archive = self.package(version.version)
                self.helm(["push", "--plain-http", archive, self.registry(source)])
                if version.classic:
                    shutil.copy(archive, repository)
            self.helm(["repo", "index", repository])
        newest_first = [version for version in reversed(versions) if version.name == "openab"]
        notes = [ReleaseNote(f"v{v.version}", v.release_notes(), v.prerelease) for v in newest_first]
        write_notes(self._root / "notes.json", notes)

    def _serve(self) -> None:
        listen = ["--root", self._root, "--port", self._box.port("world"), "127.0.0.1", self._box.status().address]
        argv = [sys.executable, "-m", "world.endpoint", *map(str, listen)]
        self._box.service("world", argv, self.endpoint.is_up, {"PYTHONPATH": str(WORLD.parent)})

    def _deploy(self, action: list[str | Path], release: str, namespace: str, values: Values | None, wait: bool) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._directory) as file:  # made with mode 0600
            json.dump(values or {}, file)
            file.flush()
            self.helm([*action, "--namespace", namespace, "--values", file.name])
        if wait:
            selector = f"--selector=app.kubernetes.io/instance={release}"
            self.kubectl("rollout", "status", "deployment", "--namespace", namespace, selector, f"--timeout={ROLLOUT_TIMEOUT}s")


def _digest_of_inputs(program: Path, base: Path) -> str:
    """Changes whenever what is published would: the agent's and the base's cache keys, and our own files."""
    digest = hashlib.sha256(f"{program} {base}".encode())
    for pattern in ("*.py", "versions.toml", "charts/**/*", "notes/*"):
        for file in sorted(WORLD.glob(pattern)):
            if file.is_file():
                digest.update(f"{file.relative_to(WORLD)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
