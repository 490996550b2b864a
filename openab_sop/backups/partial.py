"""A directory that is complete or is not there: written under a hidden name, and renamed at the end (SOP 2.10).

A run that is killed leaves it behind under the hidden name: nobody takes that for a backup, and the next run that uses
the backup root removes it. The private copy of an encrypted backup that is looked into is one that never completes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

from openab_sop import storage
from openab_sop.backups.backup import ASIDE, MANIFEST, MOMENT, PARTIAL, PREFIX, SIGNATURE
from openab_sop.journal import Journal


class Partial:
    """The directory of a backup in the making, or its like; held by a lock for as long as its run lives.

    Args:
        root: where backups are kept; created private if it is not there.
        journal: where it is recorded what an earlier run has left.
        prefix: what its name begins with once it is complete.

    Raises:
        BackupError: the root cannot be used.
    """

    def __init__(self, root: Path, journal: Journal, prefix: str = PREFIX) -> None:
        self.started = datetime.now(UTC)
        self._format = f"{prefix}{MOMENT}"
        self.path = root / f".{self.started.strftime(self._format)}.{token_hex(4)}{PARTIAL}"
        self._root = root
        self._journal = journal
        storage.private_directory(root)
        with storage.translate_os_errors(root), storage.alone(root):
            remove_abandoned(root, journal)
            self.path.mkdir(mode=0o700)
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def complete(
        self, manifest: Callable[[str], bytes] | None = None, sign: Callable[[bytes], bytes] | None = None
    ) -> Path:
        """Give the directory its name: from here on it is what it is called, and all of it is on disk.

        Args:
            manifest: returns the content of ``backup.json`` for the name that a backup gets.
            sign: returns a signature over that, which is kept beside it.

        Returns:
            Its path.

        Raises:
            BackupError: the disk is full. ToolError: it cannot be signed.
        """
        with storage.translate_os_errors(self.path):
            storage.sync_tree(self.path)
            with storage.alone(self._root):
                target = self._free_name()
                if manifest:
                    text = manifest(target.name)
                    if sign:
                        storage.replace(self.path / SIGNATURE, sign(text))
                    storage.write(self.path / MANIFEST, text)
                storage.sync(self.path)
                with self._journal.action("complete backup" if manifest else "set aside", directory=str(target)):
                    self.path.rename(target)
                    storage.sync(self._root)
        self._release()
        return target

    def discard(self) -> None:
        """Remove it, unless it was completed."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            self._release()

    def _release(self) -> None:
        os.close(self._lock)
        self._lock = -1

    def _free_name(self) -> Path:
        """The name of the moment when it was begun, or of the next second that no other backup has."""
        moment = self.started
        while (target := self._root / moment.strftime(self._format)).exists():
            moment += timedelta(seconds=1)
        return target


def remove_abandoned(root: Path, journal: Journal) -> list[str]:
    """Remove what killed runs have left below a backup root; returns the names."""
    stale = abandoned(root)
    for directory in stale:
        with journal.action("remove what a killed run left", directory=directory.name):
            shutil.rmtree(directory)
    return [directory.name for directory in stale]


def abandoned(root: Path) -> list[Path]:
    """Return what killed runs have left below a backup root: what no living run holds."""
    found = (path for prefix in (PREFIX, ASIDE) for path in root.glob(f".{prefix}*{PARTIAL}"))
    return [path for path in found if not _held(path)]


def _held(directory: Path) -> bool:
    """Tell whether a living run holds a directory, or has just completed or removed it."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
