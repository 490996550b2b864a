"""Which steps of a history are walked: from each version to those that somebody would go to."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import yaml

from openab_sop.objects import Object
from openab_sop.targets.version import Version

KINDS = ("next", "jump", "beta", "step")
"""Stable to next stable; stable to the newest stable; stable to each pre-release before the next; pre-release to what
follows it. A pair that two of them have is walked once, as the first."""


@dataclass(frozen=True)
class Packed:
    """A packaged chart: its name, version, archive, and the version of what it installs."""

    name: str
    version: Version
    archive: Path
    app: str = ""

    @classmethod
    def at(cls, archive: Path) -> Packed:
        """Read an archive; raises KeyError if it is no chart."""
        with tarfile.open(archive) as files:
            stream = files.extractfile(f"{files.getnames()[0].partition('/')[0]}/Chart.yaml")
            assert stream is not None
            said: Object = yaml.safe_load(stream.read())
        return cls(said["name"], Version.parse(said["version"]), archive, str(said.get("appVersion") or ""))

    @cached_property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Pair:
    """A step: what kind, from where, to where."""

    kind: str
    before: Packed
    after: Packed

    @property
    def label(self) -> str:
        """How it is named in results."""
        return f"{self.before.label} -> {self.after.label}"


def ordered(charts: Sequence[Packed]) -> list[Packed]:
    """Charts in the order of their versions; a version under two names is there twice, in the order of the names."""
    return sorted(charts, key=lambda chart: (*chart.version.rank(), chart.name))


def pairs(charts: Sequence[Packed], kinds: Sequence[str] = KINDS) -> list[Pair]:
    """Return the steps of the kinds asked for, each once, those that matter most first."""
    found: dict[tuple[str, str], Pair] = {}
    for kind in kinds:
        for before, after in _steps(ordered(charts), kind):
            found.setdefault((before.label, after.label), Pair(kind, before, after))
    return list(found.values())


def _steps(charts: Sequence[Packed], kind: str) -> Iterator[tuple[Packed, Packed]]:
    stable = [chart for chart in charts if not chart.version.prerelease]
    if kind == "next":
        yield from pairwise(stable)
    elif kind == "jump":
        yield from ((chart, stable[-1]) for chart in stable[:-1])
    elif kind == "beta":
        current = None
        for chart in charts:
            if not chart.version.prerelease:
                current = chart
            elif current:
                yield current, chart
    else:
        yield from ((one, other) for one, other in pairwise(charts) if one.version.prerelease)
