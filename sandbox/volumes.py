"""The file system that holds the volumes: btrfs in a file where the kernel can, as its snapshots are atomic.

Such a snapshot is what a disk holds after a power cut: all that was synced before it, of what was not synced some.
Elsewhere volumes are plain directories, and a snapshot is a copy made file by file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.command import run
from sandbox.enclosure import Enclosure
from sandbox.errors import SandboxError
from sandbox.toolchain import Progress

SIZE = 64 << 30
"""Bytes that the volumes may take together. The file is sparse, and what is deleted is given back."""


def mount(inside: Enclosure, directory: Path, progress: Progress) -> None:
    """Make `directory` ready for volumes, in the node's namespaces; what was decided once stays until `remove`.

    Raises SandboxError if existing volumes cannot be reached.
    """
    image = _image(directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if image.exists():
        _mount(inside, image, directory)
    elif not any(directory.iterdir()) and "\tbtrfs\n" in Path("/proc/filesystems").read_text():
        try:
            _create(image)
            _mount(inside, image, directory)
        except SandboxError as error:
            image.unlink()
            progress(f"no btrfs for the volumes, snapshots will be plain copies: {error.problem}")


def remove(directory: Path) -> None:
    """Delete all volumes. The node must not be up."""
    _image(directory).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def _image(directory: Path) -> Path:
    return directory.with_suffix(".btrfs")


def _create(image: Path) -> None:
    image.touch(mode=0o600)
    with image.open("r+b") as file:
        file.truncate(SIZE)
    run(["mkfs.btrfs", "--quiet", "--metadata", "single", image])


def _mount(inside: Enclosure, image: Path, directory: Path) -> None:
    run(
        inside.enter(["mount", "-t", "btrfs", "-o", "loop,noatime,discard=async", image, directory]),
        next_step="look at `dmesg`; if the volumes are not needed, `python -m sandbox reset`",
    )
