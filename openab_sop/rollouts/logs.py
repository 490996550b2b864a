"""What an agent's log says: connected or not, panics, errors; quoted no more than a report needs (SOP 3.2, 3.5).

Logs are read piece by piece as they grow, and bounded. What OpenAB logs, ``upstream.log_lines`` has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from openab_sop.cluster.kube import Cluster
from openab_sop.errors import ClusterError, Forbidden, SettingsError
from openab_sop.escape import one_line
from openab_sop.redact import mask
from openab_sop.upstream import log_lines

LIMIT = 12 << 20
"""Bytes of a log that are read at once: more than kubelet keeps in one file, unless told otherwise."""
QUOTED = 5
"""Lines of a kind that are kept to be quoted, and characters of each:"""
WIDTH = 300

_BEFORE = datetime.min.replace(tzinfo=UTC)
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_SOURCE = re.compile(log_lines.SOURCE)
_CHATS = tuple((chat.name, re.compile(chat.connected)) for chat in log_lines.CHATS)
_ANY_CHAT = re.compile("|".join(chat.connected for chat in log_lines.CHATS))
_JOBS, _NO_JOBS = re.compile(log_lines.JOBS), re.compile(log_lines.NO_JOBS)
_VARYING = re.compile(r"\b(?:0x)?[0-9a-f]{8,}\b|\d+")
"""What differs between two runs that say the same: times, numbers, ids."""


@lru_cache
def _compiled(patterns: Patterns) -> tuple[tuple[str, re.Pattern[str]], ...]:
    given = {named.name: getattr(patterns, named.name) for named in fields(patterns)}
    compiled: list[tuple[str, re.Pattern[str]]] = []
    for name, pattern in given.items():
        try:
            compiled += [(name, re.compile(pattern))] if pattern else []
        except re.error as wrong:
            raise SettingsError(
                f"the pattern for {name} is no regular expression: {wrong}", "correct it; escape with \\"
            ) from wrong
    return tuple(compiled)


@dataclass(frozen=True)
class Patterns:
    """Regular expressions that tell the lines of a log apart; an empty one matches nothing.

    Attributes:
        connected: the agent is connected; if empty, a connection is not demanded.
        disconnected: it has lost its connection, or failed to get it again.
        panic: a panic or fatal error; git's everyday one is none. A line that the old version logged too is not held
            against the new one.
        error, warning: counted and shown.

    Raises:
        SettingsError: one is no regular expression.
    """

    connected: str = log_lines.CONNECTED
    disconnected: str = log_lines.DISCONNECTED
    panic: str = log_lines.PANIC
    error: str = r"\bERROR\b|^[Ee]rror:"
    warning: str = r"\bWARN(?:ING)?\b"

    def __post_init__(self) -> None:
        _compiled(self)

    def kinds(self, line: str) -> frozenset[str]:
        """Return the names of the patterns that a line matches."""
        return frozenset(name for name, pattern in _compiled(self) if pattern.search(line))


DEFAULT = Patterns()


@dataclass(frozen=True)
class LogFacts:
    """What the log of one run of a container has said so far.

    Attributes:
        lines: how many were read.
        since, until: times of the first and the last of them.
        tail: how many of them were written in the last one's second: the API can only be asked for whole seconds.
        connected_at: when it first said so.
        chats: names of the chats that it said it is connected to, as ``upstream.log_lines`` has them.
        lost: by the module that said so: when a connection was lost and not found again.
        panics: lines of panics and fatal errors, masked, at most ``QUOTED`` of ``panic_count``.
        known_panics: such lines that the old version logged too.
        errors, warnings: how many.
        last_errors: the newest error lines, masked.
    """

    lines: int = 0
    since: datetime | None = None
    until: datetime | None = None
    tail: int = 0
    connected_at: datetime | None = None
    chats: frozenset[str] = frozenset()
    lost: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    panics: tuple[str, ...] = ()
    panic_count: int = 0
    known_panics: int = 0
    errors: int = 0
    warnings: int = 0
    last_errors: tuple[str, ...] = ()

    @property
    def disconnected_at(self) -> datetime | None:
        """When a connection was lost that was not found again; None if none is missing."""
        return min(self.lost.values(), default=None)

    def is_connected(self, chats: Collection[str] = ()) -> bool:
        """Whether it is connected to each of these chats; without any, to whatever it is asked for."""
        return self.chats.issuperset(chats) if chats else self.connected_at is not None

    @property
    def last_words(self) -> str:
        """What says best why it ended: a panic, else the last error; empty if there is neither."""
        return next(iter((*self.panics, *self.last_errors[-1:])), "")

    def read(self, text: str, patterns: Patterns = DEFAULT, known: Collection[str] = ()) -> LogFacts:
        """Return these facts with those of a further piece of the log; lines that were read before are passed over.

        Args:
            text: lines with their times before them, as ``Cluster.log`` returns them.
            known: fingerprints of the old version's panic lines.
        """
        facts, lines, since, until, tail = self, self.lines, self.since, self.until, self.tail
        known_until, to_skip = _second(until), tail
        for line in text.splitlines():
            stamp, _, said = line.partition(" ")
            when = _time(stamp)
            if when is None or when < known_until:
                continue
            if to_skip and _second(when) == known_until:
                to_skip -= 1
                continue
            lines, since, tail = lines + 1, since or when, tail + 1 if _second(when) == _second(until) else 1
            until = when
            if kinds := patterns.kinds(said := _plain(said)):
                facts = facts._with(said, kinds, when, known)
            if connected := _chats(said):
                facts = replace(facts, chats=facts.chats | connected)
        return replace(facts, lines=lines, since=since, until=until, tail=tail)

    def _with(self, line: str, kinds: frozenset[str], when: datetime, known: Collection[str]) -> LogFacts:
        facts = self
        if "connected" in kinds:
            back = _source(line)
            lost = {source: at for source, at in self.lost.items() if not back.startswith(source)}
            facts = replace(facts, connected_at=self.connected_at or when, lost=lost)
        elif "disconnected" in kinds:
            facts = replace(facts, lost={_source(line): when, **self.lost})
        if "error" in kinds:
            facts = replace(facts, errors=self.errors + 1, last_errors=(*self.last_errors, _quoted(line))[-QUOTED:])
        elif "warning" in kinds:
            facts = replace(facts, warnings=self.warnings + 1)
        if "panic" not in kinds:
            return facts
        if fingerprint(line) in known:
            return replace(facts, known_panics=self.known_panics + 1)
        panics = self.panics if len(self.panics) >= QUOTED else (*self.panics, _quoted(line))
        return replace(facts, panic_count=self.panic_count + 1, panics=panics)

    def __str__(self) -> str:
        known = f", {self.known_panics} that the old version logged too" if self.known_panics else ""
        return (
            f"{'connected' if self.connected_at else 'not connected'}; in {self.lines} log lines: "
            f"{self.panic_count} panic or fatal{known}, {self.errors} errors, {self.warnings} warnings"
        )


def fingerprint(line: str) -> str:
    """Return what two lines share that differ in times, numbers and ids only; it shows nothing of them."""
    return sha256(_VARYING.sub("#", _plain(line)).encode(errors="replace")).hexdigest()[:16]


def complaints(text: str, patterns: Patterns = DEFAULT) -> frozenset[str]:
    """Return the fingerprints of the panic lines of a log, as ``Cluster.log`` returns it."""
    return frozenset(lines_by_fingerprint(text, "panic", patterns=patterns))


def chats(text: str) -> frozenset[str]:
    """Return the names of the chats that a log says the agent has connected to."""
    return frozenset[str]().union(*(_chats(_plain(line)) for line in text.splitlines()))


def jobs(text: str) -> int | None:
    """Return how many of the home's own jobs a log says are loaded, at its end; None if it says nothing of them."""
    count: int | None = None
    for line in map(_plain, text.splitlines()):
        if found := _JOBS.search(line):
            count = int(found["count"])
        elif _NO_JOBS.search(line):
            count = 0
    return count


