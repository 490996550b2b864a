"""What changed in the shape of OpenAB's values, version by version: data, and pure functions.

Each step gets the values as the step before has left them, and what runs now; it returns what it moved where. A step
that finds its work done moves nothing, so values of the new shape pass unchanged.

Sources: https://github.com/openabdev/openab/blob/main/docs/migrate-to-configtoml.md and docs/image-tags.md there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from openab_sop import bounded
from openab_sop.errors import InvalidDocument
from openab_sop.objects import Object, at, part
from openab_sop.proposals.document import Document
from openab_sop.reference import tag
from openab_sop.targets.version import Version
from openab_sop.upstream import images
from openab_sop.upstream.configuration import TEXT


@dataclass(frozen=True)
class RunningAgent:
    """An agent of the release as it runs, or as the operator's values have the current chart make it.

    Attributes:
        key: its key below ``agents`` in the values; where values have one agent at the top level, its flavour.
        image: the reference that its Deployment names.
        configuration: the text of its config.toml; None if there is none.
        home: directory of its home; empty if it is the chart's default.
    """

    key: str
    image: str
    configuration: str | None
    home: str = ""


@dataclass(frozen=True)
class ConversionContext:
    """What runs, and where it goes.

    Attributes:
        current, target: chart versions.
        before, app: appVersion of the current and of the target chart.
        repository: the image repository that the target chart names by default.
        own: the values that the release runs with; what the operator's file says otherwise is the operator's word.
        default_tags: the tag of images that the current and the target chart have by default; empty for appVersion.
    """

    current: Version
    target: Version
    before: str
    app: str
    repository: str
    agents: tuple[RunningAgent, ...]
    own: Object = field(default_factory=dict[str, Any])
    default_tags: tuple[str, str] = ("", "")

    def is_of_the_version(self, image: str) -> bool:
        """Whether an image is one that OpenAB publishes: by version, by channel, or as the current chart has it."""
        named = {self.before, self.default_tags[0]} - {""}
        own = images.is_ours(image) and "@" not in image and tag(image) in named
        return own or images.is_published(image)

    @property
    def flavour_in_tag(self) -> bool:
        """Whether the target names an image's flavour in the tag."""
        return not self.target.is_older_than(_FLAVOUR_IN_TAG)


@dataclass(frozen=True)
class ValueMove:
    """One key of the values: where it went, and why.

    Attributes:
        decide: whether an operator has to decide if this is what they want.
    """

    key: str
    to: str
    why: str
    decide: bool = False


@dataclass(frozen=True)
class ConversionStep:
    """One change of the values' shape.

    Attributes:
        name: what the page calls it.
        since: the first chart version of the new shape.
        apply: changes the document that it gets, and yields what it moved.
        lasts: whether it has something to do at each later upgrade too.
    """

    name: str
    since: Version
    apply: Callable[[Document, ConversionContext], Iterator[ValueMove]]
    lasts: bool = False


class Found(StrEnum):
    """What an agent's config.toml has in a value's place."""

    SAME = "the same"
    REFERENCE = "a reference to a variable"
    OTHER = "another value"
    NOTHING = "nothing"


_AGENTS_BY_KEY = Version.parse("0.6.0")
_FLAVOUR_IN_TAG = Version.parse("0.9.0-beta.2")
_VERBATIM = Version.parse("0.9.0-beta.7")
_RELEASED = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")


_OF_ONE_AGENT = (
    ("discord", "discord"),
    ("agent.command", "command"),
    ("agent.args", "args"),
    ("env", "env"),
    ("envFrom", "envFrom"),
    ("pool", "pool"),
    ("reactions", "reactions"),
    ("persistence", "persistence"),
    ("agentsMd", "agentsMd"),
    ("resources", "resources"),
    ("nodeSelector", "nodeSelector"),
    ("affinity", "affinity"),
    ("tolerations", "tolerations"),
)
"""Where a value of the one agent at the top level stands now, and where below the agent's key it goes."""
_KEY = images.DEFAULT
"""The agent that the chart has by default since there are several."""


