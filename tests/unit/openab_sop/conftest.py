"""What several tests of the library need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal beside what a test makes."""
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()
