"""Packages a chart as it was at every tag of a clone."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

_TAG = re.compile(r"(?P<chart>[a-z][a-z-]*)-(?P<version>\d+\.\d+\.\d+(-.+)?)")
"""How chart-releaser names its tags: the chart's name and its version."""


def pack(clone: Path, directory: Path) -> list[Path]:
    """Package ``charts/<name>`` of each tag ``<name>-<version>``; tags without it are passed over.

    Args:
        clone: a git repository, bare or not.
        directory: where the archives go.

    Raises:
        subprocess.CalledProcessError: it is no repository, or helm refuses a chart.
    """
    directory.mkdir(parents=True, exist_ok=True)
    packed: list[Path] = []
    for tag, name, version in _tags(clone):
        archive = _archive(clone, tag, f"charts/{name}")
        if archive is None:
            continue
        with TemporaryDirectory(prefix="openab-history-") as scratch:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(scratch, filter="data")
            source = Path(scratch, "charts", name)
            subprocess.run(["helm", "package", source, "--destination", directory], check=True, capture_output=True)
        packed.append(directory / f"{name}-{version}.tgz")
    return packed


def _tags(clone: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each tag that names a chart's version: the tag, the chart's name, the version."""
    for tag in _git(clone, "tag").decode().split():
        if found := _TAG.fullmatch(tag):
            yield tag, found["chart"], found["version"]


def _archive(clone: Path, tag: str, path: str) -> bytes | None:
    try:
        return _git(clone, "archive", "--format=tar", tag, path)
    except subprocess.CalledProcessError:
        return None


def _git(clone: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", clone, *arguments], check=True, capture_output=True).stdout
