"""The programs that tests judge by, beside what every Linux has. ``scripts/test-tools`` installs the same list."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

LIST = Path(__file__).with_name("tools.txt")


def missing(named: Iterable[Path]) -> list[str]:
    """Return the programs that the tests in these files and directories start and that this machine lacks."""
    text = "".join(file.read_text() for path in named for file in _sources(path))
    return [name for name in programs() if f'["{name}"' in text and shutil.which(name) is None]


def programs() -> list[str]:
    """Return the names of all programs."""
    return LIST.read_text().split()


def _sources(path: Path) -> list[Path]:
    """Return the files below a directory; of a file of tests, itself and the helpers beside it."""
    if path.is_dir():
        return sorted(path.rglob("*.py"))
    return [file for file in sorted(path.parent.glob("*.py")) if file == path or not file.name.startswith("test_")]
