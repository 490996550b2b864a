"""The versions of our chart family, read from versions.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

WORLD = Path(__file__).resolve().parent
CHARTS = WORLD / "charts"
NOTES = WORLD / "notes"
IMAGE_PREFIX = "openab.local"
FLAVOURS = ("claude", "gateway")
"""Images beside the plain one: for another agent command, and the gateway's."""

Source = Literal["charts", "trials", "today"]
SOURCES: tuple[Source, ...] = ("charts", "trials", "today")
DEFAULT_FLAVOUR = "kiro"
"""What the plain image is called where each image names its flavour."""


@dataclass(frozen=True)
class Version:
    """One published chart version; versions.toml says what the fields mean."""

    version: str
    chart: str
    name: str = "openab"
    source: Source = "charts"
    fault: str = ""
    after: int = 0
    only: str | None = None
    schema: int = 1
    tag: str = ""
    without: tuple[str, ...] = ()
    image: bool = True
    alias: str = ""
    unified: bool = False
    classic: bool = True
    notes: str = ""

    def fault_of(self, flavour: str) -> str:
        """What the image of that flavour does wrong; empty if nothing."""
        return self.fault if self.only in (None, flavour) else ""

    @property
    def prerelease(self) -> bool:
        """Whether SemVer orders it before the version without its suffix."""
        return "-" in self.version

    def is_in(self, source: Source) -> bool:
        """Whether `source` offers it: "trials" has everything but what only "today" has."""
        return source == self.source or (source == "trials" and self.source == "charts")

    def image_name(self, flavour: str = "", tag: str = "") -> str:
        """The reference of its image, with its own number as the tag unless another is given."""
        if self.unified and flavour != "gateway":
            return f"{IMAGE_PREFIX}/{self.name}:{tag or self.version}-{flavour or DEFAULT_FLAVOUR}"
        repository = f"{self.name}-{flavour}" if flavour else self.name
        return f"{IMAGE_PREFIX}/{repository}:{tag or self.version}"

    def release_notes(self) -> str:
        """Its notes in Markdown; a plain sentence if nobody wrote any."""
        file = NOTES / (self.notes or f"{self.version}.md")
        return file.read_text() if file.exists() else f"Release {self.version} of {self.name}. No breaking changes.\n"


@dataclass(frozen=True)
class Family:
    """All versions, and for each generation of the chart the directories that make it up."""

    versions: tuple[Version, ...]
    generations: Mapping[str, tuple[Path, ...]]

    def find(self, version: str) -> Version:
        """The one version of that number. Raises LookupError naming those that exist."""
        for candidate in self.versions:
            if candidate.version == version:
                return candidate
        raise LookupError(f"no version {version}: there are {', '.join(v.version for v in self.versions)}")


@cache
def family() -> Family:
    """What versions.toml says. Raises TypeError on an unknown key, LookupError on an unknown generation."""
    document = tomllib.loads((WORLD / "versions.toml").read_text())
    generations = {name: tuple(CHARTS / part for part in parts) for name, parts in document["generations"].items()}
    versions = tuple(_version(entry) for entry in document["versions"]["all"])
    for version in versions:
        if version.chart not in generations:
            raise LookupError(f"versions.toml: {version.version} names an unknown generation, {version.chart}")
    return Family(versions, generations)


def _version(entry: dict[str, Any]) -> Version:
    fields: dict[str, Any] = {**entry, "without": tuple(entry.get("without", ()))}
    return Version(**fields)
