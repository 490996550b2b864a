"""What a rehearsal found out is used for the very way that was rehearsed, and for no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.rehearsals import outcome
from openab_sop.rehearsals.outcome import Outcome

FOUND = Outcome("2026-01-01T00:00:00+00:00", 3, {"0.8.2": "abc"}, "openab-backup-20260101-000000", 20.4, 1.6, ())


def test_it_is_read_as_it_was_stored(tmp_path: Path) -> None:
    assert outcome.last(tmp_path) is None
    FOUND.store(tmp_path)
    assert outcome.last(tmp_path) == FOUND
    assert (tmp_path / outcome.FILE).stat().st_mode & 0o777 == 0o600
    outcome.forget(tmp_path)
    assert outcome.last(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"when": 1}'])
def test_a_damaged_one_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / outcome.FILE).write_text(text)
    assert outcome.last(tmp_path) is None


@pytest.mark.parametrize(
    ("way", "same"),
    [
        ((3, "0.8.2", "abc"), True),
        ((4, "0.8.2", "abc"), False),
        ((3, "0.8.3", "abc"), False),
        ((3, "0.8.2", "published anew"), False),
    ],
)
def test_it_is_of_one_way(way: tuple[int, str, str], same: bool) -> None:
    assert FOUND.is_of(*way) == same


def test_the_way_back_is_as_long_as_it_was_measured() -> None:
    assert FOUND.rollback_estimate == "about 2 s without restoring a volume, 22 s with it"
    changed = replace(FOUND, changed=("bot",))
    assert changed.rollback_estimate == "about 22 s: the new version changes data of bot, so that volumes are restored"
