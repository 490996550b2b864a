"""What only the new version does: both run in the same isolation, so that whatever fails for that fails for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openab_sop.escape import one_line
from openab_sop.rehearsals.behaviour import Behaviour, Contrast
from openab_sop.rollouts.problem import Symptom
from openab_sop.rule import Rule, blocks, warns
from openab_sop.verdict import Finding

SHOWN = 5
"""Lines or names that a finding quotes; the others are counted."""
SLOWER = 5
"""Seconds that a new version may need longer to end."""

_RUNS = "what the old version does on the same data"
_LOOK = "do not upgrade to it; report it to who publishes it"


@blocks("does-not-run", "On this data the new version ends or never starts: the upgrade would be an outage.")
def does_not_run(seen: Contrast) -> Iterator[Finding]:
    """The new version fails where the old one runs, or in another way."""
    if seen.new.symptom and seen.new.end != seen.old.end:
        yield Finding(seen.agent, seen.new.said, f"{_RUNS}: {seen.old.said or 'it runs'}", _LOOK)


@blocks(
    "fails-otherwise", "The old version fails because it is isolated; the new one may fail earlier, for another reason."
)
def fails_otherwise(seen: Contrast) -> Iterator[Finding]:
    """Both versions end in the same way, with different messages."""
    before, after = seen.old.complaints, seen.new.complaints
    differs = after.keys() - before or (before and not after.keys() & before)
    if seen.new.symptom and seen.new.end == seen.old.end and differs:
        observed = _quoted([line for mark, line in after.items() if mark not in before]) or "nothing"
        yield Finding(
            seen.agent, f"it says {observed}", f"what the old version says: {_quoted([*before.values()])}", _LOOK
        )


@blocks("process-missing", "The pod runs and the agent does not: every message stays unanswered.")
def process_missing(seen: Contrast) -> Iterator[Finding]:
    """No process has the agent's name."""
    if seen.new.process is False and seen.old.process:
        yield Finding(seen.agent, "no process is called openab", "one that lives, as of the old version", _LOOK)


@blocks("connection-lost", "The process runs but receives nothing: nobody restarts it, and nobody is answered.")
def connection_lost(seen: Contrast) -> Iterator[Finding]:
    """The log says that the connection is lost, and not that it is back."""
    if seen.new.lost and not seen.old.lost and not seen.new.symptom:
        yield Finding(seen.agent, "it lost its connection and did not get it back", _RUNS, _LOOK)


@blocks("errors-logged", "It has a problem with this data that the old version does not have.")
def errors_logged(seen: Contrast) -> Iterator[Finding]:
    """The new version logs errors or panics that the old one does not."""
    new = [line for mark, line in seen.new.complaints.items() if mark not in seen.old.complaints]
    if new and not seen.new.symptom:
        yield Finding(seen.agent, _quoted(new), "no error that the old version does not log", _LOOK)


@blocks("files-gone", "The new version deletes what the agent knows.")
def files_gone(seen: Contrast) -> Iterator[Finding]:
    """Files of the home are missing after the new version ran."""
    if seen.old_traces and seen.new_traces:
        before = set(seen.old_traces.gone)
        if gone := [path for path in seen.new_traces.gone if path not in before]:
            names = _quoted([one_line(repr(path)) for path in gone])
            yield Finding(seen.agent, f"it deletes {names}", "every file of the backup", f"{_LOOK}; see --may-vanish")


@blocks("home-elsewhere", "The agent starts as if it were new: everything that it knows stays on the old claim.")
def home_elsewhere(seen: Contrast) -> Iterator[Finding]:
    """The home is on another claim than the old version's, or on none."""
    if seen.old_claim and seen.new_claim != seen.old_claim:
        observed = f"its home is on {f'claim {seen.new_claim}' if seen.new_claim else 'no claim'}, which is empty"
        yield Finding(
            seen.agent, observed, f"claim {seen.old_claim}", "name the claim in the values, or do not upgrade"
        )


@blocks("does-not-end", "Each stop lasts until the cluster kills it, perhaps while it writes.")
def does_not_end(seen: Contrast) -> Iterator[Finding]:
    """The new version has to be killed where the old one ends by itself."""
    old, new = seen.old.ended_after, seen.new.ended_after
    if new >= seen.new.grace and new > old + SLOWER:
        observed = f"it did not end within {seen.new.grace:g} s and was killed"
        yield Finding(seen.agent, observed, f"an end by itself, as the old version's after {old:.1f} s", _LOOK)


