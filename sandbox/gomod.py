"""Reading go.mod files: what they require and replace, and which of two versions is newer."""

from __future__ import annotations

import re
from functools import total_ordering
from pathlib import Path

STAGING = re.compile(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging/", re.MULTILINE)
REPLACED = re.compile(r"^\s*(?:replace )?(\S+) => ", re.MULTILINE)
REQUIRED = re.compile(r"^(?:require )?\s*(\S+\.\S+/\S+|\S+\.\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)


@total_ordering
class Version:
    """A Go module version, ordered as SemVer orders it (pseudo-versions are pre-releases)."""

    def __init__(self, text: str) -> None:
        self.text = text
        number, _, pre = text.removeprefix("v").partition("+")[0].partition("-")
        self._key = (
            [int(part) for part in number.split(".")],
            not pre,
            [_identifier(part) for part in pre.split(".")],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self.text)


def _identifier(part: str) -> tuple[bool, int, str]:
    """SemVer's order of pre-release identifiers: numbers first, by value; then words."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)


def requirements(go_mod: Path) -> dict[str, str]:
    """Module to version, of all that `go_mod` requires, directly or not."""
    return dict(REQUIRED.findall(go_mod.read_text()))


def staging_modules(text: str) -> list[str]:
    """The modules that Kubernetes' own go.mod, given as `text`, takes from folders beside it."""
    return STAGING.findall(text)


def replaced_modules(go_mod: Path) -> list[str]:
    """The modules that `go_mod` replaces."""
    return REPLACED.findall(go_mod.read_text())
