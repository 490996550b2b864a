"""Private files and directories that are on disk when a call returns."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from tempfile import NamedTemporaryFile
from typing import IO

from openab_sop import trusted
from openab_sop.errors import BackupError

CHUNK = 1 << 20
ANOTHER = "another directory with --backup-root=DIR (with --staging=DIR, if backups are kept elsewhere)"


def private_directory(path: Path) -> None:
    """Create a directory for its owner alone (0700), with its parents.

    One that is there keeps its mode: others may read names in it, and nothing that we make there is readable to them.

    Raises:
        BackupError: it cannot be created or written, or is not ours alone (``trusted``).
    """
    trusted.require(path, ANOTHER)
    try:
        for directory in reversed([parent for parent in path.parents if not parent.exists()]):
            directory.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BackupError(f"{path} may not be written by this user", f"name {ANOTHER}")


def private_file(path: Path) -> IO[bytes]:
    """Open a new file of its owner's alone (0600) for writing."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write(path: Path, data: bytes) -> None:
    """Write a new private file (0600) and put it on disk.

    Raises:
        BackupError: the disk is full, or the directory is not there.
    """
    with translate_os_errors(path), private_file(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Write a private file in place of an older one; a reader sees the old or the new, never half.

    Raises:
        BackupError: the disk is full, or the directory is not there.
    """
    with translate_os_errors(path):
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:  # its mode is 0600
            aside.write(data)
            aside.flush()
            os.fsync(aside.fileno())
        Path(aside.name).replace(path)
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


def regular(directory: Path, name: str) -> Path:
    """Return the path of a file below a directory, if it is one and no link leads there (issue 14).

    Args:
        name: relative to the directory; never ``..`` or absolute.

    Raises:
        BackupError: it is missing, is not a file, or a symbolic link is on the way.
    """
    path, mode = directory, 0
    for part in name.split("/"):
        path /= part
        try:
            mode = path.lstat().st_mode
        except (OSError, ValueError) as error:
            raise BackupError(f"{name} is missing in {directory}", "use another backup") from error
        if S_ISLNK(mode):
            raise BackupError(
                f"{name} in {directory} is a symbolic link: a backup has none",
                f"do not use it: somebody else has changed it; where it leads: {shlex.join(['ls', '-l', str(path)])}",
            )
    if not S_ISREG(mode):
        raise BackupError(f"{name} in {directory} is not a file", "do not use it: somebody else has changed it")
    return path


def free(path: Path) -> int:
    """Return the bytes that the disk of an existing directory has left for this user."""
    return shutil.disk_usage(path).free


@contextmanager
def translate_os_errors(path: Path) -> Generator[None]:
    """Tell what the operating system refuses on the disk of ``path`` as an error of ours.

    Raises:
        BackupError: the disk is full, or something there cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise unusable(path if error.filename is None else Path(os.fsdecode(error.filename)), error) from error
    except sqlite3.OperationalError as error:  # how SQLite says that the disk of its file is full
        raise _unusable(path, str(error)) from error


@contextmanager
def alone(root: Path) -> Generator[None]:
    """Hold a directory while names in it are taken or cleared: several runs may share it."""
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def unusable(path: Path, error: OSError) -> BackupError:
    """Say what the operating system said of a path, and what to do."""
    return _unusable(path, error.strerror or str(error))


def _unusable(path: Path, said: str) -> BackupError:
    return BackupError(f"{path}: {said}", f"make room or name {ANOTHER}; df -h shows what is free")
