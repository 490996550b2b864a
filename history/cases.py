"""Values files: each is a release that somebody could have, with comments at its head that say where it fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from openab_sop.objects import Object
from openab_sop.targets.version import Version

RELEASE = "openab"
_HEADER = re.compile(r"#\s*(\w+):\s*(.+?)\s*")
_BOUND = re.compile(r"(>=|<)(\S+)")


class HeaderError(Exception):
    """A values file says something of itself that is not understood."""


@dataclass(frozen=True)
class Case:
    """A values file.

    Attributes:
        name: its file's name without the suffix.
        release: name of the release (``# release: mybot``).
        bounds: what the version that it starts from must fulfil (``# versions: >=0.6.0 <0.7.0``).
        files: files of the home, relative to it, that the agents have before (``# files: cronjob.toml``).
    """

    name: str
    text: str
    release: str = RELEASE
    bounds: tuple[tuple[str, Version], ...] = ()
    files: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, text: str) -> Case:
        """Read a values file with its head.

        Raises:
            HeaderError: its head says something else than ``release``, ``versions`` and ``files``, or a bound that is
                none.
        """
        said = dict(_headers(text))
        if unknown := said.keys() - {"release", "versions", "files"}:
            raise HeaderError(f"{name}: unknown in its head: {', '.join(sorted(unknown))}")
        bounds = tuple(_bound(name, word) for word in said.get("versions", "").split())
        return cls(name, text, said.get("release", RELEASE), bounds, tuple(said.get("files", "").split()))

    @property
    def values(self) -> Object:
        """The values."""
        return yaml.safe_load(self.text) or {}

    def fits(self, version: Version) -> bool:
        """Tell whether a release of this version could have such values."""
        return all(version.is_older_than(bound) == (word == "<") for word, bound in self.bounds)


def read(directory: Path) -> list[Case]:
    """Read every values file of a directory; raises HeaderError as ``Case.parse`` does."""
    return [Case.parse(path.stem, path.read_text()) for path in sorted(directory.glob("*.yaml"))]


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """Yield what the comments before the first value say, one ``# word: text`` a line."""
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        if found := _HEADER.fullmatch(line):
            yield found[1], found[2]


def _bound(name: str, word: str) -> tuple[str, Version]:
    found = _BOUND.fullmatch(word)
    if not found:
        raise HeaderError(f"{name}: versions are bounded by >=X and <Y, not by {word}")
    return found[1], Version.parse(found[2])