def agents_by_key(values: Document, situation: ConversionContext) -> Iterator[ValueMove]:
    """A chart installed one agent, whose values stood at the top level; now each agent has a key of its own."""
    if len(situation.agents) != 1 or values.get("agents"):
        return
    (agent,) = situation.agents
    path = ("agents", agent.key)
    for old, new in _OF_ONE_AGENT:
        value = values.get(*old.split("."))
        if value is not None:
            values.remove(tuple(old.split(".")))
            values.set((*path, new), value)
            yield ValueMove(old, ".".join((*path, new)), "the values of an agent stand below its key")
    yield from _settings_of_the_agent(values, situation, agent)
    for gone, usual in (("replicas", 1), ("strategy", {"type": "Recreate"})):
        if (value := values.get(gone)) is not None:
            values.remove((gone,))
            yield ValueMove(gone, "removed", "the chart sets it: one pod, Recreate", decide=value != usual)
    if agent.key != _KEY:
        values.set(("agents", _KEY, "enabled"), False)
        yield ValueMove(f"agents.{_KEY}.enabled", "false", f"the chart would add an agent {_KEY}")


def _settings_of_the_agent(values: Document, situation: ConversionContext, agent: RunningAgent) -> Iterator[ValueMove]:
    """What was set for the coding agent itself: by a preset, and the variables that it alone gets."""
    path = ("agents", agent.key)
    if values.get("agent", "preset") is not None:
        values.remove(("agent", "preset"))
        if agent.home:
            values.set((*path, "workingDir"), agent.home)
        yield ValueMove("agent.preset", ".".join(path), "the key says the flavour")
        running = part(_parsed(agent.configuration or ""), "agent")
        for name in ("command", "args") if situation.target.is_older_than(_VERBATIM) else ():
            if (value := running.get(name)) is not None:
                values.set((*path, name), value)
    if (env := values.get("agent", "env")) is not None:
        values.remove(("agent", "env"))
        if situation.target.is_older_than(_VERBATIM):
            own = cast(Object, values.get(*path, "env") or {})
            values.set((*path, "env"), {**cast(Object, env), **own})
        yield ValueMove("agent.env", "config.toml [agent] env", "it is there already")


def images_by_flavour(values: Document, situation: ConversionContext) -> Iterator[ValueMove]:
    """One repository, with the flavour behind the version: no image of the earlier form is published any more."""
    yield from _tag_of_all(values, situation)
    yield from _repository_of_all(values, situation)
    repository = str(values.get("image", "repository") or situation.repository)
    for agent in situation.agents:
        yield from _image(values, situation, agent, repository)


def _tag_of_all(values: Document, situation: ConversionContext) -> Iterator[ValueMove]:
    """The tag of all images gets the agent's key behind it."""
    path = ("image", "tag")
    pinned = str(values.get(*path) or "")
    if not pinned or pinned == situation.app or _is_edited(values, situation, path):
        return
    if channel := images.CHANNELS.get(pinned):
        if channel != pinned:
            values.set(path, channel)
            why = f"{pinned} is not published any more"
            yield ValueMove("image.tag", f"{channel} in place of {pinned}", why, decide=True)
    elif _RELEASED.fullmatch(pinned) or pinned == situation.default_tags[0]:
        values.remove(path)
        why = "it names an earlier version; without it, the chart's own version counts"
        yield ValueMove("image.tag", f"removed ({pinned})", why, decide=pinned != situation.before)


def _repository_of_all(values: Document, situation: ConversionContext) -> Iterator[ValueMove]:
    path = ("image", "repository")
    named = str(values.get(*path) or "")
    if _is_edited(values, situation, path) or not images.is_published(named) or images.unified(named) == named:
        return
    values.set(path, images.unified(named))
    why = f"{named} is not published any more; the flavour is in the tag"
    yield ValueMove("image.repository", images.unified(named), why)


