"""A backup: a directory that is complete or is not there (SOP 2.10).

Layout: ``backup.json`` lists every file with its digest. Release-wide files are at the top; below, one directory per
agent named as its Deployment, with the SOP's names: agents/, steering/, skills/, hosts.yml, kiro-auth.sqlite3 and
pvc-data/, which holds the whole home (``home.tar``) and its Contents (``contents.jsonl``).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cattrs
from cattrs.errors import BaseValidationError

from openab_sop import bounded, storage
from openab_sop.agents.workload import volume_key
from openab_sop.backups import schema
from openab_sop.backups.schema import Refused
from openab_sop.errors import BackupError, InvalidDocument

SCHEMA = 2
"""The newest form of ``backup.json``."""
PLAIN = 1
"""The form without further volumes, which older tools read too: where there are some, they must not pass them over."""
PARTIAL = ".partial"
"""End of the hidden name of what is not, or no longer, a backup; the next run removes it."""
MANIFEST = "backup.json"
SIGNATURE = "backup.json.sig"
"""An SSH signature over ``backup.json``, where one was wanted."""
HISTORY = "helm-history.json"
HOME = "pvc-data/home.tar"
CONTENTS = "pvc-data/contents.jsonl"
PREFIX = "openab-backup-"
ASIDE = "openab-aside-"
"""What the names of directories begin with that hold what a restore has set aside."""
MOMENT = "%Y%m%d-%H%M%S"
"""How names tell when they were begun, in UTC."""
NAME_FORMAT = f"{PREFIX}{MOMENT}"
"""In UTC."""

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

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
class BackupManifest:
    """``backup.json``: what was backed up, of which revision, and every file of the backup.

    Attributes:
        created: when it was begun, in UTC.
        sealed_to: public keys of those who can read its files; empty if they are not encrypted.
        volumes: the agents' volumes beside their homes.
        uncovered: what of the release's data is not in the backup, in words.
        cluster_also: further names of the cluster, for callers who may not know the first.
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
    cluster_also: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[StoredAgent, ...]:
        """Every volume that it holds: homes, and those beside them."""
        return (*self.agents, *self.volumes)

    @property
    def claims(self) -> dict[str, str]:
        """The UIDs of its volumes' claims by key, as far as they are known."""
        return {stored.key: stored.claim_uid for stored in self.stored if stored.claim_uid}

    def as_json(self) -> bytes:
        """Return the text of ``backup.json``."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes, path: Path | str) -> BackupManifest:
        """Read ``backup.json``, which is at ``path``.

        Raises:
            BackupError: it is damaged, of a newer tool, or has a value that may not be there (``schema``).
        """
        schema.require_size(len(text), path)
        try:
            data = bounded.load_json(text, str(path))
            if (number := int(data["schema"])) > SCHEMA:
                raise BackupError(
                    f"{path} has schema {number}; this tool knows {SCHEMA}",
                    "use the version of openab-sop that wrote it",
                )
            schema.check(data)
            return cattrs.structure(data, cls)
        except Refused as error:
            raise BackupError(f"{path} is damaged, or this tool has not written it: {error}", RETAKE) from error
        except InvalidDocument as error:
            message = f"{path} is damaged, or this tool has not written it: {error.problem}"
            raise BackupError(message, RETAKE) from error
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, BaseValidationError) as error:
            raise BackupError(f"{path} is damaged", RETAKE) from error

    def is_of(self, cluster: Collection[str], namespace: str, release: str) -> bool:
        """Tell whether the backup is of a release of a cluster that has these names."""
        return self.is_from(cluster) and (self.namespace, self.release) == (namespace, release)

    def is_from(self, cluster: Collection[str]) -> bool:
        """Tell whether the backup is of a cluster that has these names.

        Clusters may have an authority in common, or one that was made anew with the old one; the UID of kube-system is
        of one alone, so it settles the matter where both sides know it.
        """
        ours, theirs = {self.cluster, *self.cluster_also}, set(cluster)
        uids = {name for name in ours if _UID.fullmatch(name)}, {name for name in theirs if _UID.fullmatch(name)}
        return uids[0] == uids[1] if all(uids) else not ours.isdisjoint(theirs)

    def listed(self, path: str) -> StoredFile:
        """Return what is said of a file.

        Raises:
            BackupError: nothing is.
        """
        for file in self.contents:
            if file.path == path:
                return file
        raise BackupError(f"backup.json does not list {path}", "use another backup: only files that it lists count")


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk, where its files can be read.

    Attributes:
        url: where it is kept, if the directory is but a copy.
        recipients: public keys of those to whom it is encrypted, if the directory is an opened copy.
        strangers: names that are where it is kept and are not listed, if the directory is but a copy.

    Only files that ``backup.json`` lists are its own, and only as long as they have the digests that it lists: whatever
    acts on a file takes it from ``path``, ``file`` or ``read``, never from the directory (issue 14).
    """

    directory: Path
    manifest: BackupManifest
    url: str = ""
    recipients: tuple[str, ...] = ()
    strangers: tuple[str, ...] | None = None
    _intact: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]], compare=False, repr=False)

    @classmethod
    def load(cls, directory: Path) -> Backup:
        """Open a backup.

        Raises:
            BackupError: the directory is none.
        """
        path = directory / MANIFEST
        try:
            if os.path.lexists(path):
                storage.regular(directory, MANIFEST)
            schema.require_size(path.stat().st_size, path)
            return cls(directory, BackupManifest.parse(path.read_bytes(), path))
        except OSError as error:
            raise BackupError(
                f"{directory} is not a backup: {path.name}: {error.strerror}", "name one with --backup=DIR"
            ) from error

    def path(self, name: str) -> Path:
        """Return where a listed file is; its content may be another one (``file``).

        Raises:
            BackupError: it is not listed, not there, not a file, or behind a symbolic link.
        """
        self.manifest.listed(name)
        return storage.regular(self.directory, name)

    def file(self, name: str) -> Path:
        """Return where a listed file is, whose content has the digest that is listed; it is read once a run.

        Raises:
            BackupError: as ``path``; or its content is another one.
        """
        path = self._of_its_size(name)
        state = _state(path)
        if self._intact.get(name) != state:
            self.require_intact(name, storage.digest(path))
            self._intact[name] = state
        return path

    def read(self, name: str) -> bytes:
        """Return the content of a small listed file; its digest is that of what is returned.

        Raises:
            BackupError: as ``file``; or it cannot be read.
        """
        path = self._of_its_size(name)
        schema.require_size(self.manifest.listed(name).size, path)
        with storage.translate_os_errors(path):
            content = path.read_bytes()
        self.require_intact(name, hashlib.sha256(content).hexdigest())
        return content

    def _of_its_size(self, name: str) -> Path:
        path = self.path(name)
        if path.stat().st_size != self.manifest.listed(name).size:
            raise _changed(name)
        return path

    def deployed(self) -> list[int]:
        """Return the revisions that were deployed when it was taken, as ``helm-history.json`` has them (SOP 4.2).

        Raises:
            BackupError: the file has not what it was made of.
        """
        try:
            rows = bounded.load_json(self.read(HISTORY), HISTORY)
            return [int(row["revision"]) for row in rows if row["status"] == "deployed"]
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            raise BackupError(f"{HISTORY} of backup {self.name} is no history of a release", RETAKE) from error

    def require_intact(self, name: str, digest: str) -> None:
        """Stop if a file that was read has another digest than the one that is listed.

        Raises:
            BackupError: it has.
        """
        if digest != self.manifest.listed(name).sha256:
            raise _changed(name)

    def state(self, name: str) -> tuple[int, ...]:
        """Return what of a listed file is another as soon as somebody writes to it."""
        return _state(self.path(name))

    def vouch_for(self, name: str, state: tuple[int, ...]) -> None:
        """Take down that a file was read and has its digest: ``file`` need not read it again.

        Args:
            state: of the file, before it was read.
        """
        self._intact[name] = state

    def unlisted(self) -> tuple[str, ...]:
        """Return what is where it is kept and is not listed: nobody acts on it."""
        if self.strangers is not None:
            return self.strangers
        listed = {file.path for file in self.manifest.contents}
        return tuple(name for name in names_below(self.directory) if name not in listed and not _is_ours(name))

    @property
    def scratch(self) -> Path | None:
        """Where what is taken out of it may be written meanwhile: into a private copy, which goes when the run ends.

        None if it is no copy: what it holds is on the disk as it is, and the system's temporary directory will do.
        """
        return self.directory if self.strangers is not None else None

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


