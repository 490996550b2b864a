"""Which backups there are, which of them may go, and the deletion of those that are named (SOP 6.1)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from openab_sop import storage
from openab_sop.backup import PARTIAL, PREFIX, Backup
from openab_sop.errors import BackupError, NotNeeded
from openab_sop.journal import Journal
from openab_sop.partial import remove_abandoned
from openab_sop.proof import prove


@dataclass(frozen=True)
class Kept:
    """A backup below the root, and what may become of it.

    Attributes:
        damage: why it is no good; empty if it is.
        newest: whether it is the newest good one of its release, which is never deleted.
    """

    directory: Path
    release: str
    version: str
    created: str
    size: int
    damage: str
    newest: bool = False

    @property
    def name(self) -> str:
        """Its directory's name."""
        return self.directory.name

    def __str__(self) -> str:
        state = f"damaged: {self.damage}" if self.damage else "the newest good one" if self.newest else "safe to delete"
        return f"{self.name}  {self.release}  {self.version}  {self.size >> 20} MiB  {state}"


def survey(root: Path) -> list[Kept]:
    """Read every backup below a root in full, oldest first, and mark the newest good one of each release.

    Raises:
        BackupError: there is no such root.
    """
    if not root.is_dir():
        raise BackupError(f"{root} is not a directory", "name the backup root with --backup-root=DIR")
    found = [_look(path) for path in sorted(root.glob(f"{PREFIX}*")) if path.is_dir() and not path.is_symlink()]
    newest = {kept.release: kept.name for kept in found if not kept.damage}
    return [replace(kept, newest=newest.get(kept.release) == kept.name) for kept in found]


def chosen(found: list[Kept], names: tuple[str, ...]) -> list[Kept]:
    """Return the backups that were named for deletion.

    Raises:
        BackupError: a name is none of them, is there twice, or is the newest good backup of its release.
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
    return [known[name] for name in names]


def delete_named(found: list[Kept], names: tuple[str, ...], journal: Journal) -> list[str]:
    """Delete the backups that were named; one that is interrupted leaves nothing that would be taken for a backup.

    Returns:
        Their names.

    Raises:
        NotNeeded: none was named.
        BackupError: one of them may not go; none was deleted.
    """
    if not names:
        raise NotNeeded("no backup was named with --delete")
    for kept in chosen(found, names):
        aside = kept.directory.with_name(f".{kept.name}{PARTIAL}")
        with storage.told(kept.directory), journal.action("delete backup", backup=kept.name):
            kept.directory.rename(aside)
            shutil.rmtree(aside)
    return list(names)


def clear(root: Path, journal: Journal) -> list[str]:
    """Remove what killed runs have left: drafts, opened copies of encrypted backups, half deleted ones.

    Returns:
        Their names.

    Raises:
        NotNeeded: there is nothing of the kind.
        BackupError: there is no such root, or something in it may not be removed.
    """
    with storage.told(root), storage.alone(root):
        removed = remove_abandoned(root, journal)
    if not removed:
        raise NotNeeded("no run that was killed has left anything")
    return removed


def _look(path: Path) -> Kept:
    try:
        backup = Backup.load(path)
    except BackupError as error:
        return Kept(path, "unknown", "unknown", "unknown", _size(path), error.problem)
    manifest = backup.manifest
    verdict = prove(backup)
    return Kept(
        directory=path,
        release=f"{manifest.cluster[:8]}/{manifest.namespace}/{manifest.release}",
        version=manifest.version,
        created=manifest.created,
        size=_size(path),
        damage="; ".join(f"{finding.subject} {finding.observed}" for finding in verdict.findings),
    )


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
