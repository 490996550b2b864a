"""Private directories for what has to be written meanwhile; a run that is killed leaves none for long (issue 14)."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryDirectory, gettempdir, mkdtemp

from openab_sop import storage

PREFIX = "openab-sop-scratch-"
"""What their names begin with."""


@contextmanager
def scratch(within: Path | None = None) -> Generator[Path]:
    """Give a private directory for what has to be written meanwhile; it is gone afterwards.

    If this run is killed, the next one that needs such a directory removes it (issue 14).

    Args:
        within: a private directory that goes in the same way; the system's temporary one if none is given.

    Raises:
        BackupError: it cannot be made.
    """
    clear()
    if within is not None:
        with storage.translate_os_errors(within):
            own = TemporaryDirectory(dir=within, prefix=f".{PREFIX}")
        with own as name:
            yield Path(name)
        return
    with storage.translate_os_errors(Path(gettempdir())):
        path, lock = _held()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def clear() -> None:
    """Remove the scratch directories of this user's runs that are dead."""
    for path in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _held() -> tuple[Path, int]:
    """Make one and lock it; another run may have taken it for a dead one's in between."""
    while True:
        path = Path(mkdtemp(prefix=PREFIX))  # 0700
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)
