"""Backups in a store: complete or not there, as on a disk, with ``backup.json`` in place of the rename (SOP 2.10).

A backup is made and proved on the local disk, then sent file by file, each read back, ``backup.json`` last; it is
deleted in the opposite order. While either is under way the backup's directory has a claim in it, which says who is at
work. What has a claim of a run that is dead, and no ``backup.json``, is removed by the next run that uses the store.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import randbelow, token_hex

from openab_sop import storage
from openab_sop.backups import backup, schema
from openab_sop.backups.backup import MANIFEST, NAME_FORMAT, RETAKE, SIGNATURE, TAKE, Backup, BackupManifest, StoredFile
from openab_sop.backups.encryption import opened
from openab_sop.backups.partial import Partial
from openab_sop.backups.store import Store, parse
from openab_sop.cluster.owner import is_dead, owner
from openab_sop.errors import BackupError
from openab_sop.journal import Journal

Progress = Callable[[str, int, int], None]
"""Told what is copied, the bytes that have arrived and those that are expected."""

CLAIM = ".claim-"
"""Begin of the name of a claim."""
STALE = timedelta(days=2)
"""Age of a claim, made on another machine, whose run is taken for dead."""

LONGEST_CLAIM = 1000
"""Bytes of a claim that are read."""
ATTEMPTS = 20
"""Names that are tried for a backup."""

NEWEST = "newest"
"""What stands for the name of the newest backup of a release."""
_NAME = re.compile(rf"{backup.PREFIX}\d{{8}}-\d{{6}}")


def _quiet(*_: object) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class RemoteBackup:
    """A complete backup in a store."""

    store: Store
    name: str
    manifest: BackupManifest

    @property
    def place(self) -> str:
        """Where it is kept, as ``--backup`` takes it."""
        return f"{self.store.url}/{self.name}"

    @classmethod
    def load(cls, store: Store, name: str) -> RemoteBackup:
        """Read its ``backup.json``.

        Raises:
            BackupError: there is none, or it is damaged, of a newer tool, or of another backup.
        """
        place = f"{store.url}/{name}"
        size = store.files(name).get(MANIFEST)
        if size is None:
            raise BackupError(f"{place} is not a backup: it has no {MANIFEST}", "name one with --backup=URL")
        schema.require_size(size, f"{place}/{MANIFEST}")
        manifest = BackupManifest.parse(store.read(f"{name}/{MANIFEST}"), place)
        if manifest.name != name:
            raise BackupError(f"{place}/{MANIFEST} is of backup {manifest.name}", RETAKE)
        return cls(store, name, manifest)

    def strangers(self) -> tuple[str, ...]:
        """Return what is in its directory and is not listed, but for claims; nothing of it is ever fetched."""
        listed = {MANIFEST, SIGNATURE, *(file.path for file in self.manifest.contents)}
        return tuple(path for path in self.store.files(self.name) if path not in listed and not path.startswith(CLAIM))

    def damage(self, *, quick: bool) -> str:
        """Tell what of its files is not as it was written, in words; empty if all is.

        Args:
            quick: look at their sizes only, do not read them.
        """
        sizes = self.store.files(self.name)
        wrong = [file.path for file in self.manifest.contents if sizes.get(file.path) != file.size]
        if wrong or quick:
            return f"missing or of another size: {', '.join(wrong)}" if wrong else ""
        wrong = [file.path for file in self.manifest.contents if _digest(self.store, self.name, file) != file.sha256]
        return f"changed: {', '.join(wrong)}" if wrong else ""


def names(store: Store) -> list[str]:
    """Return the names of a store's backups, complete or not, oldest first."""
    return [name for name in store.names() if _NAME.fullmatch(name)]


def find(
    root: Path,
    store: Store | None,
    name: str | None,
    namespace: str | None = None,
    release: str | None = None,
    cluster: Collection[str] | None = None,
) -> Backup | RemoteBackup:
    """Open the backup that was named.

    Args:
        root: the local backup root.
        store: the one elsewhere.
        name: value of ``--backup``: a URL, a path, a name below the root, or ``newest``.
        namespace, release, cluster: of which the newest is wanted; None where there is but one.

    Raises:
        BackupError: none was named, or it is none.
        SettingsError: it is no URL.
    """
    if name == NEWEST:
        return _newest_of(root, store, namespace, release, cluster)
    if name and "://" in name and isinstance(url := parse(name), str):
        parent, _, last = url.rpartition("/")
        return RemoteBackup.load(Store(parent), last)
    if name and store and _NAME.fullmatch(name):
        return RemoteBackup.load(store, name)
    return backup.find(root, str(parse(name)) if name and "://" in name else name)


