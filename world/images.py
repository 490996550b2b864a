"""The images of all versions: one archive in which they share the Debian base and the agent's layer.

`docker load` format: https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.build import GoBuild
from sandbox.images import ImageConfig
from world.versions import FLAVOURS, WORLD, Version

AGENT = GoBuild(WORLD / "agent", (".",), label="the stand-in agent")
PROGRAM = "openab"
LINKS = ("agent-broker", "acp-worker", "openab-gateway", "standin-home")
UID = 1000
WHITEOUT = ".wh."
"""A file of this prefix takes its namesake of the layers below away (OCI image spec, layer.md)."""
GIT_NOTICE = "fatal: not a git repository (or any of the parent directories): .git"
"""Git outside a repository. Good versions print it too, so that nobody takes every "fatal:" for a crash."""


@dataclass(frozen=True)
class Image:
    """One image: its `layers` (tar files, base first), how its container starts, its names."""

    layers: tuple[Path, ...]
    config: ImageConfig
    tags: tuple[str, ...]


def images(versions: Sequence[Version], base: Path, program: Path, directory: Path) -> list[Image]:
    """The images of `versions` and their flavours; layers are written below `directory`."""
    agent = agent_layer(directory / "agent.tar", base, program)
    made: list[Image] = []
    for version in (v for v in versions if v.image):
        for flavour in ("", *FLAVOURS):
            release = _release_layer(directory / f"{version.name}-{version.version}-{flavour}.tar", version, flavour)
            config = ImageConfig(
                command=_command(version, flavour),
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/agent"},
                user=str(UID),
                working_directory="/home/agent",
            )
            tags = [
                version.image_name(flavour),
                *([version.image_name(flavour, version.alias)] if version.alias else []),
            ]
            made.append(Image((base, agent, release), config, tuple(tags)))
    return made


def release_file(version: Version, flavour: str = "") -> str:
    """What makes the agent play `version`: the content of /etc/openab-release.toml."""
    fields: dict[str, str | int | list[str]] = {
        "version": version.version,
        "flavour": flavour,
        "schema": version.schema,
        "fault": version.fault_of(flavour),
        "after": version.after,
        "notices": [GIT_NOTICE],
    }
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def write_archive(out: Path, made: Sequence[Image]) -> Path:
    """Write `made` to one archive, each layer once, and return its path."""
    layers = dict.fromkeys(layer for image in made for layer in image.layers)
    digests = {layer: _digest(layer) for layer in layers}
    names = {layer: f"{digest}/layer.tar" for layer, digest in digests.items()}
    manifest: list[dict[str, object]] = []
    with tarfile.open(out, "w") as archive:
        for digest, layer in {digest: layer for layer, digest in digests.items()}.items():
            archive.add(layer, f"{digest}/layer.tar")
        for image in made:
            blob = image.config.as_json([f"sha256:{digests[layer]}" for layer in image.layers])
            config = f"{hashlib.sha256(blob).hexdigest()}.json"
            _add(archive, config, blob)
            own = [names[layer] for layer in image.layers]
            manifest.append({"Config": config, "RepoTags": image.tags, "Layers": own})
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return out


def _command(version: Version, flavour: str) -> tuple[str, ...]:
    if flavour == "gateway":
        return ("tini", "--", "openab-gateway")
    return ("tini", "--", version.name, "run", "-c", f"/etc/{version.name}/config.toml")


def agent_layer(out: Path, base: Path, program: Path) -> Path:
    """Write the layer that all images share above `base`: the agent's `program`, its user, its home."""
    with tarfile.open(base) as system:
        passwd = _read(system, "./etc/passwd") + f"agent:x:{UID}:{UID}::/home/agent:/bin/bash\n".encode()
        group = _read(system, "./etc/group") + f"agent:x:{UID}:\n".encode()
    with tarfile.open(out, "w") as layer:
        _add(layer, "etc/passwd", passwd)
        _add(layer, "etc/group", group)
        _add_entry(layer, "home/agent", tarfile.DIRTYPE, mode=0o755, uid=UID)
        _add(layer, f"usr/local/bin/{PROGRAM}", program.read_bytes(), mode=0o755)
        for link in LINKS:
            _add_entry(layer, f"usr/local/bin/{link}", tarfile.SYMTYPE, mode=0o777, target=PROGRAM)
    return out


def _release_layer(out: Path, version: Version, flavour: str) -> Path:
    with tarfile.open(out, "w") as layer:
        _add(layer, "etc/openab-release.toml", release_file(version, flavour).encode())
        for missing in version.without:
            directory, _, name = missing.rpartition("/")
            _add(layer, f"{directory}/{WHITEOUT}{name}", b"")
    return out


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None, f"{name} of the base image is not a regular file"
    return stream.read()


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _add_entry(archive: tarfile.TarFile, name: str, kind: bytes, *, mode: int, uid: int = 0, target: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, target
    entry.uid = entry.gid = uid
    archive.addfile(entry)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
