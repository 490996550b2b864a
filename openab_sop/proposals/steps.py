"""What changed in the shape of OpenAB's values, version by version: data, and pure functions.

Each step gets the values as the step before has left them, and what runs now; it returns what it moved where. A step
that finds its work done moves nothing, so values of the new shape pass unchanged.

Sources: https://github.com/openabdev/openab/blob/main/docs/migrate-to-configtoml.md and docs/image-tags.md there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from openab_sop import bounded
from openab_sop.agents.workload import tag
from openab_sop.objects import at
from openab_sop.proposals.document import Document
from openab_sop.targets.version import Version
from openab_sop.upstream import images


@dataclass(frozen=True)
class RunningAgent:
    """An agent of the release as it runs.

    Attributes:
        key: its key below ``agents`` in the values.
        image: the reference that its Deployment names.
        configuration: the text of its config.toml on the cluster; None if it has none there.
    """

    key: str
    image: str
    configuration: str | None


@dataclass(frozen=True)
class Situation:
    """What runs, and where it goes.

    Attributes:
        current, target: chart versions.
        before, app: appVersion of the current and of the target chart.
        repository: the image repository that the target chart names by default.
    """

    current: Version
    target: Version
    before: str
    app: str
    repository: str
    agents: tuple[RunningAgent, ...]


@dataclass(frozen=True)
class Move:
    """One key of the values: where it went, and why.

    Attributes:
        decide: whether an operator has to decide if this is what they want.
    """

    key: str
    to: str
    why: str
    decide: bool = False


@dataclass(frozen=True)
class Step:
    """One change of the values' shape.

    Attributes:
        name: what the page calls it.
        since: the first chart version of the new shape.
        apply: changes the document that it gets, and yields what it moved.
    """

    name: str
    since: Version
    apply: Callable[[Document, Situation], Iterator[Move]]


def unified_images(values: Document, situation: Situation) -> Iterator[Move]:
    """One repository, with the flavour behind the version: no image of the earlier form is published any more."""
    yield from _tag_of_all(values, situation)
    yield from _repository_of_all(values)
    repository = str(values.get("image", "repository") or situation.repository)
    for agent in situation.agents:
        yield from _image(values, situation, agent, repository)


def _tag_of_all(values: Document, situation: Situation) -> Iterator[Move]:
    """The tag of all images gets the agent's key behind it."""
    pinned = str(values.get("image", "tag") or "")
    if not pinned:
        return
    if channel := images.CHANNELS.get(pinned):
        if channel != pinned:
            values.set(("image", "tag"), channel)
            yield Move(
                "image.tag", f"{channel} in place of {pinned}", f"{pinned} is not published any more", decide=True
            )
    elif re.fullmatch(r"v?\d+\.\d+\.\d+.*", pinned) and not images.moves(f"{images.REPOSITORY}:{pinned}"):
        if pinned.startswith(situation.app):
            return
        values.remove(("image", "tag"))
        why = "it names an earlier version; without it, the chart's own version counts"
        yield Move("image.tag", f"removed ({pinned})", why, decide=pinned != situation.before)


def _repository_of_all(values: Document) -> Iterator[Move]:
    named = str(values.get("image", "repository") or "")
    if named and images.is_ours(named) and images.unified(named) != named:
        values.set(("image", "repository"), images.unified(named))
        yield Move(
            "image.repository", images.unified(named), f"{named} is not published any more; the flavour is in the tag"
        )


def _image(values: Document, situation: Situation, agent: RunningAgent, repository: str) -> Iterator[Move]:
    """The image of one agent: by its key where that is the flavour, else in so many words."""
    path = ("agents", agent.key, "image")
    named = str(values.get(*path) or "")
    if named and images.is_ours(named) and tag(named).startswith(f"{situation.app}-"):
        return  # of the new form already
    if not images.is_ours(agent.image):
        if not named:
            values.set(path, agent.image)
            why = "an image of your own, which the chart would call by another name now"
            yield Move(".".join(path), agent.image, why, decide=True)
        return
    flavour, home = images.flavour(agent.image), images.unified(agent.image)
    if flavour == agent.key and home == repository:
        if named:
            values.remove(path)
            why = "the chart names the image by the agent's key"
            pinned = "@" in named or (tag(named) not in ("", *images.CHANNELS, situation.before))
            yield Move(".".join(path), f"removed ({named})", why, decide=pinned or images.moves(agent.image))
        return
    wanted = f"{home}:{situation.app}-{flavour}"
    values.set(path, wanted)
    why = f"the agent's key is {agent.key}, its image is of flavour {flavour}; raise the version at the next upgrade"
    yield Move(".".join(path), wanted, why, decide=True)


def verbatim_configuration(values: Document, situation: Situation) -> Iterator[Move]:
    """The chart writes no config.toml any more: the one that runs becomes part of the values, as it is."""
    for agent in situation.agents:
        path = ("agents", agent.key)
        if values.get(*path, "configToml") or values.get(*path, "configUrl"):
            continue
        key = ".".join((*path, "configToml"))
        if agent.configuration is None:
            yield Move(key, "missing", "no config.toml of this agent is on the cluster: write it", decide=True)
            continue
        values.set((*path, "configToml"), agent.configuration.rstrip("\n") + "\n")
        yield Move(key, "the config.toml that runs, as it is", "the chart mounts it as it is, and writes none itself")


STEPS: Sequence[Step] = (
    Step("images by flavour", Version.parse("0.9.0-beta.2"), unified_images),
    Step("config.toml as it is", Version.parse("0.9.0-beta.7"), verbatim_configuration),
)
"""In the order of versions."""


def applicable(current: Version, target: Version) -> list[Step]:
    """Return the steps between two chart versions, oldest first."""
    return [step for step in STEPS if current.is_older_than(step.since) and not target.is_older_than(step.since)]


def became(path: tuple[str, ...], configuration: str) -> str:
    """Return where a value is in an agent's config.toml, as ``[section] key``; empty if it is not there.

    Args:
        path: of the value, below the agent.
        configuration: the text of its config.toml.
    """
    section, *keys = (_snake(word) for word in path)
    known: dict[str, tuple[str, list[str]]] = {
        "cronjobs": ("cron", ["jobs"]),
        "cron": ("cron", keys),
        **{name: ("agent", [name, *keys]) for name in ("command", "args", "env", "inherit_env")},
        "working_dir": ("agent", ["working_dir"]),
    }
    table, rest = known.get(section, (section, keys))
    tree = bounded.load_toml(configuration, "config.toml")
    return f"[{table}] {'.'.join(rest)}".strip() if at(tree, table, *rest) is not None else ""


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", word)
