"""What a restore takes off a volume: kept below the backup root until somebody throws it away (SOP 5.1, 6.1).

A directory for each restore; in it, for each volume: an archive, the names in it, and what they were taken from. Where
the backup is encrypted, archive and names are so too, to the same recipients.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openab_sop import bounded, storage
from openab_sop.backups import encryption
from openab_sop.backups.archive import Archive
from openab_sop.errors import InvalidDocument
from openab_sop.escape import command

ARCHIVE, NAMES, INDEX = "aside.tar", "aside.txt", "aside.json"


@dataclass(frozen=True)
class Aside:
    """What was set aside of one volume.

    Attributes:
        kubeconfig, context, namespace, release, deployment, container: where it was.
        home: path of the volume in the container.
        backup: name of the backup that was restored over it.
        names: how many names it has.
        sealed_to: public keys of those who can read it; empty if it is not encrypted.
    """

    kubeconfig: str
    context: str
    namespace: str
    release: str
    deployment: str
    container: str
    home: str
    backup: str
    names: int
    sealed_to: tuple[str, ...] = ()

    def back(self, directory: Path) -> str:
        """Return the command that brings it back onto the volume, over what is there.

        Args:
            directory: where it is.
        """
        words = ("kubectl", f"--context={self.context}", f"--namespace={self.namespace}", "exec", "--stdin")
        target = (f"deployment/{self.deployment}", f"--container={self.container}", "--")
        extract = command(*words, *target, "tar", "--extract", f"--directory={self.home}", "--file=-")
        into = f"KUBECONFIG={command(self.kubeconfig)} {extract}"
        archive = str(directory / ARCHIVE)
        if not self.sealed_to:
            return f"{into} <{command(archive)}"
        return f"{command('age', '--decrypt', '--identity=KEY', archive + encryption.SUFFIX)} | {into}"


def close(directory: Path, about: Aside, archive: Archive, names: Iterable[str], recipients: Iterable[str]) -> Aside:
    """Complete what was set aside of a volume; afterwards nothing of it is readable to others.

    Args:
        archive: what was taken, closed.
        names: of what is in it.
        recipients: public keys to whom it is encrypted; empty to leave it as it is.

    Raises:
        BackupError: the disk is full.
    """
    keys = encryption.parse_recipients(tuple(recipients))
    storage.write(directory / NAMES, "\n".join(map(repr, names)).encode())
    if keys:
        with storage.translate_os_errors(directory):
            encryption.seal_files((archive.path, directory / NAMES), keys.values())
    closed = replace(about, sealed_to=tuple(keys))
    storage.write(directory / INDEX, json.dumps(asdict(closed), indent=2).encode() + b"\n")
    return closed


def below(directory: Path) -> Iterator[tuple[Path, Aside]]:
    """Yield what one restore has set aside: the directory of each volume, and what was taken from there."""
    for index in sorted(directory.rglob(INDEX)):
        yield index.parent, _structured(index)


def _structured(index: Path) -> Aside:
    """Read an index.

    Raises:
        ValueError: it is none.
    """
    try:
        return bounded.load_as(Aside, index.read_bytes(), str(index))
    except InvalidDocument as error:
        raise ValueError(error.problem) from error
    except OSError as error:
        raise ValueError(f"{index} cannot be read: {error}") from error
