"""A backup: a directory that is complete or is not there (SOP 2.10), and how it is proved later.

Layout: ``backup.json`` lists every file with its digest. Release-wide files are at the top; below, one directory per
agent named as its Deployment, with the SOP's names: agents/, steering/, skills/, hosts.yml, kiro-auth.sqlite3 and
pvc-data/, which holds the whole home (``home.tar``) and its Contents (``contents.jsonl``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs
from cattrs.errors import BaseValidationError

from openab_sop import database, storage
from openab_sop.archive import read_back
from openab_sop.contents import comparison, read
from openab_sop.errors import BackupError, SopError
from openab_sop.verdict import Finding, Verdict

SCHEMA = 1
PARTIAL = ".partial"
"""End of the hidden name of what is not, or no longer, a backup; the next run removes it."""
MANIFEST = "backup.json"
HOME = "pvc-data/home.tar"
CONTENTS = "pvc-data/contents.jsonl"
NAME_FORMAT = "openab-backup-%Y%m%d-%H%M%S"
"""In UTC."""

_RETAKE = "do not rely on it; take a new backup: pytest suites/backup"


@dataclass(frozen=True)
class StoredFile:
    """One file of a backup: path below its directory, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class StoredAgent:
    """What a backup knows of one agent.

    Attributes:
        items: how each of the SOP's items came out: "kept" or "absent".
        entries, files, bytes: how many names the home has, how many files, and the bytes in those.
        databases: paths of the SQLite databases, which were copied consistently.
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


@dataclass(frozen=True)
class Manifest:
    """``backup.json``: what was backed up, of which revision, and every file of the backup."""

    schema: int
    tool: str
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

    def as_json(self) -> bytes:
        """Return the text of ``backup.json``."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, text: str, path: Path) -> Manifest:
        """Read ``backup.json``.

        Raises:
            BackupError: it is damaged, or of a newer tool.
        """
        try:
            data = json.loads(text)
            if (schema := int(data["schema"])) > SCHEMA:
                raise BackupError(
                    f"{path} has schema {schema}; this tool knows {SCHEMA}",
                    "use the version of openab-sop that wrote it",
                )
            return cattrs.structure(data, cls)
        except (ValueError, TypeError, KeyError, BaseValidationError) as error:
            raise BackupError(f"{path} is damaged", _RETAKE) from error


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk."""

    directory: Path
    manifest: Manifest

    @classmethod
    def load(cls, directory: Path) -> Backup:
        """Open a backup.

        Raises:
            BackupError: the directory is none.
        """
        path = directory / MANIFEST
        try:
            return cls(directory, Manifest.parse(path.read_text(), path))
        except OSError as error:
            raise BackupError(
                f"{directory} is not a backup: {path.name}: {error.strerror}", "name one with --backup=DIR"
            ) from error

    @property
    def name(self) -> str:
        """Its directory's name, which tells when it was begun."""
        return self.directory.name

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
            "no backup was named", f"name one with --backup=DIR; pytest suites/cleanup lists those in {root}"
        )
    path = Path(name).expanduser()
    return Backup.load((path if path.is_dir() else root / name).absolute())


def verify(directory: Path, manifest: Manifest) -> Verdict:
    """Prove a backup by reading all of it (SOP 2.9): every digest, every file of every home, every database."""
    findings = list(_damaged_files(directory, manifest))
    if not findings:
        for agent in manifest.agents:
            findings += _damaged_home(directory / agent.deployment, agent)
    return Verdict(f"backup {directory.name} read back in full", tuple(findings))


def _damaged_files(directory: Path, manifest: Manifest) -> Iterator[Finding]:
    for file in manifest.contents:
        path = directory / file.path
        if not path.is_file():
            yield Finding(file.path, "missing", "as when it was written", _RETAKE)
        elif storage.digest(path) != file.sha256:
            yield Finding(file.path, "its content has changed", f"SHA-256 {file.sha256}", _RETAKE)


def _damaged_home(directory: Path, agent: StoredAgent) -> Iterator[Finding]:
    """Compare a home's archive, read back member by member, with its Contents."""
    archive, contents = directory / HOME, directory / CONTENTS
    with comparison(directory) as table:
        with contents.open() as lines:
            for entry in read(lines):
                table.add("pod", entry)
        for member in read_back(archive):
            table.add("copy", table.linked("copy", member.entry))
        for entry in table.differing():
            if entry.path != ".":
                yield Finding(
                    f"{agent.deployment}: {entry.path}",
                    "the archive has it otherwise",
                    "as the Contents say",
                    _RETAKE,
                )
        for path in agent.databases:
            try:
                database.check(archive, path, filter(None, (table.get("pod", part) for part in database.parts(path))))
            except SopError as error:
                yield Finding(f"{agent.deployment}: {path}", error.problem, "a sound database", error.next_step)