def _newest_of(
    root: Path, store: Store | None, namespace: str | None, release: str | None, cluster: Collection[str] | None
) -> Backup | RemoteBackup:
    """Return the newest backup that can be opened of the only release that is meant.

    Raises:
        BackupError: there is none, or there are backups of several releases.
    """
    found: dict[tuple[str, ...], Backup | RemoteBackup] = {}
    for name in reversed(names(store) if store else sorted(path.name for path in root.glob(f"{backup.PREFIX}*"))):
        with suppress(BackupError):
            one = RemoteBackup.load(store, name) if store else Backup.load(root / name)
            said = one.manifest
            asked = cluster is None or said.is_from(cluster)
            if asked and namespace in (None, said.namespace) and release in (None, said.release):
                found.setdefault((said.cluster if cluster is None else "", said.namespace, said.release), one)
    if len(found) > 1:
        known = ", ".join("/".join(key) for key in found)
        raise BackupError(f"--backup={NEWEST}: there are backups of {known}", "choose with --namespace and --release")
    if not found:
        raise BackupError(f"{store.url if store else root} has no backup of this release", TAKE)
    return next(iter(found.values()))


def newest(store: Store, cluster: Collection[str], namespace: str, release: str) -> RemoteBackup | None:
    """Return the newest backup of a release in a store; one that cannot be opened is passed over."""
    for name in reversed(names(store)):
        with suppress(BackupError):
            found = RemoteBackup.load(store, name)
            if found.manifest.is_of(cluster, namespace, release):
                return found
    return None


def latest(
    root: Path, store: Store | None, cluster: Collection[str], namespace: str, release: str
) -> Backup | RemoteBackup:
    """Return the newest backup of a release, below the local root or in the store elsewhere.

    Raises:
        BackupError: there is none.
    """
    wanted = (cluster, namespace, release)
    if found := newest(store, *wanted) if store else backup.newest(root, *wanted):
        return found
    raise BackupError(f"{store.url if store else root} has no backup of release {release}", TAKE)


@contextmanager
def fetched(
    found: Backup | RemoteBackup,
    root: Path,
    journal: Journal,
    progress: Progress = _quiet,
    wanted: Callable[[str], bool] = lambda _: True,
) -> Generator[Backup]:
    """Give a backup whose files are on the local disk: itself, or a private copy that is gone afterwards.

    Args:
        root: the local backup root, where the copy is made.
        wanted: which files are needed, by their path; the copy lists no others.

    A file that is missing, too short or too long is so in the copy too: to name that is left to who proves it.
    """
    if isinstance(found, Backup):
        yield found
        return
    copy = Partial(root, journal)
    try:
        there = found.store.files(found.name)
        contents = tuple(file for file in found.manifest.contents if wanted(file.path))
        arrived = _Counter(progress, f"fetching {found.name}", sum(file.size for file in contents))
        for file in contents:
            if file.path in there:
                _fetch(found, file, copy.path / file.path, arrived)
        place = f"{found.store.url}/{found.name}"
        yield Backup(copy.path, replace(found.manifest, contents=contents), place, strangers=found.strangers())
    finally:
        copy.discard()


@contextmanager
def readable(
    found: Backup | RemoteBackup,
    root: Path,
    identity: str | None,
    journal: Journal,
    progress: Progress = _quiet,
    wanted: Callable[[str], bool] = lambda path: True,
) -> Generator[Backup]:
    """Give a backup whose files can be read, wherever it is and whether or not it is encrypted.

    Args: as ``fetched`` and ``encryption.opened`` have them, which also say what they raise.
    """
    with fetched(found, root, journal, progress, wanted) as near, opened(near, identity, root, journal) as backup:
        yield backup


def upload(
    store: Store,
    source: Path,
    manifest: BackupManifest,
    journal: Journal,
    progress: Progress,
    sign: Callable[[bytes], bytes] | None = None,
) -> Backup:
    """Send a backup that was made on the local disk; it is one in the store when this returns, not before (SOP 2.10).

    Args:
        sign: as ``Partial.complete`` has it.

    Raises:
        BackupError: the store cannot be used, or has something else than was sent; nothing of it stays there.
        ToolError: it cannot be signed.
    """
    clear(store, journal)
    name, claim = _claim_name(store, datetime.fromisoformat(manifest.created))
    manifest = replace(manifest, name=name)
    sent = _Counter(progress, f"sending {name}", 2 * sum(file.size for file in manifest.contents))
    try:
        with journal.action("upload backup", to=store.url, backup=name):
            for file in manifest.contents:
                store.put(source / file.path, f"{name}/{file.path}", sent)
                if _digest(store, name, file, sent) != file.sha256:
                    raise _otherwise(store, name, file.path)
            _still_whole(store, name, claim, manifest)
            if sign:
                store.write(f"{name}/{SIGNATURE}", sign(manifest.as_json()))
            store.write(f"{name}/{MANIFEST}", manifest.as_json())
            if RemoteBackup.load(store, name).manifest != manifest:
                raise _otherwise(store, name, MANIFEST)
    except BaseException:
        with suppress(BackupError):  # the store may be gone: then the next run does it
            _remove(store, name, claim)
        raise
    with suppress(BackupError):  # it is complete: the next run removes the claim
        store.remove([claim])
    return Backup(source, manifest, f"{store.url}/{name}", strangers=())


