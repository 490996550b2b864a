"""The journal stays JSON, line by line, whatever it is told; what is secret in a value is masked there alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openab_sop import redact
from openab_sop.journal import Journal

HEAD = "home/-----BEGIN PRIVATE KEY-----"


def recorded(directory: Path, **facts: object) -> dict[str, Any]:
    """What the journal has of one event with these facts."""
    journal = Journal(directory / "journal.jsonl")
    journal.record("told", **facts)
    journal.close()
    (line,) = journal.path.read_text().splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    "name", [HEAD, f"{HEAD}\n", "token=abcdefgh", "Bearer abcdefgh", "\x1b]0;x\x07", "\udc80", "://a:b@"]
)
def test_a_name_takes_nothing_else_with_it(tmp_path: Path, name: str) -> None:
    """Issue 14: a file called like the head of a key hid all findings behind it, and the line was no JSON."""
    line = recorded(tmp_path, evidence=[name, "data.sqlite3: it is gone"], verdict="failed", more={name: "kept"})
    assert (line["event"], line["verdict"], line["evidence"][1]) == ("told", "failed", "data.sqlite3: it is gone")
    assert list(line["more"].values()) == ["kept"]


def test_what_is_secret_is_masked_in_each_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_known", frozenset[str]())
    redact.learn('tr0ub4dor&3"x\n')
    line = recorded(tmp_path, text='it is tr0ub4dor&3"x\n.', botToken="abcdefgh", path=Path("/tmp/a"), count=3)
    assert (line["text"], line["botToken"], line["path"], line["count"]) == ("it is ***.", "***", "/tmp/a", 3)
