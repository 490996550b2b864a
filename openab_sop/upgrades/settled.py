"""How the volumes were when a version had settled: what changes after that is the agent's own work (SOP 3.3, 4.3).

The lists lie beside the state until another upgrade begins: a gate may wait for days, and a rollback come later still.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from openab_sop import storage
from openab_sop.backups.inventory import read
from openab_sop.errors import BackupError
from openab_sop.restores.changes import VolumeSince


@dataclass(frozen=True)
class Settled:
    """The lists of one upgrade's present phase.

    Args:
        directory: where they are kept.
    """

    directory: Path

    def take(self, key: str, since: VolumeSince) -> None:
        """Take down what is on a volume now.

        Raises:
            BackupError: the disk is full.
        """
        storage.private_directory(self.directory)
        path = self._path(key)
        path.unlink(missing_ok=True)
        with storage.translate_os_errors(path), storage.private_file(path) as file:
            file.writelines(f"{entry.as_line()}\n".encode() for entry in since.entries())

    def changes_since(self, key: str, since: VolumeSince) -> str:
        """Say what has changed on a volume since then, and by how many bytes; empty if it is not known, or nothing."""
        try:
            with self._path(key).open() as lines:
                changes, grown = since.compared_with(read(lines))
        except (OSError, BackupError):  # of an earlier version, or damaged: it is only told
            return ""
        return f"{changes}; {grown:+,} bytes" if changes.added or changes.changed or changes.removed else ""

    def forget(self) -> None:
        """Throw the lists away: another upgrade begins."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.directory / f"{quote(key, safe='')}.jsonl"
