"""How OpenAB names its images. The flavour says which coding agent is inside.

Before chart 0.9.0-beta.2 the flavour is in the repository (``openab-claude:0.8.5``; without one it is Kiro's). Since
then it is in the tag (``openab:0.9.0-claude``), and there is no default flavour.

Source: https://github.com/openabdev/openab/blob/main/docs/image-tags.md
"""

from __future__ import annotations

import re

from openab_sop.reference import is_floating, repository, tag

REPOSITORY = "openab"
"""The last part of the repository that holds every flavour."""
DEFAULT = "kiro"
"""The flavour of an image of the earlier form that names none."""
FLAVOURS = (
    "agentcore",
    "antigravity",
    "claude",
    "codex",
    "copilot",
    "cursor",
    "devin",
    "gemini",
    "grok",
    "hermes",
    "kimi",
    "kiro",
    "mimocode",
    "native",
    "opencode",
    "pi",
)
"""The flavours that OpenAB publishes."""
CHANNELS = {"latest": "stable", "stable": "stable", "beta": "beta"}
"""Tags that move, and what each is called since the flavour is in the tag."""

_FORMER = "agent-broker"
"""What the repository was called before chart 0.4."""
_FORMER_OWNER, _OWNER = "ghcr.io/thepagent", "ghcr.io/openabdev"
"""Whose it was, and is."""
_OF_FLAVOUR = re.compile(rf"(?P<version>.+)-(?P<flavour>{'|'.join(FLAVOURS)})")
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")
_MOVES = re.compile(rf"(?:{'|'.join(CHANNELS)}|\d+\.\d+)(?:-(?:{'|'.join(FLAVOURS)}))?")


def is_ours(image: str) -> bool:
    """Return whether OpenAB publishes an image of this name, in whatever registry a copy of it is."""
    name = _name(image)
    return name == REPOSITORY or name.startswith(f"{REPOSITORY}-")


def flavour(image: str) -> str:
    """Return the flavour of an image's reference; of an image that is not OpenAB's, the name of its repository."""
    name = _name(image)
    if name != REPOSITORY:
        return name.removeprefix(f"{REPOSITORY}-")
    named = _OF_FLAVOUR.fullmatch(tag(image))
    return named["flavour"] if named else DEFAULT


def moves(image: str) -> bool:
    """Return whether a reference can mean another image tomorrow: by Kubernetes' rules, or by OpenAB's channels."""
    return is_floating(image) or ("@" not in image and is_ours(image) and _MOVES.fullmatch(tag(image)) is not None)


def is_published(image: str) -> bool:
    """Return whether OpenAB publishes an image of this name and form: a flavour of its own, by version or channel."""
    last = tag(image)
    known = is_ours(image) and flavour(image) in FLAVOURS and "@" not in image
    return known and (last == "" or last in CHANNELS or moves(image) or _VERSION.fullmatch(last) is not None)


def of_version(image: str, version: str, *, in_tag: bool) -> str:
    """Return the reference that the same flavour has in a version, in the same registry.

    Args:
        in_tag: whether the version names the flavour in the tag.
    """
    if not in_tag:
        return f"{home(image)}:{version}"
    return f"{unified(image)}:{version}-{flavour(image)}"


def channel(image: str) -> str:
    """Return what the moving tag of an image is called since the flavour is in the tag; as it is if it has no such."""
    named = CHANNELS.get(tag(image) or "latest")
    return f"{unified(image)}:{named}-{flavour(image)}" if named and is_ours(image) else image


def home(image: str) -> str:
    """Return the repository that an image of OpenAB comes from today: it has moved since its first versions."""
    head, slash, _ = repository(image).rpartition("/")
    return f"{_OWNER if head == _FORMER_OWNER else head}{slash}{_name(image)}"


def unified(image: str) -> str:
    """Return the repository that holds every flavour, in the registry that an image of OpenAB comes from."""
    head, slash, _ = home(image).rpartition("/")
    return f"{head}{slash}{REPOSITORY}"


def _name(image: str) -> str:
    last = repository(image).rpartition("/")[2]
    return REPOSITORY + last.removeprefix(_FORMER) if f"{last}-".startswith(f"{_FORMER}-") else last
