"""Images from nothing: a Debian root file system, and docker-archives that share it as their base layer."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import site
from sandbox.command import run
from sandbox.config import PAUSE_IMAGE
from sandbox.toolchain import WITHOUT_SANDBOX, Progress

DEBIAN = "bookworm"
PACKAGES = ("procps", "tini", "ca-certificates")
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CHUNK = 1 << 20


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs, and as whom."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    user: str = ""
    working_directory: str = "/"

    def as_json(self, diff_ids: Sequence[str]) -> bytes:
        """The image's configuration blob."""
        document = {
            "architecture": GO_ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Cmd": self.command,
                "Env": [f"{name}={value}" for name, value in self.env.items()],
                "User": self.user,
                "WorkingDir": self.working_directory,
            },
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
        return json.dumps(document, sort_keys=True).encode()


def rootfs(progress: Progress) -> Path:
    """A tar of Debian's minimal system with a few tools, as a base layer; made once and cached.

    Raises SandboxError if mmdebstrap fails.
    """
    name = hashlib.sha256(" ".join((DEBIAN, *PACKAGES)).encode()).hexdigest()[:16]
    target = site.cache_directory() / f"rootfs-{name}.tar"
    with site.locked(target.with_suffix(".lock")):
        if not target.exists():
            progress(f"building a Debian {DEBIAN} base image")
            aside = target.with_suffix(".part.tar")
            run(
                [
                    "mmdebstrap",
                    "--quiet",
                    "--variant=minbase",
                    f"--include={','.join(PACKAGES)}",
                    DEBIAN,
                    aside,
                ],
                timeout=900,
                next_step=f"check that this machine reaches a Debian mirror; {WITHOUT_SANDBOX}",
            )
            aside.rename(target)
    return target


def docker_archive(out: Path, *, layers: Sequence[Path], config: ImageConfig, tags: Sequence[str]) -> Path:
    """Write the image of `layers` (tar files, base first) to `out` and return it.

    A layer's name in the archive is its digest, so that archives with a common base import it once.
    """
    digests = [_digest(layer) for layer in layers]
    blob = config.as_json([f"sha256:{digest}" for digest in digests])
    config_name = f"{hashlib.sha256(blob).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": names}]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, "w") as archive:
        for name, layer in dict(zip(names, layers, strict=True)).items():
            archive.add(layer, name)
        _add_bytes(archive, config_name, blob)
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    return out


def layer(out: Path, files: Iterable[tuple[str, Path | bytes, int]]) -> Path:
    """Write a layer of `files` (name in the image, content, mode) to `out`: the same input gives the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, "w") as archive:
        for name, content, mode in files:
            _add_bytes(archive, name, content.read_bytes() if isinstance(content, Path) else content, mode)
    return out


def pause(programs: Path, directory: Path) -> Path:
    """The image that holds a pod's namespaces, written into `directory`; its program is in `programs`."""
    content = layer(directory / "pause-layer.tar", [("pause", programs / "pause", 0o755)])
    config = ImageConfig(command=("/pause",))
    return docker_archive(directory / "pause.tar", layers=[content], config=config, tags=[PAUSE_IMAGE])


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