def delete(store: Store, name: str) -> None:
    """Delete a backup: it is none as soon as this has begun."""
    _remove(store, name, _claim(store, name))


def clear(store: Store, journal: Journal) -> list[str]:
    """Remove what runs that are dead have left of uploads and deletions; returns the names."""
    removed: list[str] = []
    for name in names(store):
        files = store.files(name)
        claims = [f"{name}/{path}" for path in files if path.startswith(CLAIM)]
        if not claims or not all(_is_stale(store, claim) for claim in claims):
            continue
        if MANIFEST in files:  # all but its claim was done, or nothing of its deletion
            store.remove(claims)
            continue
        with journal.action("remove what a killed run left", backup=f"{store.url}/{name}"):
            _remove(store, name, *claims)
        removed.append(name)
    return removed


def is_under_way(store: Store, name: str) -> bool:
    """Tell whether somebody has a claim to a name, and it is no backup yet, or none any more."""
    files = store.files(name)
    return MANIFEST not in files and any(path.startswith(CLAIM) for path in files)


class _Counter:
    """Adds up the bytes of a long copy."""

    def __init__(self, progress: Progress, what: str, expected: int) -> None:
        self._progress, self._what, self._expected = progress, what, expected
        self._done = 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._progress(self._what, self._done, self._expected)


def _fetch(found: RemoteBackup, file: StoredFile, target: Path, arrived: Callable[[int], None]) -> None:
    """Write a file as the store has it, but not endlessly more than it should be."""
    storage.private_directory(target.parent)
    with storage.translate_os_errors(target), storage.private_file(target) as copy:
        for piece in found.store.blocks(f"{found.name}/{file.path}"):
            copy.write(piece)
            arrived(len(piece))
            if copy.tell() > file.size:
                break


def _digest(store: Store, name: str, file: StoredFile, read: Callable[[int], None] = _quiet) -> str:
    """Return the SHA-256 of a file as the store gives it back."""
    whole = hashlib.sha256()
    for piece in store.blocks(f"{name}/{file.path}"):
        whole.update(piece)
        read(len(piece))
    return whole.hexdigest()


def _claim_name(store: Store, moment: datetime) -> tuple[str, str]:
    """Return a name that is nobody else's, and our claim to it: who finds two claims to a name leaves it."""
    for _ in range(ATTEMPTS):
        name = moment.strftime(NAME_FORMAT)
        if not store.files(name):
            claim = _claim(store, name)
            if len(store.files(name)) == 1:
                return name, claim
            store.remove([claim])
        moment += timedelta(seconds=1 + randbelow(3))
    raise BackupError(f"{store.url} has a backup of each second since this run began", "run again")


def _claim(store: Store, name: str) -> str:
    claim = f"{name}/{CLAIM}{token_hex(4)}"
    store.write(claim, f"{datetime.now(UTC).isoformat()} {owner()}".encode())
    return claim


def _is_stale(store: Store, claim: str) -> bool:
    """Tell whether the run that made a claim is dead: one of this machine that is gone, or one of long ago."""
    try:
        made, _, by = store.read(claim)[:LONGEST_CLAIM].decode().partition(" ")
        return is_dead(by) or datetime.now(UTC) - datetime.fromisoformat(made).astimezone(UTC) > STALE
    except (ValueError, OverflowError):  # whoever wrote it: nothing of ours is at work under it that we could disturb
        return False


def _still_whole(store: Store, name: str, claim: str, manifest: BackupManifest) -> None:
    """Stop if somebody has meddled with what was sent: what follows makes it a backup."""
    expected = {file.path: file.size for file in manifest.contents}
    there = store.files(name)
    if there.pop(claim.removeprefix(f"{name}/"), None) is None or there != expected:
        raise BackupError(f"{store.url}/{name} was changed while it was sent", "see who else uses this root; run again")


def _remove(store: Store, name: str, *claims: str) -> None:
    """Remove a directory: ``backup.json`` first, claims last."""
    manifest = f"{name}/{MANIFEST}"
    files = [f"{name}/{path}" for path in store.files(name)]
    store.remove([file for file in files if file == manifest])
    store.remove([file for file in files if file not in (manifest, *claims)])
    store.remove([file for file in files if file in claims])
    store.remove_directory(name)


def _otherwise(store: Store, name: str, path: str) -> BackupError:
    return BackupError(f"{store.url}/{name}/{path} reads back otherwise than it was sent", "run again")
