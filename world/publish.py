"""Publishes every version: its images to the node, its chart to registry and repositories, its notes."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox import Sandbox
from sandbox.build import go_binaries
from sandbox.images import rootfs
from sandbox.site import locked
from world.charts import package
from world.endpoint.client import Control
from world.endpoint.releases import ReleaseNote, write_notes
from world.images import AGENT, PROGRAM, images, write_archive
from world.tools import Tools
from world.versions import SOURCES, WORLD, Source, Version, family

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Publisher:
    """Where on `box` things are published. All files are below `directory`."""

    box: Sandbox
    directory: Path

    @property
    def root(self) -> Path:
        """What the endpoint serves."""
        return self.directory / "endpoint"

    def archive(self, version: Version) -> Path:
        """The packaged chart of `version`."""
        return self.directory / "packages" / f"{version.name}-{version.version}.tgz"

    def registry(self, source: Source) -> str:
        """The OCI address below which the charts of `source` are."""
        return f"{self.box.status().registry.rpartition('/')[0]}/{source}"

    def url(self, address: str) -> str:
        """The endpoint at one of the node's addresses."""
        return f"http://{address}:{self.box.port('world')}"

    def publish(self, progress: Progress) -> None:
        """Publish what is not yet, and start the endpoint. Raises SandboxError if the sandbox is not up."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory / "lock"):
            program, base = go_binaries(AGENT, progress) / PROGRAM, rootfs(progress)
            images_from = _digest(str(program), str(base), "images.py", "versions.*")
            self._once("images", images_from, lambda: self._load_images(program, base, progress))
            charts_from = _digest("charts.py", "charts/**/*", "notes/*", "versions.*")
            self._once("charts", charts_from, lambda: self._publish_charts(progress))
            self._serve()

    def _once(self, what: str, digest: str, publish: Callable[[], None]) -> None:
        """Call `publish` unless it was done for the same inputs before."""
        done = self.directory / f"published-{what}"
        if not done.exists() or done.read_text() != digest:
            publish()
            done.write_text(digest)

    def _load_images(self, program: Path, base: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=self.directory) as name:
            made = images(family().versions, base, program, Path(name))
            progress(f"loading {len(made)} images")
            self.box.load(write_archive(Path(name) / "images.tar", made))

    def _publish_charts(self, progress: Progress) -> None:
        versions = family().versions
        progress(f"publishing {len(versions)} chart versions")
        helm = Tools(self.box, self.directory).helm
        archives = self.directory / "packages"
        shutil.rmtree(archives, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.directory) as sources:
            package(family(), versions, Path(sources), archives, helm)
        for source in SOURCES:
            offered = [version for version in versions if version.is_in(source)]
            pushes = [("push", "--plain-http", self.archive(version), self.registry(source)) for version in offered]
            with ThreadPoolExecutor() as several:  # a push is mostly the start of a process
                list(several.map(helm, pushes))
            self._fill_repository(source, [version for version in offered if version.classic])
            helm(["repo", "index", self.root / source])
        openab = [version for version in reversed(versions) if version.name == "openab"]
        notes = [ReleaseNote(f"v{v.version}", v.release_notes(), v.prerelease) for v in openab]
        write_notes(self.root / "notes.json", notes)

    def _fill_repository(self, source: Source, versions: list[Version]) -> None:
        repository = self.root / source
        shutil.rmtree(repository, ignore_errors=True)
        repository.mkdir(parents=True)
        for version in versions:
            shutil.copy(self.archive(version), repository)

    def _serve(self) -> None:
        port, revision = self.box.port("world"), _digest("endpoint/*.py")
        options = [f"--root={self.root}", f"--port={port}", f"--revision={revision}"]
        argv = [sys.executable, "-m", "world.endpoint", *options, "127.0.0.1", self.box.status().address]
        control = Control(self.url("127.0.0.1"))
        self.box.service("world", argv, control.is_up, {"PYTHONPATH": str(WORLD.parent)})


def _digest(*inputs: str) -> str:
    """Changes with what `inputs` name: absolute paths by their name (they are cache keys), patterns by content."""
    digest = hashlib.sha256()
    for pattern in inputs:
        files = [] if pattern.startswith("/") else [file for file in WORLD.glob(pattern) if file.is_file()]
        digest.update(f"{pattern}\n".encode())
        for file in sorted(files):
            digest.update(f"{file.relative_to(WORLD)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
