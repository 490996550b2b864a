"""Which backups there are, which of them may go, and the deletion of those that are named (SOP 6.1)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from openab_sop import storage
from openab_sop.backups import aside, remote
from openab_sop.backups.backup import ASIDE, PARTIAL, PREFIX, Backup, BackupManifest
from openab_sop.backups.partial import remove_abandoned
from openab_sop.backups.proof import prove
from openab_sop.backups.remote import RemoteBackup
from openab_sop.backups.retention import Retention
from openab_sop.backups.store import Store
from openab_sop.errors import BackupError, SopError, StepSkipped
from openab_sop.escape import one_line
from openab_sop.journal import Journal
from openab_sop.redact import mask
from openab_sop.releases.upgrade_state import End, UpgradeState


@dataclass(frozen=True)
class Kept:
    """A backup below the root, or what a restore has set aside there, and what may become of it.

    Attributes:
        release: its namespace and name.
        back: the commands that bring back what was set aside; empty for a backup.
        damage: why it is no good; empty if it is.
        remove: deletes it.
        newest: whether it is the newest good one of its release, which is never deleted.
        needed: what leads back to it: an upgrade that is under way, or the last one; empty if nothing does.
        cluster: what tells the release's cluster from others; empty if nothing does.
    """

    name: str
    release: str
    version: str
    created: str
    size: int
    damage: str
    remove: Callable[[], None]
    newest: bool = False
    back: str = ""
    needed: str = ""
    cluster: str = ""

    @property
    def of(self) -> tuple[str, str]:
        """What tells the release from all others; two callers who know a cluster by other names have two."""
        return self.cluster, self.release

    def __str__(self) -> str:
        state = f"damaged: {self.damage}" if self.damage else "the newest good one" if self.newest else "safe to delete"
        if self.needed:
            state = f"needed to {self.needed}" + (f"; damaged: {self.damage}" if self.damage else "")
        if self.back:
            state = f"kept copy of what a restore replaced; safe to delete if not needed; to restore it: {self.back}"
        release = f"{self.cluster[:8]}/{self.release}" if self.cluster else self.release
        return f"{self.name}  {release}  {self.version}  {self.size >> 20} MiB  {state}"


def survey(root: Path) -> list[Kept]:
    """Read every backup below a root in full, oldest first, and mark the newest good one of each release.

    Raises:
        BackupError: there is no such root, or others may write to it.
    """
    if not root.is_dir():
        raise BackupError(f"{root} is not a directory", "name the backup root with --backup-root=DIR")
    storage.private_directory(root)
    found = [_look(path) for path in sorted(root.glob(f"{PREFIX}*")) if path.is_dir() and not path.is_symlink()]
    newest = {kept.of: kept.name for kept in found if not kept.damage}
    return [replace(kept, newest=newest.get(kept.of) == kept.name) for kept in found]


def set_aside(root: Path) -> list[Kept]:
    """List what restores have set aside below a root, oldest first (SOP 6.1)."""
    return [_look_aside(path) for path in sorted(root.glob(f"{ASIDE}*")) if path.is_dir() and not path.is_symlink()]


def survey_remote(store: Store) -> list[Kept]:
    """List every backup of a store, oldest first, and mark the newest good one of each release.

    All are judged by the sizes of their files; from the newest of a release to the first good one also by digests.
    """
    found = [_look_remote(store, name) for name in remote.names(store) if not remote.is_under_way(store, name)]
    settled: set[tuple[str, str]] = set()
    for place, kept in reversed(list(enumerate(found))):
        if not kept.damage and kept.of not in settled:
            damage = RemoteBackup.load(store, kept.name).damage(quick=False)
            found[place] = replace(kept, damage=damage, newest=not damage)
            settled |= set() if damage else {kept.of}
    return found


def needed(found: list[Kept], states: Iterable[UpgradeState]) -> list[Kept]:
    """Mark the baselines of upgrades that are under way, and of the last ones, from which a rollback leads back."""
    wanted = {
        state.backup: f"roll back {state.target} to {state.version}"
        for state in states
        if state.backup and state.changed and state.ended not in (End.BACK, End.RETURNED, End.UNTOUCHED, End.CLOSED)
    }
    return [replace(kept, needed=wanted.get(kept.name, "")) for kept in found]


def total(found: list[Kept]) -> str:
    """Say how much there is."""
    aside = sum(1 for kept in found if kept.back)
    more = f", and {aside} kept {'copies' if aside > 1 else 'copy'} of what a restore replaced" if aside else ""
    return f"{len(found) - aside} backups{more}; {sum(kept.size for kept in found) >> 20} MiB"


def chosen(found: list[Kept], names: tuple[str, ...], *, force: bool = False) -> list[Kept]:
    """Return the backups that were named for deletion.

    Args:
        force: whether one may go that a rollback needs.

    Raises:
        BackupError: a name is none of them, is there twice, is the newest good backup of its release, or a baseline.
    """
    known = {kept.name: kept for kept in found}
    for name in names:
        if names.count(name) > 1:
            raise BackupError(f"{name} is named {names.count(name)} times", "name each backup once with --delete")
        if name not in known:
            raise BackupError(f"there is no backup {name}", f"name one of {', '.join(known) or 'none'}")
        if known[name].newest:
            raise BackupError(
                f"{name} is the newest good backup of {known[name].release}: it stays",
                "take a new backup first (pytest suites/backup); then this one may go",
            )
        if known[name].needed and not force:
            raise BackupError(
                f"{name} is needed to {known[name].needed}: it stays",
                "if no rollback to it is wanted any more, add --force",
            )
    return [known[name] for name in names]


def delete_named(found: list[Kept], names: tuple[str, ...], journal: Journal, *, force: bool = False) -> list[str]:
    """Delete the backups that were named; one that is interrupted leaves nothing that would be taken for a backup.

    Args:
        force: as ``chosen`` has it.

    Returns:
        Their names.

    Raises:
        StepSkipped: none was named.
        BackupError: one of them may not go; none was deleted.
    """
    if not names:
        raise StepSkipped("no backup was named with --delete")
    for kept in chosen(found, names, force=force):
        with journal.action("delete backup", backup=kept.name):
            kept.remove()
    return list(names)


def expired(found: list[Kept], retention: Retention) -> list[Kept]:
    """Return the backups that a retention does not keep (SOP 6.1).

    Never the newest good one of a release, one that a rollback needs, one that is damaged (it does not count either),
    or what a restore has set aside.
    """
    good = [kept for kept in found if not (kept.damage or kept.back)]
    by_release = {kept.of: [one for one in good if one.of == kept.of] for kept in good}
    kept_names = {
        one.name
        for backups in by_release.values()
        for one in retention.keeps(backups, lambda kept: datetime.fromisoformat(kept.created))
    }
    return [one for one in good if one.name not in kept_names and not (one.newest or one.needed)]


def expire(
    found: list[Kept], retention: Retention, journal: Journal, *, delete: bool, without: Collection[str] = ()
) -> str:
    """Delete what a retention does not keep, or only say what that is; returns it in words.

    Args:
        without: names of what has been deleted since it was found; they count no more.

    Raises:
        StepSkipped: no rule was given, or nothing is to go.
    """
    if not retention.is_given:
        raise StepSkipped("no retention was given (--keep-last, --keep-daily, --keep-weekly, --keep-monthly)")
    if not (gone := expired([kept for kept in found if kept.name not in without], retention)):
        raise StepSkipped(f"each backup is kept ({retention})")
    for kept in gone if delete else ():
        with journal.action("delete backup", backup=kept.name, retention=str(retention)):
            kept.remove()
    names = ", ".join(kept.name for kept in gone)
    return f"{names} (kept are {retention})" if delete else f"nothing; --yes would delete {names}"


def clear(root: Path, store: Store | None, journal: Journal) -> list[str]:
    """Remove what killed runs have left: drafts, opened copies, half deleted backups, uploads that did not end.

    Args:
        root: the local backup root.
        store: the one elsewhere.

    Returns:
        Their names.

    Raises:
        StepSkipped: there is nothing of the kind.
        BackupError: there is no such root, or something in it may not be removed.
    """
    removed: list[str] = []
    if store:
        storage.private_directory(root)
        removed += remote.clear(store, journal)
    with storage.translate_os_errors(root), storage.alone(root):
        removed += remove_abandoned(root, journal)
    if not removed:
        raise StepSkipped("no run that was killed has left anything")
    return removed


def _look(path: Path) -> Kept:
    remove = partial(_remove, path)
    try:
        backup = Backup.load(path)
    except BackupError as error:
        return _unknown(path.name, _size(path), error, remove)
    try:
        findings = prove(backup).findings
    except SopError as error:  # one that cannot even be judged hides none of the others
        return _unknown(path.name, _size(path), error, remove)
    damage = "; ".join(mask(one_line(f"{finding.subject} {finding.observed}")) for finding in findings)
    return _known(path.name, backup.manifest, _size(path), damage, remove)


def _look_aside(path: Path) -> Kept:
    release, backup, damage, commands = "unknown", "unknown", "", list[str]()
    try:
        for directory, about in aside.below(path):
            release, backup = f"{about.namespace}/{about.release}", about.backup
            commands.append(about.back(directory))
    except ValueError as error:
        damage = str(error)
    created = path.name.removeprefix(ASIDE)
    back = "; ".join(commands) or "nothing tells: look into it"
    return Kept(path.name, release, backup, created, _size(path), damage, partial(_remove, path), back=back)


def _look_remote(store: Store, name: str) -> Kept:
    remove, size = partial(remote.delete, store, name), sum(store.files(name).values())
    try:
        backup = RemoteBackup.load(store, name)
    except BackupError as error:
        return _unknown(name, size, error, remove)
    return _known(name, backup.manifest, size, backup.damage(quick=True), remove)


def _known(name: str, manifest: BackupManifest, size: int, damage: str, remove: Callable[[], None]) -> Kept:
    release = f"{manifest.namespace}/{manifest.release}"
    return Kept(name, release, manifest.version, manifest.created, size, damage, remove, cluster=manifest.cluster)


def _unknown(name: str, size: int, error: SopError, remove: Callable[[], None]) -> Kept:
    return Kept(name, "unknown", "unknown", "unknown", size, error.problem, remove)


def _remove(path: Path) -> None:
    """Delete a directory; an interrupt leaves nothing that would be taken for a backup."""
    aside = path.with_name(f".{path.name}{PARTIAL}")
    with storage.translate_os_errors(path):
        path.rename(aside)
        shutil.rmtree(aside)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