def newest(root: Path, cluster: Collection[str], namespace: str, release: str) -> Backup | None:
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


def _changed(name: str) -> BackupError:
    return BackupError(f"the content of {name} has changed since it was backed up", RETAKE)


def _is_ours(name: str) -> bool:
    """Tell whether a name that is not listed is this tool's: earlier versions listed no ``backup.json`` of a home."""
    return name == SIGNATURE or name.rpartition("/")[2] == MANIFEST


def _state(path: Path) -> tuple[int, ...]:
    """What is another one as soon as somebody has written to a file."""
    found = path.lstat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def names_below(directory: Path) -> list[str]:
    """Return the name of whatever is below a directory and is not a directory itself, sorted; links are not followed.

    Raises:
        BackupError: a directory cannot be read.
    """

    def stop(error: OSError) -> None:
        raise error

    found: list[str] = []
    with storage.translate_os_errors(directory):
        for parent, directories, files in os.walk(directory, onerror=stop):
            links = [name for name in directories if Path(parent, name).is_symlink()]
            found += [str(Path(parent, name).relative_to(directory)) for name in (*files, *links)]
    return sorted(found)


def files_below(directory: Path, apply: Apply = map) -> Iterator[StoredFile]:
    """Yield every file of a backup's directory but ``backup.json`` and its signature, by its path.

    Args:
        apply: as ``map``; an executor's digests them beside what else is done. Which files there are is seen at once.
    """
    files = [storage.regular(directory, name) for name in names_below(directory) if name not in (MANIFEST, SIGNATURE)]
    return apply(
        lambda path: StoredFile(str(path.relative_to(directory)), path.stat().st_size, storage.digest(path)), files
    )
