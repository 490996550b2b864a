"""Private files and directories that are on disk when a call returns."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from openab_sop.errors import BackupError

CHUNK = 1 << 20


def private_directory(path: Path) -> None:
    """Create a directory for its owner alone (0700), with its parents.

    Raises:
        BackupError: it cannot be created or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BackupError(f"{path} may not be written by this user", "name another directory with --backup-root=DIR")


def write(path: Path, data: bytes) -> None:
    """Write a new private file (0600) and put it on disk.

    Raises:
        BackupError: the disk is full, or the directory is not there.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unusable(path, error) from error


def replace(path: Path, data: bytes) -> None:
    """Write a private file in place of an older one; a reader sees the old or the new, never half."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    write(aside, data)
    aside.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Put a file or a directory's names on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Put everything below a directory on disk, the directory's own names last."""
    for directory, _, files in os.walk(root, topdown=False):
        for name in files:
            sync(Path(directory, name))
        sync(Path(directory))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free(path: Path) -> int:
    """Return the bytes that the disk of an existing directory has left for this user."""
    return shutil.disk_usage(path).free


def unusable(path: Path, error: OSError) -> BackupError:
    """Say what the operating system said of a path, and what to do."""
    return BackupError(
        f"{path}: {error.strerror}",
        "make room or name another directory with --backup-root=DIR; df -h shows what is free",
    )
