"""Copy a home out of a running pod: one stream, then whatever changed meanwhile, until both sides agree (SOP 2.7, 2.9).

The copy is judged by what the pod says of itself afterwards: names, metadata and digests computed in the pod, against
those of the bytes that arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from openab_sop import storage
from openab_sop.backups import database, listing
from openab_sop.backups.archive import TAR, Archive
from openab_sop.backups.inventory import Comparison, Entry, read
from openab_sop.backups.tar_reader import Member
from openab_sop.cluster.pod import Pod
from openab_sop.errors import BackupError, Broken, PodError, SopError
from openab_sop.escape import command
from openab_sop.verdict import Finding

ROUNDS = 4
"""How often what changed under the copy is copied again."""

ROOM = 512 << 20
"""Bytes of tar's own that a home may take beyond four times what it takes on its volume: headers of empty files."""

Progress = Callable[[int, int], None]
"""Told the bytes that have arrived and those that are expected."""

_JUDGED = "code=$?; [ $code -le 2 ] || status=$code"
"""tar's 1 and 2 say that some file changed or could not be read: the comparison names those. More is no tar at all."""
_LOGS = r"\( -type f \( " + " -o ".join(f"-name '*{suffix}'" for suffix in (*database.LOGS, database.INDEX)) + r" \) \)"
"""Left to later segments: unpacked beside a newer database, a log that is gone by then would ruin it."""
_ALL = f'find . -mindepth 1 "$@" ! -type s ! {_LOGS} -print0 | {TAR}; {_JUDGED}'
SOME = f'head -c "$1" | {TAR}; {_JUDGED}'


@dataclass(frozen=True)
class Base:
    """An earlier copy of the same home: its archive with the digest that it must have, and its Contents.

    Attributes:
        check: raises BackupError if one of them is not what its backup lists; the archive is digested meanwhile.
    """

    archive: Path
    sha256: str
    contents: Path
    check: Callable[[], None] = lambda: None


