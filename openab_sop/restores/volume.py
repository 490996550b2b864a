"""Bring a volume to what a backup's Contents say, through a helper pod, losing nothing that is on it (SOP 5.1).

Only what differs is written. What is newer on the volume, or not in the backup at all, is copied out first and set
aside beside the backup; then the volume is made equal, and the pod's own digests prove it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISGID

from openab_sop import storage
from openab_sop.agents.workload import in_home
from openab_sop.backups import listing
from openab_sop.backups.archive import Archive, ranges
from openab_sop.backups.home import ROOM, SOME
from openab_sop.backups.inventory import Comparison, Entry, read
from openab_sop.cluster.pod import CHUNK, Pod
from openab_sop.errors import BackupError
from openab_sop.upstream.logins import is_login
from openab_sop.verdict import Finding

_EXTRACT = (
    "tar --extract --file=- --preserve-permissions --no-same-owner --numeric-owner --delay-directory-restore "
    "--xattrs '--xattrs-include=user.*' || status=$?"
)
_UNLOCK = 'head -c "$1" | xargs -0r chmod u+rwx -- || status=$?'
_REMOVE = 'head -c "$1" | xargs -0r rm -rf -- || status=$?'
_OWN_GROUP = 'head -c "$1" | xargs -0r chmod g-s -- || status=$?'
_FREE = "df --output=avail --block-size=1 . | tail -n 1 || status=$?"


@dataclass(frozen=True)
class VolumeChange:
    """What must happen to a volume so that it is as the backup says.

    Attributes:
        write: where in the archive stands what the volume lacks or has otherwise.
        size: bytes in those files.
        plain: directories to be written without the setgid bit: GNU tar leaves an empty one what its parent gave it.
        touched: every directory that holds one of the names, outermost first; not the home itself.
        remove: paths on the volume that are not in the backup, or are of another type there.
        aside: entries on the volume that would be lost.
    """

    write: tuple[int, ...]
    size: int
    plain: tuple[str, ...]
    touched: tuple[str, ...]
    remove: tuple[str, ...]
    aside: tuple[Entry, ...]


class Volume:
    """An agent's volume as a helper pod holds it, side by side with the Contents of a backup.

    Args:
        pod: the helper pod, the agent being stopped.
        home: path of the home in it.
        excluded_mounts: paths below the home that are not the volume's.
        table: an empty comparison; its copy side becomes the backup's.
        below: paths that the restore is confined to; empty for the whole home.
    """

    def __init__(
        self,
        pod: Pod,
        home: str,
        excluded_mounts: Sequence[str],
        table: Comparison,
        contents: Path,
        below: Sequence[str],
    ) -> None:
        self.pod = pod
        self.home = home
        self._excluded_mounts = excluded_mounts
        self._below = frozenset(below)
        self._table = table
        with contents.open() as lines:
            table.add_all("copy", filter(self._concerned, read(lines)))

    def look(self) -> None:
        """Take down what is on the volume now, in names, metadata and digests."""
        self._table.clear("pod")
        self._table.add_all("pod", filter(self._concerned, listing.listed(self.pod, self.home, self._excluded_mounts)))
        self._table.digest("pod", listing.digests(self.pod, self.home, self._excluded_mounts))

    def keep_newer_logins(self, inside: str = "") -> tuple[str, ...]:
        """Take each login that is newer on the volume for the one that is to be there; returns their paths.

        Nothing is written in its place then, and it must still be there at the end. A login that the backup does not
        have at all is set aside as everything is that is only on the volume, and so is one that is empty.

        Args:
            inside: where in the home the volume is mounted; empty for the home itself.
        """
        kept = tuple(theirs for theirs in self._table.all("pod") if self._is_newer_login(theirs, inside))
        self._table.add("copy", *kept)
        return tuple(entry.path for entry in kept)

    def _is_newer_login(self, theirs: Entry, inside: str) -> bool:
        if theirs.type != "f" or not theirs.size or not is_login(in_home(inside, theirs.path)):
            return False
        ours = self._table.get("copy", theirs.path)
        return (
            ours is not None
            and ours.type == "f"
            and theirs.mtime_ns > ours.mtime_ns
            and not _same_content(ours, theirs)
        )

    def is_empty(self) -> bool:
        """Tell whether nobody has ever written to the volume; what mkfs leaves does not count."""
        return all(
            entry.path in (".", "lost+found") for entry in listing.listed(self.pod, self.home, self._excluded_mounts)
        )

    def strange(self) -> list[str]:
        """Return the paths on the volume that the backup does not have."""
        return [entry.path for entry in self._table.missing_in_copy() if entry.path != "lost+found"]

    def free(self) -> int:
        """Return the bytes that the volume has left."""
        return int(self.pod.capture(_FREE, self.home))

    def change(self) -> VolumeChange:
        """Return what must happen to the volume."""
        write: list[int] = []
        plain: list[str] = []
        extra = list(self._table.missing_in_copy())
        remove, aside, size = [entry.path for entry in extra], extra, 0
        touched = {PurePosixPath(path).parent for path in remove}
        for ours in self._table.unrestored():
            write.append(ours.offset)
            size += ours.size
            plain += [ours.path] if ours.type == "d" and not ours.mode & S_ISGID else []
            touched.add(PurePosixPath(ours.path).parent)
            if theirs := self._table.get("pod", ours.path):
                remove += [theirs.path] if theirs.type != ours.type else []
                aside += [theirs] if theirs.type != "d" and not _same_content(ours, theirs) else []
        return VolumeChange(tuple(write), size, tuple(plain), _with_parents(touched), tuple(remove), tuple(aside))

    def set_aside(self, entries: Iterable[Entry], archive: Archive) -> int:
        """Copy entries of the volume into an archive; returns how many.

        Raises:
            BackupError: what arrived is not what the pod has.
        """
        expected = {entry.path: entry for entry in entries}
        limit = 2 * sum(entry.size for entry in expected.values()) + ROOM
        for batch in listing.batches([path] for path in expected):
            with self.pod.open(SOME, self.home, str(len(batch)), stdin=batch, limit=limit) as output:
                for member in archive.append(output):
                    theirs = expected.pop(member.entry.path, None)
                    if theirs and member.entry.sha256 not in ("", theirs.sha256):
                        raise BackupError(f"{theirs.path} could not be set aside whole", "run the same command again")
        archive.close()
        storage.sync(archive.path)
        if missing := [path for path, entry in expected.items() if entry.type != "s"]:
            raise BackupError(
                f"could not be set aside: {', '.join(missing)}", "look at their owner and mode on the volume"
            )
        return archive.size

    def apply(self, change: VolumeChange, archive: Path) -> Iterator[int]:
        """Make the volume as the backup says; yields the bytes sent so far.

        Raises:
            PodError: the pod's tar or rm failed.
        """
        there = [path for path in change.touched if (entry := self._table.get("pod", path)) and entry.type == "d"]
        self._batched(_UNLOCK, there)
        self._batched(_REMOVE, change.remove)
        wanted = set(change.write)
        wanted |= {entry.offset for path in change.touched if (entry := self._table.get("copy", path))}
        yield from self._extract(_selected(archive, wanted))
        self._batched(_OWN_GROUP, change.plain)

    def overwrite(self, archive: Path) -> None:
        """Put every file of an archive, a plain tar, in the place of its namesake.

        Raises:
            PodError: the pod's tar failed.
        """
        with archive.open("rb") as file:
            for _ in self._extract(iter(lambda: file.read(CHUNK), b"")):
                pass

    def findings(self) -> Iterator[Finding]:
        """Compare the volume, looked at again, with the backup (SOP 5.2)."""
        self.look()
        for entry in self._table.unrestored():
            theirs = self._table.get("pod", entry.path)
            yield Finding(
                f"{self.home}/{entry.path}",
                "it is missing" if theirs is None else f"it differs in {', '.join(entry.unlike(theirs)) or 'its link'}",
                "as in the backup",
                "run the same command again; if it stays, look at its owner on the volume",
            )
        for entry in self._table.missing_in_copy():
            yield Finding(f"{self.home}/{entry.path}", "it is there", "it was set aside", "run the same command again")

    def _extract(self, pieces: Iterable[bytes]) -> Iterator[int]:
        """Have the pod's tar read a stream; yields the bytes sent so far."""
        with self.pod.open(_EXTRACT, self.home, stdin=None) as output:
            sent = 0
            for piece in pieces:
                output.send(piece)
                sent += len(piece)
                yield sent
            while output.read(CHUNK):
                pass

    def _concerned(self, entry: Entry) -> bool:
        """Tell whether an entry is of what is restored; the volume's own directory is of no archive."""
        if not self._below:
            return entry.path != "."
        path = PurePosixPath(entry.path)
        return not self._below.isdisjoint((entry.path, *map(str, path.parents)))

    def _batched(self, script: str, paths: Iterable[str]) -> None:
        for batch in listing.batches([path] for path in paths):
            with self.pod.open(script, self.home, str(len(batch)), stdin=batch) as output:
                while output.read(CHUNK):
                    pass


