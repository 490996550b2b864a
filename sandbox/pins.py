"""Changing the pinned versions, which live in the go.mod files and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox import parts
from sandbox.toolchain import Progress


def current() -> dict[str, str]:
    """The pinned version of each part."""
    return parts.versions()


def change(changes: Sequence[str], progress: Progress) -> None:
    """Apply NAME=VERSION changes."""
    raise NotImplementedError(changes, progress)