def _image(values: Document, situation: ConversionContext, agent: RunningAgent, repository: str) -> Iterator[ValueMove]:
    """The image of one agent: by its key where that is the flavour, else in so many words."""
    path = ("agents", agent.key, "image")
    named, key = str(values.get(*path) or ""), f"agents.{agent.key}.image"
    if _is_edited(values, situation, path):
        return
    if not situation.is_of_the_version(agent.image):
        if not named:
            values.set(path, agent.image)
            why = "an image of your own, or one that is pinned by a tag or digest of your own: it stays as it is"
            yield ValueMove(key, agent.image, why, decide=True)
        return
    flavour, home = images.flavour(agent.image), images.unified(agent.image)
    if named and images.moves(agent.image):
        if (channel := images.channel(named)) != named:
            values.set(path, channel)
            yield ValueMove(key, channel, f"{named} is not published any more", decide=True)
        return
    wanted = images.of_version(agent.image, situation.app, in_tag=True)
    if flavour == agent.key and home == repository:
        if named and named != wanted:
            values.remove(path)
            pinned = tag(named) not in ("", situation.before, f"{situation.before}-{flavour}")
            yield ValueMove(key, f"removed ({named})", "the chart names the image by the agent's key", decide=pinned)
    elif named != wanted:
        values.set(path, wanted)
        why = f"the agent's key is {agent.key}, its image is of flavour {flavour}: it names a version, raised each time"
        yield ValueMove(key, wanted, why, decide=True)


def _is_edited(values: Document, situation: ConversionContext, path: tuple[str, ...]) -> bool:
    """Return whether the operator's file says something else than what the release runs with: that is left alone."""
    said = values.get(*path)
    return bool(said) and str(said) != str(at(situation.own, *path) or "")


def verbatim_configuration(values: Document, situation: ConversionContext) -> Iterator[ValueMove]:
    """The chart writes no config.toml any more: the one that runs becomes part of the values, as it is."""
    for agent in situation.agents:
        path = ("agents", agent.key)
        if values.get(*path, TEXT) or values.get(*path, "configUrl"):
            continue
        key = ".".join((*path, TEXT))
        if agent.configuration is None:
            yield ValueMove(key, "missing", "no config.toml of this agent is known: write it", decide=True)
            continue
        values.set((*path, TEXT), agent.configuration.rstrip("\n") + "\n")
        yield ValueMove(
            key, "the config.toml that runs, as it is", "the chart mounts it as it is, and writes none itself"
        )


STEPS: Sequence[ConversionStep] = (
    ConversionStep("agents by key", _AGENTS_BY_KEY, agents_by_key),
    ConversionStep("images by flavour", _FLAVOUR_IN_TAG, images_by_flavour, lasts=True),
    ConversionStep("config.toml as it is", _VERBATIM, verbatim_configuration),
)
"""In the order of versions."""


def applicable(current: Version, target: Version) -> list[ConversionStep]:
    """Return the steps between two chart versions, oldest first."""
    return [
        step
        for step in STEPS
        if (step.lasts or current.is_older_than(step.since)) and not target.is_older_than(step.since)
    ]


def became(path: Sequence[object], value: object, configuration: str) -> tuple[str, Found]:
    """Return where a value is in an agent's config.toml, as ``[section] key``, and what is there.

    Args:
        path: of the value, below the agent.
        configuration: the text of its config.toml.
    """
    section, *keys = (_snake(str(word)) for word in path)
    known: dict[str, tuple[str, list[str]]] = {
        "cronjobs": ("cron", ["jobs"]),
        "cron": ("cron", keys),
        **{name: ("agent", [name, *keys]) for name in ("command", "args", "env", "inherit_env")},
        "working_dir": ("agent", ["working_dir"]),
    }
    table, rest = known.get(section, (section, keys))
    found: object = at(_parsed(configuration), table, *rest)
    where = f"[{table}] {'.'.join(rest)}".strip()
    if found is None:
        return where, Found.NOTHING
    if isinstance(found, str) and found.startswith("${") and found != value:
        return where, Found.REFERENCE
    return where, Found.SAME if section == "cronjobs" or _plainly(found) == _plainly(value) else Found.OTHER


def _parsed(configuration: str) -> Object:
    """Return what a config.toml means; nothing if it is not TOML."""
    try:
        return bounded.load_toml(configuration, "config.toml")
    except InvalidDocument:
        return {}


def _plainly(value: object) -> str:
    """Write a value so that an id is the same as a number and as a text."""
    return json.dumps(value, sort_keys=True, default=str).replace('"', "").lower()


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", word)
