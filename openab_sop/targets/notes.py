"""Release notes: fetched over HTTP, and what an operator must not overlook lifted out (SOP 1.6).

Source: https://docs.github.com/en/rest/releases/releases (get a release by tag name).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from openab_sop.errors import SourceError
from openab_sop.objects import Object
from openab_sop.targets import web
from openab_sop.targets.version import Version
from openab_sop.upstream.charts import CHARTS

LARGEST = 4 << 20
"""Bytes of an answer; GitHub allows notes of 125,000 characters."""

_TAGS = ("v{version}", "openab-{version}")
_VALIDATED = re.compile(
    r"^[^\w\n]*+pre-release-validated[^\w\n:]*+:[^\w\n]*+true[^\w\n]*+$", re.IGNORECASE | re.MULTILINE
)
"""On a line of its own: a sentence about it is no statement."""
_HEADING = re.compile(r" {0,3}+(#{1,6}+)\s++(.+)|\s*+\*\*([^*]++)\*\*:?")
_BULLET = re.compile(r"\s*+(?:[-*+]|\d++[.)])\s++(.+)")
_FENCE = re.compile(r"\s*+(```|~~~)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NOTHING = re.compile(r"\W*+(?:none|nothing|n/?a|no\b[^.]*+)\W*+", re.IGNORECASE)
_MARKED = re.compile(r"\W*+breaking\b|\w++(?:\([^)]*+\))?!:", re.IGNORECASE)
_BREAKING = re.compile(r"breaking", re.IGNORECASE)
_BOLD_LEVEL = 7
"""A line in bold is a heading below all others."""


@dataclass(frozen=True)
class Notes:
    """The release notes of a version.

    Attributes:
        address: where they are, or were looked for.
        text: Markdown; empty if there are none.
        problem: why there are none; empty if there are.
    """

    version: Version
    address: str
    text: str
    problem: str = ""

    @property
    def prerelease_validated(self) -> bool:
        """Whether they say that the version was validated without a pre-release (SOP 1.5)."""
        return _VALIDATED.search(self.text) is not None

    @property
    def breaking(self) -> tuple[str, ...]:
        """What they say of breaking changes, wherever it stands."""
        return self._lifted("breaking", "incompatible") + self._marked()

    @property
    def values(self) -> tuple[str, ...]:
        """What they say of changed values."""
        return self._lifted("values", "value", "configuration")

    @property
    def migrations(self) -> tuple[str, ...]:
        """What they say of migrations."""
        return self._lifted("migration", "migrations", "migrating", "schema", "upgrading")

    def highlights(self) -> dict[str, str]:
        """Return what must not be overlooked, by what it is; that there are no notes is such a thing."""
        if self.problem:
            return {"release notes": f"warning: not available, read them before you go on: {self.problem}"}
        lifted = {"breaking": self.breaking, "changed values": self.values, "migrations": self.migrations}
        return {name: "\n  ".join(points) for name, points in lifted.items() if points}

    def __str__(self) -> str:
        return f"{self.address}\n{self.text or self.problem}"

    def _lifted(self, *words: str) -> tuple[str, ...]:
        """Return the points below headings that have one of these words."""
        topic = re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)
        points = (point for is_below, point in _points(self.text, topic) if is_below)
        return tuple(point for point in points if not _NOTHING.fullmatch(point))

    def _marked(self) -> tuple[str, ...]:
        """Return the points below other headings that are marked as breaking."""
        points = (point for is_below, point in _points(self.text, _BREAKING) if not is_below)
        return tuple(point for point in points if _MARKED.match(point))


def fetch(url: str, version: Version, chart: str = CHARTS[0]) -> Notes:
    """Fetch the notes of a version; what is not available is told by the result, never raised (SOP 1.6).

    Args:
        url: the releases of a project in the shape of GitHub's API (``--notes-url``).
        chart: whose version it is; one for a single chat has numbers, and so tags, of its own.
    """
    tags = [tag.format(version=version) for tag in _TAGS] if chart in CHARTS else [f"{chart}-{version}"]
    addresses = [f"{url.rstrip('/')}/tags/{quote(tag, safe='')}" for tag in tags]
    problem = ""
    for address in addresses:
        try:
            answer = web.get(address, {"Accept": "application/vnd.github+json"}, largest=LARGEST)
            if answer.status == 200:
                return _read(version, address, answer.json())
            problem = f"{web.without_credentials(address)} answers with status {answer.status}"
        except SourceError as error:
            problem = error.problem
    return Notes(version, addresses[0], "", problem)


def _read(version: Version, address: str, document: object) -> Notes:
    release = cast(Object, document) if isinstance(document, dict) else {}
    text, page = release.get("body"), release.get("html_url")
    if not isinstance(text, str) or not text.strip():
        return Notes(version, address, "", f"{web.without_credentials(address)} has no notes in it")
    shown = page if isinstance(page, str) and page.startswith(("https://", "http://")) else address
    return Notes(version, shown, text.replace("\r\n", "\n"))


def _points(text: str, topic: re.Pattern[str]) -> Iterator[tuple[bool, str]]:
    """Yield every bullet and paragraph, and whether one of the headings that it stands below is of a topic.

    Each heading is looked at once: notes may have a long one and many points.
    """
    headings: dict[int, bool] = {}
    for block in _blocks(_COMMENT.sub("", text).splitlines()):
        if match := _HEADING.fullmatch(block):
            level = len(match[1] or "") or _BOLD_LEVEL
            headings = {above: is_of for above, is_of in headings.items() if above < level}
            headings[level] = topic.search(match[2] or match[3]) is not None
        elif not _FENCE.match(block):
            bullet = _BULLET.fullmatch(block)
            yield any(headings.values()), bullet[1] if bullet else block.strip()


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Yield headings, bullets and paragraphs, each as one line; code between fences begins with its fence."""
    block: list[str] = []
    fence = ""
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            fence = "" if found and found[1] == fence else fence
            continue
        begins = _HEADING.fullmatch(line) or _BULLET.fullmatch(line) or found or not line.strip()
        if begins and block:
            yield " ".join(block)
            block = []
        if line.strip():
            block.append(line.strip() if block else line.rstrip())
        if found or _HEADING.fullmatch(line):
            yield " ".join(block)
            block, fence = [], found[1] if found else ""
    if block:
        yield " ".join(block)
