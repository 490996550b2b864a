"""Chart versions in the order that Helm sees: SemVer 2, a leading v accepted, build metadata ignored (SOP 1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import semver

from openab_sop.errors import SettingsError

LONGEST = 128
"""Characters of a version; an OCI tag has no more."""


@dataclass(frozen=True)
class Version:
    """One version of a chart; equal to another if build metadata is too.

    Attributes:
        text: as it is written, without a leading v.
    """

    text: str
    _parsed: semver.Version = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read a version: ``0.8.1``, ``v0.8.1``, ``0.8.1-beta.1+build``.

        Raises:
            SettingsError: it is none.
        """
        plain = text.removeprefix("v")
        if plain.isascii() and len(plain) <= LONGEST:
            with suppress(ValueError):
                return cls(plain, semver.Version.parse(plain))
        raise SettingsError(f"{text[:LONGEST]!r} is no version", "write it as 0.8.1 or 0.8.1-beta.1")

    @property
    def prerelease(self) -> str:
        """What makes it a pre-release ("beta.1"); empty if it is stable."""
        return self._parsed.prerelease or ""

    @property
    def core(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self._parsed.major, self._parsed.minor, self._parsed.patch

    def is_older_than(self, other: Version) -> bool:
        """Tell whether it comes before another by SemVer's precedence."""
        return self._parsed < other._parsed

    def rank(self) -> tuple[semver.Version, str]:
        """Sort by this: precedence; where that is the same, any order that is always the same."""
        return self._parsed, self.text

    def __str__(self) -> str:
        return self.text


def newest_first(texts: Iterable[str]) -> tuple[Version, ...]:
    """Return what of ``texts`` are versions, newest first; a source has other tags too ("latest")."""
    found: set[Version] = set()
    for text in texts:
        with suppress(SettingsError):
            found.add(Version.parse(text))
    return tuple(sorted(found, key=Version.rank, reverse=True))


def newest_stable(offered: Iterable[Version]) -> Version | None:
    """Return the newest version that is no pre-release; None if there is none."""
    return max((version for version in offered if not version.prerelease), key=Version.rank, default=None)


def near(wanted: Version, offered: Iterable[Version], count: int = 4) -> tuple[Version, ...]:
    """Return the versions that somebody who typed ``wanted`` may have meant, newest first."""
    nearest = sorted(offered, key=lambda version: _distance(version, wanted))[:count]
    return tuple(sorted(nearest, key=Version.rank, reverse=True))


def _distance(one: Version, other: Version) -> tuple[int, ...]:
    apart = (abs(a - b) for a, b in zip(one.core, other.core, strict=True))
    return *apart, int(bool(one.prerelease) != bool(other.prerelease))