@blocks("tools-missing", "Later backups, restores and upgrades could not read the home through this image.")
def tools_missing(seen: Contrast) -> Iterator[Finding]:
    """The new image lacks programs that the old one has."""
    if lacking := sorted(seen.new.lacks - seen.old.lacks):
        yield Finding(seen.agent, f"its image has no {', '.join(lacking)}", "the tools that a backup takes", _LOOK)


@blocks("same-image", "The chart's version changes and the agent's does not: an outage without effect.")
def same_image(seen: Contrast) -> Iterator[Finding]:
    """The copy ran the image that already runs."""
    reference, digest = seen.new.image
    if digest and digest == seen.old.image[1] and seen.new.version != seen.old.version:
        yield Finding(
            seen.agent,
            f"its copy ran {reference}, the same image as the old version's",
            f"the image of {seen.new.version}",
            "take the tag out of the values, or accept that nothing but the chart changes",
        )


@warns("data-changed", "A rollback has to restore the volume; what was written since the upgrade is kept in a copy.")
def data_changed(seen: Contrast) -> Iterator[Finding]:
    """The new version migrates data, so that an older one may not read them."""
    before = set(seen.old_traces.unreadable) if seen.old_traces else set[str]()
    if seen.new_traces and (moved := [what for what in seen.new_traces.unreadable if what not in before]):
        yield Finding(seen.agent, _quoted(moved), "data as the old version left them", "nothing: a rollback restores")


@warns("no-way-back", "A rollback has to restore the volume.")
def no_way_back(seen: Contrast) -> Iterator[Finding]:
    """The old version does not run on the volume after the new one has used it."""
    if seen.back and seen.back.symptom and seen.back.end != seen.old.end:
        yield Finding(seen.agent, seen.back.said, "an old version that runs on it", "nothing: a rollback restores")


@warns("old-unwell", "Isolated, the old version does not get further either: what comes after that was not rehearsed.")
def old_unwell(seen: Contrast) -> Iterator[Finding]:
    """The old version does not run on its copy; the new one fails in the same way or gets further."""
    if seen.old.symptom:
        yield Finding(seen.agent, seen.old.said, "an old version that runs without a connection", "nothing")


RULES = (
    does_not_run,
    fails_otherwise,
    process_missing,
    connection_lost,
    errors_logged,
    files_gone,
    home_elsewhere,
    does_not_end,
    tools_missing,
    same_image,
    data_changed,
    no_way_back,
    old_unwell,
)


@blocks("not-validated", "A pre-release that was never seen at work proves nothing, and the release would skip it.")
def not_validated(seen: Contrast) -> Iterator[Finding]:
    """The old version does not get far enough on a copy to validate a pre-release there."""
    if seen.old.symptom:
        observed, go = f"cut off, it does not run: {seen.old.said}", "validate it on the release: --prerelease=live"
        yield Finding(seen.agent, observed, "an old version that runs on the copy", go)


@blocks("not-rehearsed", "Nothing is known about what the upgrade does to this agent.")
def not_rehearsed(agents: list[str]) -> Iterator[Finding]:
    """An agent did not run in both versions: it is gone, renamed or off in the new one, or not in the backup."""
    for agent in agents:
        yield Finding(agent, "it did not run in both versions", "an agent that both have", "see pytest suites/plan")


@blocks("logins-left", "The copy could act as the bot: it has a working login, and nothing isolates it.")
def logins_left(left: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """A copied home has logins that could not be removed; the finding names their paths."""
    for agent, paths in left.items():
        if paths:
            names = _quoted([f"{one_line(repr(path))}: {why}" for path, why in paths.items()])
            yield Finding(
                agent,
                f"in its home are {names}",
                "no login that works, or a cluster that heeds a NetworkPolicy",
                "look whether it could do harm; then accept it, or remove it from the home and take a new backup",
            )


EVERY: tuple[Rule[Any], ...] = (*RULES, not_validated, not_rehearsed, logins_left)
"""Every rule of a rehearsal; the last three do not compare two versions of an agent."""
_NAMES = frozenset(rule.name for rule in EVERY)


def is_ours(id: str) -> bool:
    """Tell whether a finding's id is one that a rehearsal may have."""
    return id.partition(":")[0] in _NAMES


NOT_HERE = (Symptom.PENDING, Symptom.IMAGE, Symptom.CANNOT_START)
"""What keeps the old version's copy from starting at all: it says nothing of the new one."""


def cannot_be_told(old: Behaviour) -> str:
    """Return why the copy of the old version says nothing at all; empty if it does."""
    return old.said if old.symptom in NOT_HERE else ""


def _quoted(lines: list[str]) -> str:
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more