def lines_by_fingerprint(text: str, *kinds: str, patterns: Patterns = DEFAULT) -> dict[str, str]:
    """Return the lines of some kinds in a log, as ``Cluster.log`` returns it: masked, by their fingerprints.

    Args:
        kinds: names of ``patterns``.
    """
    said = (_plain(line.partition(" ")[2]) for line in text.splitlines())
    return {fingerprint(line): _quoted(line) for line in said if patterns.kinds(line) & {*kinds}}


def follow(
    cluster: Cluster,
    pod: str,
    container: str,
    facts: LogFacts,
    patterns: Patterns = DEFAULT,
    known: Collection[str] = (),
) -> LogFacts:
    """Read the next piece of a container's log; returns the facts with it, the same while there is nothing new.

    Raises:
        Forbidden: the caller may not read logs.
    """
    text = fetch(cluster, pod, container, since=facts.until)
    read = facts.read(text, patterns, known)
    if (
        facts.until and read.lines == facts.lines and len(text) > LIMIT // 2
    ):  # what is left of this second is passed over
        return replace(facts, until=_second(facts.until) + timedelta(seconds=1), tail=0)
    return read


def fetch(cluster: Cluster, pod: str, container: str, *, previous: bool = False, since: datetime | None = None) -> str:
    """Return a piece of a container's log, whole lines, at most ``LIMIT`` bytes; empty while there is none.

    Args:
        previous: of the run before the present one.
        since: begin with what was written in this second.

    Raises:
        Forbidden: the caller may not read logs.
    """
    try:
        text = cluster.log(pod, container, limit=LIMIT, previous=previous, since=since)
    except Forbidden:
        raise
    except ClusterError:  # not started, gone meanwhile, or out of reach for a moment: the next look tells
        return ""
    return text[: text.rfind("\n") + 1]


def _chats(line: str) -> frozenset[str]:
    if not _ANY_CHAT.search(line):  # nearly every line
        return frozenset()
    return frozenset(name for name, pattern in _CHATS if pattern.search(line))


def _plain(line: str) -> str:
    return _COLOUR.sub("", line) if "\x1b" in line else line


def _source(line: str) -> str:
    found = _SOURCE.search(line)
    return found[0] if found else ""


def _quoted(line: str) -> str:
    return one_line(mask(line))[:WIDTH]


def _second(when: datetime | None) -> datetime:
    return when.replace(microsecond=0) if when else _BEFORE


def _time(stamp: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return when if when.tzinfo else None
