"""The course of an upgrade on disk: what is written is what is read, and damage is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.errors import SettingsError
from openab_sop.releases.course import Before, Course, CourseFile, End, Given

COURSE = Course(
    id="abcd1234",
    begun="2026-01-01T00:00:00+00:00",
    revision=3,
    version="0.8.0",
    target="0.8.1",
    digest="0" * 64,
    claims={"openab-kiro": "uid"},
    before={"openab-kiro": Before({"pod-uid": {"openab": 2}}, ("f00d",), "digest")},
    answers=(Given("prerelease", "CONFIRMED", "me", "terminal", "2026-01-01T00:00:01+00:00"),),
    outages={"0.8.1 openab-kiro": 1.5},
)


@pytest.fixture
def file(tmp_path: Path) -> CourseFile:
    return CourseFile(tmp_path / "sessions")


def test_it_is_read_as_it_was_written_and_private(file: CourseFile) -> None:
    assert file.read() is None
    file.write(COURSE)
    assert file.read() == file.course == COURSE
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_marks_and_changes_are_on_disk_at_once(file: CourseFile) -> None:
    file.write(COURSE)
    assert (COURSE.last, COURSE.changed, COURSE.when("stable applied")) == (3, False, None)
    file.update(acting="stable", acting_from=3)
    assert file.course.changed
    course = file.mark("stable applied", acting="", revisions=(4,))
    assert course == file.read()
    assert (course.last, course.changed, bool(course.when("stable applied"))) == (4, True, True)
    assert file.update(ended=End.BACK).ended == "rolled back"


def test_the_last_answer_at_a_gate_counts() -> None:
    second = Given("prerelease", "ROLLBACK", "me", "--answer", "later")
    assert COURSE.said("stable") is None
    assert replace(COURSE, answers=(*COURSE.answers, second)).said("prerelease") == second


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "a"}', '{"id": 1, "begun": []}'])
def test_a_damaged_one_is_told_and_left_alone(file: CourseFile, text: str) -> None:
    file.write(COURSE)
    file.path.write_text(text)
    with pytest.raises(SettingsError, match="cannot be read"):
        file.read()
    assert file.path.read_text() == text


def test_one_that_is_gone_is_told(file: CourseFile) -> None:
    with pytest.raises(SettingsError, match="is gone"):
        file.update(ended=End.LEFT)