def packed(archive: Path, offsets: Container[int]) -> int:
    """Return the bytes that members of an archive take in it: what their files take on a disk, nearly.

    Args:
        offsets: where they begin.
    """
    return sum(end - start for start, end in _runs(archive, offsets))


def _with_parents(directories: Iterable[PurePosixPath]) -> tuple[str, ...]:
    """Return the directories and every one that holds them, outermost first; not the home itself."""
    found = {str(path) for directory in directories for path in (directory, *directory.parents)}
    return tuple(sorted(found - {"."}))


def _same_content(ours: Entry, theirs: Entry) -> bool:
    return (ours.type, ours.sha256, ours.link) == (theirs.type, theirs.sha256, theirs.link)


def _selected(archive: Path, offsets: Container[int]) -> Iterator[bytes]:
    """Yield a tar stream of the members of an archive that begin there, byte by byte as they are in it."""
    size = 0
    with archive.open("rb") as file:
        for start, end in _runs(archive, offsets):
            file.seek(start)
            while start < end and (piece := file.read(min(CHUNK, end - start))):
                start += len(piece)
                size += len(piece)
                yield piece
    yield bytes(-(size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE)


def _runs(archive: Path, offsets: Container[int]) -> Iterator[tuple[int, int]]:
    """Yield where members that begin there stand in an archive, those in a row as one."""
    begin = end = 0
    for start, stop, _ in ranges(archive):
        if start in offsets:
            if start != end:
                yield begin, end
                begin = start
            end = stop
    yield begin, end
