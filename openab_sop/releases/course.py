"""The course of one upgrade as facts on disk: what was done, what is awaited, how it ended (SOP 1.9, 3.x).

It lies beside the session file and is written before and after each change, so that whoever runs the same command after
a kill, a pause or days later decides from what is there, not from memory. From the first change to the end it is on the
release's lock too: whoever goes on may do so from another machine, or as another user.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from openab_sop import bounded, names, storage
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board, boards
from openab_sop.errors import ClusterError, Forbidden, InvalidName, SettingsError, SopError, Unreachable

FILE = "upgrade.json"
BEFORE = "upgrade-before.json"
"""The last upgrade that was not taken back, while a later one is in ``FILE``."""


class End(StrEnum):
    """How an upgrade ended."""

    DONE = "done"
    BACK = "rolled back"
    RETURNED = "rolled back on request"
    LEFT = "left as it is"
    CLOSED = "closed as it is"
    ELSEWHERE = "ended elsewhere, or its lock was deleted"
    STUCK = "stuck"
    UNTOUCHED = "given up before anything was changed"


@dataclass(frozen=True)
class Given:
    """A human's answer at a gate: the word, who gave it, by which way, when (UTC)."""

    gate: str
    word: str
    who: str
    how: str
    when: str

    def __str__(self) -> str:
        return f"{self.word} by {self.who}, {self.how}, {self.when}"


@dataclass(frozen=True)
class Before:
    """An agent, or a companion, right before a change: what is not held against the version after it.

    Attributes:
        restarts: by pod UID, then by container: how often it had been restarted.
        complaints: fingerprints of panic lines in its log.
        config: digest of the Secrets and ConfigMaps that it refers to; empty for a companion.
        well: whether its rollout was complete.
        chats: names of the chats that it was connected to.
        jobs: how many of the home's own jobs it had loaded.
    """

    restarts: dict[str, dict[str, int]]
    complaints: tuple[str, ...]
    config: str
    well: bool = True
    chats: tuple[str, ...] = ()
    jobs: int = 0


