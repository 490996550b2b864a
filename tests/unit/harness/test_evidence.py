"""What a failed node test leaves: whatever state reports are in, collecting it raises nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration import evidence


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of reports that is included, with one that is as it should be."""
    directory = tmp_path / "test" / "reports"
    good = directory / "good"
    good.mkdir(parents=True)
    (good / "journal.jsonl").write_text("{}\n")
    monkeypatch.setattr(evidence, "ROOT", tmp_path / "failures")
    monkeypatch.setattr(evidence, "_reports", [])
    evidence.keep_reports(directory)
    return directory


def test_failure_and_recent_reports_are_kept(reports: Path) -> None:
    kept = evidence.collect("tests/test_x.py::test_y[a/b]", "how it failed: \udcff")
    assert (kept / "failure.txt").read_text() == "how it failed: \\udcff"
    assert (kept / "test" / "good" / "journal.jsonl").read_text() == "{}\n"


def test_what_cannot_be_kept_is_told_and_ends_nothing(reports: Path) -> None:
    (reports / "a file").write_text("")
    (reports / "dangling").symlink_to("nowhere")
    pipe = reports / "writing" / "pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    (reports / "writing" / "link").symlink_to("gone while it was copied")
    kept = evidence.collect("test_x", "how it failed")
    assert (kept / "test" / "good" / "journal.jsonl").exists()
    assert "pipe" in (kept / "test" / "writing.txt").read_text()


def test_a_cluster_that_answers_nothing_is_evidence_too(reports: Path) -> None:
    def kubectl(*words: str) -> str:
        raise RuntimeError(f"no answer to {words[2]}")

    with evidence.watched("t-1", kubectl):
        kept = evidence.collect("test_x", "")
    assert (kept / "t-1" / "pods.txt").read_text() == "RuntimeError: no answer to describe"
