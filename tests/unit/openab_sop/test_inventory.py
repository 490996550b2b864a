"""Contents: their lines, and the comparison of two of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.backups.inventory import Comparison, Entry, comparison, read
from openab_sop.errors import BackupError
from tests.unit.openab_sop.mutated import mutations

FILE = Entry("a/file", "f", 0o644, 1000, 1000, size=3, mtime_ns=1_700_000_000_123_456_789, sha256="ab" * 32)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Comparison]:
    """An empty comparison."""
    with comparison(tmp_path) as table:
        yield table
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["a", "new\nline", os.fsdecode(b"latin1-\xe9"), 'quote"', "\u2028"])
def test_line_round_trips(path: str) -> None:
    entry = replace(FILE, path=path, link="x\ny", note="grew", offset=512, readable=False)
    assert len(entry.as_line().splitlines()) == 1
    assert list(read([entry.as_line()])) == [entry]


def test_same_is_not_different(table: Comparison) -> None:
    table.add("pod", replace(FILE, inode="1:2"))
    table.add("copy", replace(FILE, offset=1024))
    assert list(table.differing()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": "l"},
        {"mode": 0o600},
        {"uid": 0},
        {"gid": 0},
        {"size": 4},
        {"mtime_ns": 1_700_000_000_123_456_788},
        {"link": "x"},
        {"sha256": "cd" * 32},
        {"sha256": ""},
    ],
    ids=str,
)
def test_each_difference_is_seen(table: Comparison, change: dict[str, object]) -> None:
    table.add("pod", FILE)
    table.add("copy", replace(FILE, **change))  # type: ignore[arg-type]
    assert [entry.path for entry in table.differing()] == ["a/file"]


def test_what_one_side_lacks_is_seen(table: Comparison) -> None:
    table.add("pod", FILE)
    table.add("copy", replace(FILE, path="other"))
    assert [entry.path for entry in table.differing()] == ["a/file"]
    assert [entry.path for entry in table.missing_in_pod()] == ["other"]


def test_a_noted_difference_is_allowed(table: Comparison) -> None:
    table.add("pod", FILE)
    table.add("copy", replace(FILE, size=2))
    table.note("a/file", "grew")
    assert list(table.differing()) == []


def test_below_is_not_fooled_by_common_beginnings(table: Comparison) -> None:
    for path in ("a", "a b", "a-b", "a.b", "a/x", "a/x/y", "a0", "ab"):
        table.add("copy", replace(FILE, path=path))
    assert [entry.path for entry in table.below("copy", "a")] == ["a", "a/x", "a/x/y"]


def test_hard_link_has_the_content_of_its_source(table: Comparison) -> None:
    table.add("copy", FILE)
    link = replace(FILE, path="z", size=0, sha256="", hard_link="a/file")
    linked = table.linked("copy", link)
    assert (linked.path, linked.size, linked.sha256) == ("z", FILE.size, FILE.sha256)


def test_a_line_that_is_changed_is_read_or_refused() -> None:
    """Whoever can write a backup writes its Contents too: nothing but a refusal comes up, and no path leads out."""
    good = json.loads(Entry("d/f", "f", 0o644, 1, 2, 3, 4, "", sha256="0" * 64, offset=512, hard_link="d/g").as_line())
    refused = 0
    for changed in mutations(good, 1000):
        try:
            for entry in read([json.dumps(changed)]):
                for path in filter(None, (entry.path, entry.hard_link)):
                    assert not path.startswith("/")
                    assert ".." not in path.split("/")
        except BackupError:
            refused += 1
    assert refused > 300, "nothing of it did any harm: this test proves nothing"
