"""A backup: a directory that is complete or is not there (SOP 2.10).

Layout: ``backup.json`` lists every file with its digest. Release-wide files are at the top; below, one directory per
agent named as its Deployment, with the SOP's names: agents/, steering/, skills/, hosts.yml, kiro-auth.sqlite3 and
pvc-data/, which holds the whole home (``home.tar``) and its Contents (``contents.jsonl``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs
from cattrs.errors import BaseValidationError

from openab_sop import bounded, storage
from openab_sop.agents.workload import volume_key
from openab_sop.errors import BackupError

SCHEMA = 2
"""The newest form of ``backup.json``."""
PLAIN = 1
"""The form without further volumes, which older tools read too: where there are some, they must not pass them over."""
PARTIAL = ".partial"
"""End of the hidden name of what is not, or no longer, a backup; the next run removes it."""
MANIFEST = "backup.json"
HOME = "pvc-data/home.tar"
CONTENTS = "pvc-data/contents.jsonl"
PREFIX = "openab-backup-"
ASIDE = "openab-aside-"
"""What the names of directories begin with that hold what a restore has set aside."""
MOMENT = "%Y%m%d-%H%M%S"
"""How names tell when they were begun, in UTC."""
NAME_FORMAT = f"{PREFIX}{MOMENT}"
"""In UTC."""

TAKE = "pytest suites/backup, then run this again"
RETAKE = "do not rely on it; take a new backup: pytest suites/backup"


@dataclass(frozen=True)
class StoredFile:
    """One file of a backup: path below its directory, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


Apply = Callable[[Callable[[Path], StoredFile], Iterable[Path]], Iterator[StoredFile]]


@dataclass(frozen=True)
class StoredAgent:
    """What a backup knows of one agent, or of a further volume of it.

    Attributes:
        items: how each of the SOP's items came out: "kept" or "absent".
        entries, files, bytes: how many names the home has, how many files, and the bytes in those.
        databases: paths of the SQLite databases, which were copied consistently.
        volume: name of the further volume; empty for the home.
        inside: where in the home it is mounted, as ``Agent.inside`` has it.
    """

    deployment: str
    home: str
    claim: str | None
    claim_uid: str | None
    image: str
    image_id: str
    node: str
    items: dict[str, str]
    entries: int
    files: int
    bytes: int
    databases: tuple[str, ...]
    volume: str = ""
    inside: str = ""

    @property
    def key(self) -> str:
        """Its directory in the backup, as ``Agent.key`` has it."""
        return volume_key(self.deployment, self.volume)


