"""Release notes in the shape of GitHub's releases API.

Source: https://docs.github.com/en/rest/releases/releases
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_PER_PAGE = 30


@dataclass(frozen=True)
class ReleaseNote:
    """One release: its `tag`, such as v0.8.1, its notes in Markdown, whether it is a pre-release."""

    tag: str
    body: str
    prerelease: bool

    def as_api(self, base_url: str) -> dict[str, Any]:
        """The fields of the API's object that readers use."""
        return {
            "url": f"{base_url}/releases/tags/{self.tag}",
            "html_url": f"{base_url}/releases/tag/{self.tag}",
            "tag_name": self.tag,
            "name": self.tag,
            "draft": False,
            "prerelease": self.prerelease,
            "body": self.body,
            "assets": [],
        }


def read_notes(file: Path) -> tuple[ReleaseNote, ...]:
    """The releases in the JSON `file`, newest first; none if there is no such file."""
    if not file.exists():
        return ()
    return tuple(ReleaseNote(**entry) for entry in json.loads(file.read_text()))


def write_notes(file: Path, notes: Sequence[ReleaseNote]) -> None:
    """Store `notes` for `read_notes`."""
    file.write_text(json.dumps([vars(note) for note in notes], indent=1))


def page(notes: Sequence[ReleaseNote], number: int, per_page: int) -> Sequence[ReleaseNote]:
    """Page `number`, counted from 1."""
    start = (number - 1) * per_page
    return notes[start : start + per_page]