@dataclass
class HomeCopy:
    """A copy of a home in the making, and what came to light on the way.

    Attributes:
        home: its path in the container.
        excluded_mounts: paths below it where something else is mounted; they are left out.
        table: both sides, entry by entry.
        databases: paths of SQLite databases that are in the copy, consistent and checked.
        vanished: names that were there at first and were gone at the end.
        grown: files that only grew meanwhile: what was there when they were copied is kept.
        sockets: names that no archive can hold.
        findings: what could not be copied as it is in the pod.
        adopted, received: bytes of files taken from an earlier copy, and bytes that came from the pod.
        refused_base: why nothing was taken from the earlier copy: it is damaged.
    """

    pod: Pod
    home: str
    excluded_mounts: tuple[str, ...]
    archive: Archive
    table: Comparison
    databases: set[str] = field(default_factory=set[str])
    vanished: list[str] = field(default_factory=list[str])
    grown: list[str] = field(default_factory=list[str])
    sockets: list[str] = field(default_factory=list[str])
    findings: list[Finding] = field(default_factory=list[Finding])
    adopted: int = 0
    received: int = 0
    refused_base: str = ""
    _limit: int = ROOM
    _pending: set[str] = field(default_factory=set[str])
    _reopened: set[str] = field(default_factory=set[str])

    def run(self, expected: int, progress: Progress, base: Base | None = None) -> None:
        """Copy the home.

        Args:
            expected: bytes that the home takes, for the progress.
            base: an earlier copy; what is the same in the pod by name, metadata and digest is taken from it.

        Raises:
            PodError, BackupError: the stream was cut off, or the disk is full. ``findings`` has what concerns files.
        """
        self._limit = 4 * expected + ROOM
        if base is None or not self._adopt(base):
            with self.pod.held() as other, ThreadPoolExecutor(1) as beside:
                digested = beside.submit(self._digest, other)
                self._stream(expected, progress)
                digested.result()
            self._look()
        for _ in range(ROUNDS):
            self._copy_databases()
            self._drop_vanished()
            if not self._copy_changed():
                break
        self._copy_databases()
        self._copy_again([path] for path in sorted(self._reopened))
        self._settle()
        self.archive.close()

    def _stream(self, expected: int, progress: Progress) -> None:
        arguments = listing.prunes(self.excluded_mounts)
        with self.pod.open(
            _ALL,
            self.home,
            *arguments,
            progress=lambda received: progress(received, expected),
            limit=self._limit,
        ) as output:
            self._take(self.archive.append(output))
            self.received += output.received

    def _adopt(self, base: Base) -> bool:
        """Take from an earlier copy what the pod still has.

        Not done if it spares less than half of the bytes, or if the earlier copy is damaged anywhere. It is digested
        while what has the pod's names and metadata is taken, and the pod digests its own meanwhile: what it then says
        otherwise is copied again like everything that changed.
        """
        with self.pod.held() as other, ThreadPoolExecutor(2) as beside:
            self.table.add_all("pod", listing.listed(other, self.home, self.excluded_mounts))
            digested = beside.submit(self._digest, other)
            try:
                base.check()
                read = beside.submit(storage.digest, base.archive)
                is_worth_it = self._take_over(base)
                if read.result() != base.sha256:
                    raise BackupError(f"the content of {base.archive} has changed", "do not use it; take a new backup")
            except (BackupError, PodError, OSError, ValueError, TypeError) as damage:
                self.refused_base = str(damage).splitlines()[0]
                self.archive.clear()
                self.table.clear("copy")
                self._pending.clear()
                is_worth_it = False
            digested.result()
        if is_worth_it:
            self._look()
            self.adopted = self.table.size("copy")
        return is_worth_it

    def _take_over(self, base: Base) -> bool:
        """Take what has the pod's names and metadata from an earlier copy; tell whether it is worth it.

        Its databases are copied anew, consistent with their logs.
        """
        databases: list[str] = []
        with base.contents.open() as lines:
            for entry in filter(self._is_unchanged, read(lines)):
                if entry.note == "database":
                    databases.append(entry.path)
                else:
                    self.table.add("base", entry)
        if self.table.size("base") * 2 < self.table.size("pod"):
            return False
        self._pending.update(databases)
        self.table.add_all("copy", self.archive.adopt(base.archive, self.table.by_offset("base")))
        return True

    def _is_unchanged(self, entry: Entry) -> bool:
        """Whether a file of an earlier copy may be the pod's now; links and the logs of databases are copied anew."""
        if entry.type != "f" or entry.hard_link or entry.path.endswith((*database.LOGS, database.INDEX)):
            return False
        theirs = self.table.get("pod", entry.path)
        return (
            theirs is not None
            and theirs.unlike(entry) == ["sha256"]  # which the pod has yet to tell
            and self.table.names("pod", theirs.inode) == 1
        )

    def _take(self, members: Iterator[Member]) -> None:
        self.table.add_all("copy", map(self._arrived, members))

    def _arrived(self, member: Member) -> Entry:
        entry = self.table.linked("copy", member.entry)
        if member.database and not entry.path.endswith(database.LOGS):
            self._pending.add(entry.path)
        return entry

    def _digest(self, pod: Pod) -> None:
        """Take down what the pod has, in names, metadata and digests: the digests count if ``_look`` then agrees."""
        self.table.clear("before")
        self.table.add_all("before", listing.listed(pod, self.home, self.excluded_mounts))
        self.table.digest("before", listing.digests(pod, self.home, self.excluded_mounts))

    def _look(self) -> None:
        """Take down what the pod has now, in names and metadata, with the digest of what was not touched since."""
        self.table.clear("pod")
        self.sockets.clear()
        self.findings.clear()
        self.table.add_all("pod", self._wanted(listing.listed(self.pod, self.home, self.excluded_mounts)))
        self.table.keep_digests()

    def _wanted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            if entry.type == "s":
                self.sockets.append(entry.path)
            elif entry.path == ".":
                self.table.add("copy", entry)  # the volume's own directory is in no archive, see design
                yield entry
            elif entry.readable:
                yield entry
            else:
                self.findings.append(self._unreadable(entry))

    def _copy_databases(self) -> None:
        while self._pending:
            path = self._pending.pop()
            try:
                entries = database.copy(self.pod, self.home, path, self.archive, self._limit)
            except Broken:
                raise
            except SopError as error:
                self.findings.append(
                    Finding(path, error.problem, "a sound database, copied consistently", error.next_step)
                )
                entries = []
            for part in database.parts(path):
                self.table.remove("copy", part)
                self.table.remove("pod", part)
            self._reopen(path)
            for entry in entries:
                self.databases.add(path)
                self.table.add("copy", replace(entry, note="database"))

    def _drop_vanished(self) -> None:
        gone = [entry.path for entry in self.table.missing_in_pod() if entry.note != "database"]
        for path in gone:
            self.table.remove("copy", path)
        self.vanished += gone

    def _copy_changed(self) -> bool:
        """Copy again what is not the same on both sides; tell whether there was anything."""
        groups = self._changed()
        paths = [path for group in groups for path in group]
        self._copy_again(groups)
        for path in paths:
            self._reopen(path)
            self.table.remove("pod", path)
        files: list[str] = []
        for entry in listing.listed_again(self.pod, self.home, paths):
            self.table.add("pod", entry)
            files += [entry.path] if entry.type == "f" else []
        self.table.digest("pod", listing.digests_again(self.pod, self.home, files))
        return bool(paths)

    def _copy_again(self, groups: Iterable[Sequence[str]]) -> None:
        for batch in listing.batches(groups):
            with self.pod.open(SOME, self.home, str(len(batch)), stdin=batch, limit=self._limit) as output:
                self._take(self.archive.append(output))
                self.received += output.received

    def _reopen(self, path: str) -> None:
        """Remember the directory of a path in a later segment: unpacking moves its time, so it is told once more."""
        if parent := path.rpartition("/")[0]:
            self._reopened.add(parent)

    def _changed(self) -> list[list[str]]:
        """Return what differs, all names of a file together, so that tar links them again."""
        seen: set[str] = set()
        groups: list[list[str]] = []
        for entry in list(self.table.differing()):
            if entry.path not in seen:
                group = self.table.same_file(entry.inode) if entry.type == "f" else [entry.path]
                seen.update(group)
                groups.append(group)
        return groups

    def _settle(self) -> None:
        """Judge what still differs: a file that only grew is kept as it was, a directory's time may move; no more."""
        for theirs in list(self.table.differing()):
            ours = self.table.get("copy", theirs.path)
            if ours and _only_moved(ours, theirs):
                self.table.note(theirs.path, "time moved")
            elif ours and ours.type == theirs.type == "f" and self._grew(ours):
                self.table.note(theirs.path, "grew")
                self.grown.append(theirs.path)
            else:
                self.findings.append(self._restless(theirs))
        for entry in self.table.misplaced("copy"):
            self.findings.append(
                Finding(
                    f"{self.home}/{entry.path}",
                    "it stands below what is no directory",
                    "the names of a file system",
                    "look into the pod: its tools are not to be trusted",
                )
            )

    def _grew(self, ours: Entry) -> bool:
        """Whether the pod's file begins with the copy; an empty copy is of one that is written anew all the time."""
        return ours.size > 0 and listing.starts_with(self.pod, self.home, ours.path, ours.size, ours.sha256)

    def _unreadable(self, entry: Entry) -> Finding:
        owner = f"{entry.uid}:{entry.gid}, mode {entry.mode:o}"
        return Finding(
            f"{self.home}/{entry.path}",
            f"the agent's user may not read it (owner {owner})",
            "everything in the home can be read",
            f"{self.pod.shell} {command('ls', '-ld', f'{self.home}/{entry.path}')}; "
            "fix its owner or mode, or remove it",
        )

    def _restless(self, entry: Entry) -> Finding:
        return Finding(
            f"{self.home}/{entry.path}",
            f"it changed during each of {ROUNDS} attempts to copy it",
            "the same content in the pod and in the copy",
            "stop what writes it, or run again when the agent is less busy",
        )


def _only_moved(ours: Entry, theirs: Entry) -> bool:
    """Tell a directory that is the same on both sides but for its time."""
    return theirs.type == "d" and ours == replace(
        theirs, mtime_ns=ours.mtime_ns, ctime_ns=ours.ctime_ns, inode=ours.inode, offset=ours.offset
    )