@dataclass(frozen=True)
class Course:
    """One upgrade of one release.

    Attributes:
        id: tells this upgrade from all others; answers are bound to it.
        revision, version: Helm's revision and the chart version that it started from.
        target, digest: the chart version that it leads to, and the SHA-256 of its archive.
        prerelease: the version that is validated first; empty if none is.
        backup: name of the backup that is the baseline: taken right before the first change.
        claims: UIDs of the agents' claims before it, by Deployment.
        revisions: Helm's revisions that it has made, in order.
        acting, acting_from: the change that is under way (a phase, or the way back), and the revision before it; empty
            if none is.
        unneeded: by phase, why it is left out.
        way_back: how long a rollback is likely to take, as a rehearsal has measured it; empty if there was none.
        pulled: by image, the digest that the node has pulled ahead; empty where it is not known.
        options: how it is judged, by option, as it was asked for when it began.
        values: digest of the values that were named for the target; empty for the release's own.
        excused: by volume, what no version is blamed for: gone before it was applied, or removed by the old version's
            start as well, as a copy has shown.
        before: by agent: how it was right before the last change.
        chats: by agent: the chats that it was connected to before the first change; so it is after a rollback.
        reached: what was done, with the time (UTC).
        awaiting: the gate whose answer is awaited; empty if none is.
        answers: what humans have said.
        outages: seconds that each change took the agents away.
        decided: the row of the decision table that matched (SOP 4.1); a rollback goes by it to its end.
        to_restore: agents of which something goes back to the baseline on the way back.
        paths: by agent: what of its home does, where that is not the whole of it.
        compared: volumes that were looked at on the way back: what was gone there is put back before it goes on.
        writing: volumes that something is being written to: neither as before nor proved.
        after_all: volumes that are restored since the old version did not run on them.
        restored: agents whose whole home does so by now.
        ended: how it ended; empty while it is under way.
        serial: how often it was written: of two the higher one is the later.
        on_disk_only: whether the cluster refused to keep any of it: then it was not ended from elsewhere either.
    """

    id: str
    begun: str
    revision: int
    version: str
    target: str
    digest: str
    prerelease: str = ""
    backup: str = ""
    claims: dict[str, str] = field(default_factory=dict[str, str])
    revisions: tuple[int, ...] = ()
    acting: str = ""
    acting_from: int = 0
    unneeded: dict[str, str] = field(default_factory=dict[str, str])
    way_back: str = ""
    pulled: dict[str, str] = field(default_factory=dict[str, str])
    options: dict[str, str] = field(default_factory=dict[str, str])
    values: str = ""
    excused: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    before: dict[str, Before] = field(default_factory=dict[str, Before])
    chats: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    reached: dict[str, str] = field(default_factory=dict[str, str])
    awaiting: str = ""
    answers: tuple[Given, ...] = ()
    outages: dict[str, float] = field(default_factory=dict[str, float])
    decided: str = ""
    to_restore: tuple[str, ...] = ()
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    compared: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()
    after_all: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    ended: str = ""
    serial: int = field(default=0, compare=False)
    on_disk_only: bool = field(default=False, compare=False)

    @property
    def own(self) -> frozenset[int]:
        """Helm's revisions that are this upgrade's: where it began, what it made, and one that may be under way."""
        return frozenset((self.revision, *self.revisions, *((self.acting_from + 1,) if self.acting else ())))

    @property
    def doing(self) -> str:
        """What is under way, in words."""
        if self.decided:
            what = f"rolling back ({self.decided})"
        elif self.acting:
            what = f"applying the {self.acting} version"
        else:
            what = f"an answer is awaited at the gate {self.awaiting}" if self.awaiting else "between two steps"
        return f"upgrade {self.id} from {self.version} to {self.target}, baseline {self.backup}: {what}"

    @property
    def changed(self) -> bool:
        """Whether the release was changed, or may have been."""
        return bool(self.revisions or self.acting)

    @property
    def is_under_way(self) -> bool:
        """Whether the release was changed, or may have been, and it has not ended."""
        return self.changed and not self.ended

    def excusing(self, paths: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
        """Return ``excused`` with further paths, by volume."""
        keys = {*self.excused, *paths}
        return {key: tuple(sorted({*self.excused.get(key, ()), *paths.get(key, ())})) for key in sorted(keys)}

    @property
    def last(self) -> int:
        """The revision at which it has left the release."""
        return self.revisions[-1] if self.revisions else self.revision

    def when(self, mark: str) -> str | None:
        """Return when something was done, None if it was not."""
        return self.reached.get(mark)

    def said(self, gate: str) -> Given | None:
        """Return the last answer at a gate."""
        return next((given for given in reversed(self.answers) if given.gate == gate), None)


_NOTHING = (End.BACK, End.RETURNED, End.UNTOUCHED)
"""Ends of an upgrade that has come to nothing."""


class CourseFile:
    """Where the course of a release's upgrade is kept.

    Args:
        directory: that of the session file.
        board: the release's lock, where it is kept too while it is under way; None for who has no cluster.
    """

    def __init__(self, directory: Path, board: Board | None = None) -> None:
        self.path = directory / FILE
        self._board = board
        self._agrees = board is None

    def read(self) -> Course | None:
        """Return the course as it is known, None if there never was one; the later of disk and cluster counts.

        Raises:
            SettingsError: the file, or what is on the cluster, is damaged.
        """
        course = self._on_disk()
        if self._board and not self._agrees:
            with suppress(Forbidden):  # who may not look has the disk alone
                course = self._agreed(course, self._board.read(), self._board.name)
            self._agrees = True
        return course

    def _agreed(self, course: Course | None, text: str | None, name: str) -> Course | None:
        """Return the later of what is on disk and what is on the cluster, and have the disk say the same."""
        there = self.parsed(text, f"the record on Lease {name}") if text else None
        if there and course and (others := _contradictions(course, there)):
            raise SettingsError(
                f"{self.path} and the record on Lease {name} are of upgrade {course.id}, and differ in what an upgrade "
                f"keeps from its beginning: {', '.join(others)}",
                "find out who has written to the Lease (kubectl get lease NAME --output=yaml --show-managed-fields); "
                "the upgrade's reports tell which of the two is true",
            )
        if there and (course is None or course.id != there.id or course.serial < there.serial):
            self._keep(course := there)
        elif there is None and course and course.is_under_way and course.serial and not course.on_disk_only:
            # the cluster is written first: it had a record, which is taken away at the end of the upgrade alone
            self._keep(course := replace(course, ended=End.ELSEWHERE))
        return course

    def look_again(self) -> None:
        """Have the next ``read`` look at the cluster once more: the lock is ours since."""
        self._agrees = self._board is None

    def _on_disk(self) -> Course | None:
        try:
            return self.parsed(self.path.read_text(), str(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _damaged(str(self.path), error) from error

    @staticmethod
    def parsed(text: str, where: str) -> Course:
        """Read a course; ``where`` it stands is named if it is damaged.

        Raises:
            SettingsError: it is.
        """
        try:
            course = bounded.load_as(Course, text, where)
            if course.backup:  # whoever may write to the lock must not choose a place of his own for it (issue 14)
                names.of("backup", course.backup, where)
            return course
        except (InvalidName, ValueError) as error:
            raise _damaged(where, error) from error

    @property
    def course(self) -> Course:
        """The course that is under way.

        Raises:
            SettingsError: there is none, or it is damaged.
        """
        if (course := self.read()) is None:
            raise SettingsError(f"{self.path} is gone", "run the same command again")
        return course

    def write(self, course: Course) -> Course:
        """Put a course on disk, and on the cluster while something is changed; a reader sees old or new, never half."""
        course = replace(course, serial=course.serial + 1)
        if self._board and course.is_under_way:
            where = f"{course.doing}; session {socket.gethostname()}:{self.path.parent}"
            course = replace(course, on_disk_only=False)
            try:
                self._tell(self._board, course, where)
            except ClusterError:
                if not course.decided:
                    raise  # nothing was begun by it; the way back is gone on with, whoever may not see it
                course = replace(course, on_disk_only=not self._was_told(course))
        self._keep(course)
        if self._board and course.ended:
            self._board.clear()
        return course

    def _was_told(self, course: Course) -> bool:
        """Return whether the cluster has an earlier state of a course."""
        before = self._on_disk()
        return before is not None and before.id == course.id and before.is_under_way and not before.on_disk_only

    @staticmethod
    def _tell(board: Board, course: Course, where: str) -> None:
        for kept in (course, replace(course, excused={}), replace(course, excused={}, paths={})):
            if board.write(json.dumps(asdict(kept)), where):
                break  # what is left out is on this disk alone: elsewhere more is asked, or restored, than need be

    def _keep(self, course: Course) -> None:
        storage.private_directory(self.path.parent)
        storage.replace(self.path, json.dumps(asdict(course), indent=2).encode() + b"\n")

    def begin(self, course: Course) -> Course:
        """Begin another upgrade; the one before is kept, if a rollback by hand could still lead back from it."""
        ended = self.read()
        if ended and ended.ended in (End.DONE, End.LEFT, End.ELSEWHERE):
            storage.replace(self.path.with_name(BEFORE), json.dumps(asdict(ended)).encode() + b"\n")
        if self._board:
            self._board.clear()  # of an upgrade that somebody has gone beyond, or that was killed as it ended
        return self.write(course)

    def before(self) -> Course | None:
        """Return the upgrade before this one, if that came to nothing; what this one has made is its own then too.

        Raises:
            SettingsError: the file is damaged.
        """
        path, ended = self.path.with_name(BEFORE), self.read()
        if ended is None or not path.exists() or (ended.changed and ended.ended not in _NOTHING):
            return None
        found = self.parsed(path.read_text(), str(path))
        made = (*found.revisions, *ended.revisions)
        return replace(found, revisions=tuple(dict.fromkeys(made)), serial=ended.serial)

    def update(self, **changes: Any) -> Course:
        """Change fields of the course on disk."""
        return self.write(replace(self.course, **changes))

    def mark(self, mark: str, **changes: Any) -> Course:
        """Note that something was done, now, and change fields with it."""
        return self.update(reached={**self.course.reached, mark: now()}, **changes)


def _contradictions(ours: Course, theirs: Course) -> list[str]:
    """Return where two records of one upgrade differ that no run ever changes: one of them nobody of us has written."""
    fixed = ("begun", "revision", "version", "target", "digest", "prerelease") if ours.id == theirs.id else ()
    return [name for name in fixed if getattr(ours, name) != getattr(theirs, name)]


def directory_of(session: Path, uids: Callable[[], Collection[str]]) -> Path:
    """Return where a release's upgrade is kept: with its session, or where another caller has kept a later one.

    Callers with other rights know a cluster by other names, and keep their sessions apart (issue 13). An upgrade that
    began with a claim of this release is this release's, whatever its cluster is called there.

    Args:
        session: directory of this caller's session.
        uids: returns the UIDs of the claims that the release's agents mount; called if there is another session.
    """
    others = set(session.parents[2].glob(f"*/{session.parent.name}/{session.name}/{FILE}")) - {session / FILE}
    if not others:
        return session
    live, found = set(uids()), dict[str, Path]()
    for path in sorted(others):
        with suppress(SettingsError):  # it is named where it is this caller's own
            there = CourseFile(path.parent).course
            if live & set(there.claims.values()):
                found[there.begun] = path.parent
    own = CourseFile(session).read()
    newest = max(found, default="")
    return found[newest] if newest > (own.begun if own else "") else session


def under_way_on(cluster: Cluster) -> Iterator[Course]:
    """Yield the courses that are under way in the namespace, whoever has begun them; none to who may not look."""
    with suppress(Forbidden, ClusterError, Unreachable, SettingsError):
        for board in boards(cluster):
            if text := board.read():
                yield CourseFile.parsed(text, f"the record on Lease {board.name}")


def known(root: Path) -> Iterator[Course]:
    """Yield the courses that are kept below a backup root, of every release; those that cannot be read are left out."""
    for path in sorted(root.glob(f"sessions/*/*/*/{FILE}")) + sorted(root.glob(f"sessions/*/*/*/{BEFORE}")):
        with suppress(SettingsError):
            here = CourseFile(path.parent)
            found = here.read() if path.name == FILE else here.before()
            yield from [found] if found else []


def _damaged(where: str, error: Exception) -> SettingsError:
    why = error.problem if isinstance(error, SopError) else error
    return SettingsError(
        f"{where} cannot be read: {why}",
        "look at the release (helm history), then move it away and start anew",
    )


def now() -> str:
    """Return the time as it stands in a course."""
    return datetime.now(UTC).isoformat(timespec="seconds")
