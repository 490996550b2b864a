"""The state of one upgrade as facts on disk: what was done, what is awaited, how it ended (SOP 1.9, 3.x).

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

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from openab_sop import bounded, names, storage
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board, boards
from openab_sop.errors import ClusterError, Forbidden, InvalidName, SettingsError, SopError, Unreachable

FILE = "upgrade.json"
BEFORE = "upgrade-before.json"
"""The last upgrade that was not taken back, while a later one is in ``FILE``."""


_STORED_AS = {
    "in_progress": "acting",
    "in_progress_from": "acting_from",
    "skipped_phases": "unneeded",
    "rollback_estimate": "way_back",
    "milestones": "reached",
    "decision": "decided",
}
"""Fields that are stored under another name, on disk and on the lock: as the versions before this one have them."""


GIVEN_UP = "."
"""The path of a whole volume, among those that are excused: it was accepted that its agent vanishes."""


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
class UpgradeState:
    """One upgrade of one release.

    Attributes:
        id: tells this upgrade from all others; answers are bound to it.
        revision, version: Helm's revision and the chart version that it started from.
        target, digest: the chart version that it leads to, and the SHA-256 of its archive.
        prerelease: the version that is validated first; empty if none is.
        backup: name of the backup that is the baseline: taken right before the first change.
        claims: UIDs of the agents' claims before it, by the volume's key. By these an agent is known, however its
            Deployment is called after a change: what is kept by agent goes by the name from before.
        revisions: Helm's revisions that it has made, in order.
        in_progress, in_progress_from: the change that is under way (a phase, or the way back), and the revision
            before it; empty if none is.
        skipped_phases: by phase, why it is left out.
        rollback_estimate: how long a rollback is likely to take, as a rehearsal has measured it; empty if there was
            none.
        pulled: by image, the digest that the node has pulled ahead; empty where it is not known.
        options: how it is judged, by option, as it was asked for when it began.
        values: digest of the values that were named for the target; empty for the release's own.
        excused: by volume, what no version is blamed for: gone before it was applied, or removed by the old version's
            start as well, as a copy has shown. ``GIVEN_UP`` for a volume whose agent was to vanish.
        before: by agent: how it was right before the last change.
        chats: by agent: the chats that it was connected to before the first change; so it is after a rollback.
        milestones: what was done, with the time (UTC).
        awaiting: the gate whose answer is awaited; empty if none is.
        answers: what humans have said.
        outages: seconds that each change took the agents away.
        decision: the row of the decision table that matched (SOP 4.1); a rollback goes by it to its end.
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
    in_progress: str = ""
    in_progress_from: int = 0
    skipped_phases: dict[str, str] = field(default_factory=dict[str, str])
    rollback_estimate: str = ""
    pulled: dict[str, str] = field(default_factory=dict[str, str])
    options: dict[str, str] = field(default_factory=dict[str, str])
    values: str = ""
    excused: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    before: dict[str, Before] = field(default_factory=dict[str, Before])
    chats: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    milestones: dict[str, str] = field(default_factory=dict[str, str])
    awaiting: str = ""
    answers: tuple[Given, ...] = ()
    outages: dict[str, float] = field(default_factory=dict[str, float])
    decision: str = ""
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
        return frozenset((self.revision, *self.revisions, *((self.in_progress_from + 1,) if self.in_progress else ())))

    @property
    def doing(self) -> str:
        """What is under way, in words."""
        if self.decision:
            what = f"rolling back ({self.decision})"
        elif self.in_progress:
            what = f"applying the {self.in_progress} version"
        else:
            what = f"an answer is awaited at the gate {self.awaiting}" if self.awaiting else "between two steps"
        return f"upgrade {self.id} from {self.version} to {self.target}, baseline {self.backup}: {what}"

    @property
    def changed(self) -> bool:
        """Whether the release was changed, or may have been."""
        return bool(self.revisions or self.in_progress)

    @property
    def is_under_way(self) -> bool:
        """Whether the release was changed, or may have been, and it has not ended."""
        return self.changed and not self.ended

    def as_stored(self) -> dict[str, Any]:
        """Return it as it is stored: its fields in order, under the names that every version knows."""
        return {_STORED_AS.get(name, name): value for name, value in asdict(self).items()}

    def excusing(self, paths: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
        """Return ``excused`` with further paths, by volume."""
        keys = {*self.excused, *paths}
        return {key: tuple(sorted({*self.excused.get(key, ()), *paths.get(key, ())})) for key in sorted(keys)}

    @property
    def given_up(self) -> frozenset[str]:
        """The keys of the volumes whose agents may vanish."""
        return frozenset(key for key, paths in self.excused.items() if GIVEN_UP in paths)

    @property
    def last(self) -> int:
        """The revision at which it has left the release."""
        return self.revisions[-1] if self.revisions else self.revision

    def when(self, mark: str) -> str | None:
        """Return when something was done, None if it was not."""
        return self.milestones.get(mark)

    def said(self, gate: str) -> Given | None:
        """Return the last answer at a gate."""
        return next((given for given in reversed(self.answers) if given.gate == gate), None)


_structured: Any = make_dict_structure_fn  # as it is typed, a field might be called like one of its options
_CONVERTER = Converter()
_CONVERTER.register_structure_hook(
    UpgradeState,
    _structured(UpgradeState, _CONVERTER, **{name: override(rename=key) for name, key in _STORED_AS.items()}),
)
_NOTHING = (End.BACK, End.RETURNED, End.UNTOUCHED)
"""Ends of an upgrade that has come to nothing."""


class UpgradeStateFile:
    """Where the state of a release's upgrade is kept.

    Args:
        directory: that of the session file.
        board: the release's lock, where it is kept too while it is under way; None for who has no cluster.
    """

    def __init__(self, directory: Path, board: Board | None = None) -> None:
        self.path = directory / FILE
        self._board = board
        self._agrees = board is None

    def read(self) -> UpgradeState | None:
        """Return the state as it is known, None if there never was one; the later of disk and cluster counts.

        Raises:
            SettingsError: the file, or what is on the cluster, is damaged.
        """
        state = self._on_disk()
        if self._board and not self._agrees:
            with suppress(Forbidden):  # who may not look has the disk alone
                state = self._agreed(state, self._board.read(), self._board.name)
            self._agrees = True
        return state

    def _agreed(self, state: UpgradeState | None, text: str | None, name: str) -> UpgradeState | None:
        """Return the later of what is on disk and what is on the cluster, and have the disk say the same."""
        there = self.parsed(text, f"the record on Lease {name}") if text else None
        if there and state and (others := _contradictions(state, there)):
            raise SettingsError(
                f"{self.path} and the record on Lease {name} are of upgrade {state.id}, and differ in what an upgrade "
                f"keeps from its beginning: {', '.join(others)}",
                "find out who has written to the Lease (kubectl get lease NAME --output=yaml --show-managed-fields); "
                "the upgrade's reports tell which of the two is true",
            )
        if there and (state is None or state.id != there.id or state.serial < there.serial):
            self._keep(state := there)
        elif there is None and state and state.is_under_way and state.serial and not state.on_disk_only:
            # the cluster is written first: it had a record, which is taken away at the end of the upgrade alone
            self._keep(state := replace(state, ended=End.ELSEWHERE))
        return state

    def look_again(self) -> None:
        """Have the next ``read`` look at the cluster once more: the lock is ours since."""
        self._agrees = self._board is None

    def _on_disk(self) -> UpgradeState | None:
        try:
            return self.parsed(self.path.read_text(), str(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _damaged(str(self.path), error) from error

    @staticmethod
    def parsed(text: str, where: str) -> UpgradeState:
        """Read a state; ``where`` it stands is named if it is damaged.

        Raises:
            SettingsError: it is.
        """
        try:
            state = bounded.load_as(UpgradeState, text, where, _CONVERTER)
            if state.backup:  # whoever may write to the lock must not choose a place of his own for it (issue 14)
                names.of("backup", state.backup, where)
            return state
        except (InvalidName, ValueError) as error:
            raise _damaged(where, error) from error

    @property
    def state(self) -> UpgradeState:
        """The state that is under way.

        Raises:
            SettingsError: there is none, or it is damaged.
        """
        if (state := self.read()) is None:
            raise SettingsError(f"{self.path} is gone", "run the same command again")
        return state

    def write(self, state: UpgradeState) -> UpgradeState:
        """Put a state on disk, and on the cluster while something is changed; a reader sees old or new, never half."""
        state = replace(state, serial=state.serial + 1)
        if self._board and state.is_under_way:
            where = f"{state.doing}; session {socket.gethostname()}:{self.path.parent}"
            state = replace(state, on_disk_only=False)
            try:
                self._tell(self._board, state, where)
            except ClusterError:
                if not state.decision:
                    raise  # nothing was begun by it; the way back is gone on with, whoever may not see it
                state = replace(state, on_disk_only=not self._was_told(state))
        self._keep(state)
        if self._board and state.ended:
            self._board.clear()
        return state

    def _was_told(self, state: UpgradeState) -> bool:
        """Return whether the cluster has an earlier state of a state."""
        before = self._on_disk()
        return before is not None and before.id == state.id and before.is_under_way and not before.on_disk_only

    @staticmethod
    def _tell(board: Board, state: UpgradeState, where: str) -> None:
        for kept in (state, replace(state, excused={}), replace(state, excused={}, paths={})):
            if board.write(json.dumps(kept.as_stored()), where):
                break  # what is left out is on this disk alone: elsewhere more is asked, or restored, than need be

    def _keep(self, state: UpgradeState) -> None:
        storage.private_directory(self.path.parent)
        storage.replace(self.path, json.dumps(state.as_stored(), indent=2).encode() + b"\n")

    def begin(self, state: UpgradeState) -> UpgradeState:
        """Begin another upgrade; the one before is kept, if a rollback by hand could still lead back from it."""
        ended = self.read()
        if ended and ended.ended in (End.DONE, End.LEFT, End.ELSEWHERE):
            storage.replace(self.path.with_name(BEFORE), json.dumps(ended.as_stored()).encode() + b"\n")
        if self._board:
            self._board.clear()  # of an upgrade that somebody has gone beyond, or that was killed as it ended
        return self.write(state)

    def before(self) -> UpgradeState | None:
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

    def update(self, **changes: Any) -> UpgradeState:
        """Change fields of the state on disk."""
        return self.write(replace(self.state, **changes))

    def mark(self, mark: str, **changes: Any) -> UpgradeState:
        """Note that something was done, now, and change fields with it."""
        return self.update(milestones={**self.state.milestones, mark: now()}, **changes)


def _contradictions(ours: UpgradeState, theirs: UpgradeState) -> list[str]:
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
            there = UpgradeStateFile(path.parent).state
            if live & set(there.claims.values()):
                found[there.begun] = path.parent
    own = UpgradeStateFile(session).read()
    newest = max(found, default="")
    return found[newest] if newest > (own.begun if own else "") else session


def under_way_on(cluster: Cluster) -> Iterator[UpgradeState]:
    """Yield the states that are under way in the namespace, whoever has begun them; none to who may not look."""
    with suppress(Forbidden, ClusterError, Unreachable, SettingsError):
        for board in boards(cluster):
            if text := board.read():
                yield UpgradeStateFile.parsed(text, f"the record on Lease {board.name}")


def known(root: Path) -> Iterator[UpgradeState]:
    """Yield the states that are kept below a backup root, of every release; those that cannot be read are left out."""
    for path in sorted(root.glob(f"sessions/*/*/*/{FILE}")) + sorted(root.glob(f"sessions/*/*/*/{BEFORE}")):
        with suppress(SettingsError):
            here = UpgradeStateFile(path.parent)
            found = here.read() if path.name == FILE else here.before()
            yield from [found] if found else []


def _damaged(where: str, error: Exception) -> SettingsError:
    why = error.problem if isinstance(error, SopError) else error
    return SettingsError(
        f"{where} cannot be read: {why}",
        "look at the release (helm history), then move it away and start anew",
    )


def now() -> str:
    """Return the time as it stands in a state."""
    return datetime.now(UTC).isoformat(timespec="seconds")