@dataclass(frozen=True)
class Manifest:
    """``backup.json``: what was backed up, of which revision, and every file of the backup.

    Attributes:
        created: when it was begun, in UTC.
        sealed_to: public keys of those who can read its files; empty if they are not encrypted.
        volumes: the agents' volumes beside their homes.
        uncovered: what of the release's data is not in the backup, in words.
    """

    schema: int
    tool: str
    name: str
    sealed_to: tuple[str, ...]
    created: str
    cluster: str
    context: str
    namespace: str
    release: str
    revision: int
    chart: str
    version: str
    agents: tuple[StoredAgent, ...]
    contents: tuple[StoredFile, ...]
    volumes: tuple[StoredAgent, ...] = ()
    uncovered: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[StoredAgent, ...]:
        """Every volume that it holds: homes, and those beside them."""
        return (*self.agents, *self.volumes)

    def as_json(self) -> bytes:
        """Return the text of ``backup.json``."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes, path: Path | str) -> Manifest:
        """Read ``backup.json``, which is at ``path``.

        Raises:
            BackupError: it is damaged, or of a newer tool.
        """
        try:
            data = bounded.load_json(text, str(path))
            if (schema := int(data["schema"])) > SCHEMA:
                raise BackupError(
                    f"{path} has schema {schema}; this tool knows {SCHEMA}",
                    "use the version of openab-sop that wrote it",
                )
            manifest = cattrs.structure(data, cls)
            manifest.check_numbers()
            inside = all(_is_below(name) for name in manifest.names())
        except (ValueError, TypeError, KeyError, OverflowError, BaseValidationError) as error:
            raise BackupError(f"{path} is damaged", RETAKE) from error
        if not inside:
            raise BackupError(f"{path} names files outside its directory", RETAKE)
        return manifest

    def check_numbers(self) -> None:
        """Refuse numbers that nothing has: they are added up, and compared with what is there.

        Raises:
            ValueError: there are some.
        """
        counts = [number for one in self.stored for number in (one.entries, one.files, one.bytes)]
        numbers = [self.revision, *(file.size for file in self.contents), *counts]
        if min(numbers) < 0 or max(numbers) >= 1 << 63:
            raise ValueError("it has numbers that nothing has")

    def is_of(self, cluster: str, namespace: str, release: str) -> bool:
        """Tell whether the backup is of a release."""
        return (self.cluster, self.namespace, self.release) == (cluster, namespace, release)

    def names(self) -> Iterator[str]:
        """Yield every name of a file or directory in it."""
        yield from (file.path for file in self.contents)
        yield from (stored.key for stored in self.stored)


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk, where its files can be read.

    Attributes:
        url: where it is kept, if the directory is but a copy.
        recipients: public keys of those to whom it is encrypted, if the directory is an opened copy.
    """

    directory: Path
    manifest: Manifest
    url: str = ""
    recipients: tuple[str, ...] = ()

    @classmethod
    def load(cls, directory: Path) -> Backup:
        """Open a backup.

        Raises:
            BackupError: the directory is none.
        """
        path = directory / MANIFEST
        try:
            if path.stat().st_size > bounded.LARGEST:
                raise BackupError(f"{path} is longer than {bounded.LARGEST} bytes", RETAKE)
            return cls(directory, Manifest.parse(path.read_bytes(), path))
        except OSError as error:
            raise BackupError(
                f"{directory} is not a backup: {path.name}: {error.strerror}", "name one with --backup=DIR"
            ) from error

    @property
    def place(self) -> str:
        """Where it is kept: its URL or its directory, as ``--backup`` takes it."""
        return self.url or str(self.directory)

    @property
    def name(self) -> str:
        """The last part of that, which tells when it was begun."""
        return self.place.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.manifest.contents)


def find(root: Path, name: str | None) -> Backup:
    """Open the backup that was named.

    Args:
        root: the backup root.
        name: value of ``--backup``: a path, or a name below the root.

    Raises:
        BackupError: none was named, or it is none.
    """
    if name is None:
        raise BackupError(
            "no backup was named", "name one with --backup=DIR; pytest suites/cleanup lists those that there are"
        )
    path = Path(name).expanduser()
    return Backup.load((path if path.is_dir() else root / name).absolute())


def newest(root: Path, cluster: str, namespace: str, release: str) -> Backup | None:
    """Return the newest backup of a release below a root; one that cannot be opened is passed over."""
    for directory in sorted(root.glob(f"{PREFIX}*"), reverse=True):
        try:
            backup = Backup.load(directory)
        except BackupError:
            continue
        if backup.manifest.is_of(cluster, namespace, release):
            return backup
    return None


def is_home(path: str) -> bool:
    """Tell whether a file of a backup holds a home or its Contents; encrypted ones too."""
    return "/pvc-data/" in path


def _is_below(name: str) -> bool:
    """Tell whether a name leads below a directory: somebody else may have written ``backup.json``."""
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


def files_below(directory: Path, apply: Apply = map) -> Iterator[StoredFile]:
    """Yield every file of a backup's directory but ``backup.json`` itself, by its path.

    Args:
        apply: as ``map``; an executor's digests them beside what else is done. Which files there are is seen at once.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return apply(
        lambda path: StoredFile(str(path.relative_to(directory)), path.stat().st_size, storage.digest(path)), files
    )
