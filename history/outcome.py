"""What became of a release, by facts on the cluster that owe nothing to the plan's rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from openab_sop.objects import Object

RIGHT, FALSE_ALARM, MISSED = "right", "false alarm", "missed"
STALE = "stale"
"""The configuration changed and the pod did not: no harm where the plan says so, because a restart mends it."""
TOLD_BY = {STALE: "not-restarted"}
"""Outcomes that a warning is enough for."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True)
class AgentFacts:
    """An agent at one moment.

    Attributes:
        image: reference of the image in its Deployment.
        pod: UID of its pod; empty without one.
        trouble: why it does not run and serve; empty if it does.
        claims: UID of each claim that it mounts, by name.
        variables: value of each variable of its container, or where it comes from.
        config: what it was given to read at its start, as text.
        marked: whether the file that was put into its home is there; None if none was, or nobody could look.
        lost: files of the home that the agent does not find any more.
    """

    image: str
    pod: str = ""
    trouble: str = ""
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    config: str = ""
    marked: bool | None = None
    lost: tuple[str, ...] = ()


Facts = Mapping[str, AgentFacts]
"""Every agent of a release, by its Deployment's name."""


def harms(before: Facts, after: Facts, values: Object) -> tuple[str, ...]:
    """Return what an upgrade has harmed: a word for the kind, and whom.

    Args:
        before, after: the agents; both as they serve, the latter after a time in which they could come up.
        values: what the operator has set.
    """
    gone = [f"agents: {name} is gone" for name in before if name not in after]
    new = [f"agents: {name} is new" for name in after if name not in before]
    own = [f"{kind}: {name}" for name in before if name in after for kind in _harms(before[name], after[name], values)]
    # an agent that did not run before owes nothing to the upgrade; a new one does
    dead = [f"down: {name}: {now.trouble}" for name, now in after.items() if now.trouble and _served(before.get(name))]
    return (*gone, *new, *own, *dead)


def judged(blocked: bool, warned: Sequence[str], found: Sequence[str]) -> str:
    """Compare a verdict with an outcome.

    Args:
        blocked: whether the plan would have stopped the upgrade.
        warned: names of the rules that told something without stopping it.
        found: what ``harms`` found.
    """
    counting = [harm for harm in found if TOLD_BY.get(harm.partition(":")[0]) not in warned]
    if blocked:
        return RIGHT if counting else FALSE_ALARM
    return MISSED if counting else RIGHT


def _served(agent: AgentFacts | None) -> bool:
    return agent is None or not agent.trouble


def _harms(before: AgentFacts, after: AgentFacts, values: Object) -> Iterator[str]:
    if any(after.claims.get(name) != uid for name, uid in before.claims.items()):
        yield "claim"
    if before.marked and after.marked is False:
        yield "home"
    yield from (f"file {path}" for path in after.lost if path not in before.lost)
    if before.image == after.image:
        yield "image"
    if _flavour(before.image) != _flavour(after.image):
        yield "flavour"
    for name, value in before.variables.items():
        if name not in after.variables and (name in str(values) or value.startswith("from ")):
            yield f"variable {name}"
    yield from _settings(before.config, after.config, values)
    if before.config != after.config and before.pod and before.pod == after.pod:
        yield STALE


def _flavour(image: str) -> str:
    """Return the coding agent of an image: a word behind its repository's name, or behind its tag; else Kiro's."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    word = tag.rpartition("-")[2]
    named = name.removeprefix("agent-broker").removeprefix("openab").strip("-")
    return named or (word if "-" in tag and word.isalpha() else "kiro")


def _settings(before: str, after: str, values: Object) -> Iterator[str]:
    """Yield the sections that are gone, and the settings that an operator has made and that are gone or others."""
    try:
        old, new = tomllib.loads(before), tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return  # whether the agent can live with it, its trouble tells
    yield from (f"section [{name}]" for name in old if name not in new)
    was, now = dict(_flat(old)), dict(_flat(new))
    wanted = {(_snake(path[-2]) if path[1:] else "", _snake(path[-1]), str(value)) for path, value in _leaves(values)}
    for path, value in was.items():
        section, _, name = path.rpartition(".")
        above = section.rpartition(".")[2]
        # what the configuration has in [agent], values have beside the sections of an agent, whatever that is called
        made = any(key == name and said == str(value) and above in (own, "agent") for own, key, said in wanted)
        if made and path.partition(".")[0] in new and now.get(path) != value:
            yield f"setting {path}"


def _flat(table: Object, above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast(Object, value), f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _leaves(values: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(cast(Object, value), (*above, key))
        else:
            yield (*above, key), value


def _snake(name: str) -> str:
    """A key of the values as the configuration writes it: ``maxSessions`` is ``max_sessions``."""
    return name if name.isupper() else _CAPITAL.sub(r"_\1", name).lower()
