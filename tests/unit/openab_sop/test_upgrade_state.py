"""The state of an upgrade on disk: what is written is what is read, and damage is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.cluster.lease import Board
from openab_sop.errors import Forbidden, SettingsError
from openab_sop.releases.upgrade_state import Before, End, Given, UpgradeState, UpgradeStateFile, directory_of

COURSE = UpgradeState(
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
def file(tmp_path: Path) -> UpgradeStateFile:
    return UpgradeStateFile(tmp_path / "sessions")


def test_it_is_read_as_it_was_written_and_private(file: UpgradeStateFile) -> None:
    assert file.read() is None
    file.write(COURSE)
    assert file.read() == file.state == COURSE
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_marks_and_changes_are_on_disk_at_once(file: UpgradeStateFile) -> None:
    file.write(COURSE)
    assert (COURSE.last, COURSE.changed, COURSE.when("stable applied")) == (3, False, None)
    file.update(in_progress="stable", in_progress_from=3)
    assert file.state.changed
    state = file.mark("stable applied", in_progress="", revisions=(4,))
    assert state == file.read()
    assert (state.last, state.changed, bool(state.when("stable applied"))) == (4, True, True)
    assert file.update(ended=End.BACK).ended == "rolled back"


def test_the_last_answer_at_a_gate_counts() -> None:
    second = Given("prerelease", "ROLLBACK", "me", "--answer", "later")
    assert COURSE.said("stable") is None
    assert replace(COURSE, answers=(*COURSE.answers, second)).said("prerelease") == second


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "a"}', '{"id": 1, "begun": []}'])
def test_a_damaged_one_is_told_and_left_alone(file: UpgradeStateFile, text: str) -> None:
    file.write(COURSE)
    file.path.write_text(text)
    with pytest.raises(SettingsError, match="cannot be read"):
        file.read()
    assert file.path.read_text() == text


def test_one_that_is_gone_is_told(file: UpgradeStateFile) -> None:
    with pytest.raises(SettingsError, match="is gone"):
        file.update(ended=End.LEFT)


class Refusing(Board):
    """A lock whose record the caller may not write."""

    def __init__(self) -> None:
        self.name = "openab-sop-openab"
        self.kept: str | None = None
        self.refuses = True

    def read(self) -> str | None:
        return self.kept

    def write(self, record: str, doing: str) -> bool:
        if self.refuses:
            raise Forbidden("PATCH is forbidden", "ask for this right")
        self.kept = record
        return True

    def clear(self) -> None:
        self.kept = None


DONE = replace(COURSE, revisions=(4,), ended=End.DONE)
BACK_BY_HAND = replace(DONE, ended="", decision="by-hand")


def test_a_rollback_that_the_cluster_would_not_record_goes_on_from_the_disk(tmp_path: Path) -> None:
    """No record on the cluster means "ended from elsewhere" only where there was one."""
    board = Refusing()
    UpgradeStateFile(tmp_path, board).write(DONE)
    UpgradeStateFile(tmp_path, board).write(BACK_BY_HAND)
    assert UpgradeStateFile(tmp_path, board).read() == BACK_BY_HAND


def test_one_that_was_recorded_once_and_is_not_any_more_has_ended_elsewhere(tmp_path: Path) -> None:
    board = Refusing()
    board.refuses = False
    UpgradeStateFile(tmp_path, board).write(BACK_BY_HAND)
    board.refuses = True
    UpgradeStateFile(tmp_path, board).update(restored=("openab-kiro",))
    assert UpgradeStateFile(tmp_path, board).state.restored == ("openab-kiro",)
    board.clear()
    assert UpgradeStateFile(tmp_path, board).state.ended == End.ELSEWHERE


def test_what_leads_on_is_not_begun_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        UpgradeStateFile(tmp_path, Refusing()).write(replace(COURSE, in_progress="stable", in_progress_from=3))


def kept(root: Path, cluster: str, begun: str, uid: str) -> Path:
    """A session's directory with an upgrade of that time, which began with that claim."""
    directory = root / "sessions" / cluster / "chat" / "openab"
    UpgradeStateFile(directory).write(replace(COURSE, begun=begun, claims={"openab-kiro": uid}))
    return directory


def test_an_upgrade_that_another_caller_has_kept_apart_is_found_by_its_claims(tmp_path: Path) -> None:
    """Who may not look at kube-system knows the cluster by another name; one of the same name is another cluster."""
    own = tmp_path / "sessions" / "by-uid" / "chat" / "openab"
    assert directory_of(own, lambda: pytest.fail("nobody is asked where there is no other")) == own
    kept(tmp_path, "elsewhere", "2026-01-09", "another")
    assert directory_of(own, lambda: {"uid"}) == own
    theirs = kept(tmp_path, "ca-1", "2026-01-02", "uid")
    assert directory_of(own, lambda: {"uid", "second"}) == theirs
    kept(tmp_path, "by-uid", "2026-01-03", "uid")
    assert directory_of(own, lambda: {"uid"}) == own
    (theirs / "upgrade.json").write_text("{")
    assert directory_of(own, lambda: {"uid"}) == own


def test_a_later_one_of_another_caller_counts(tmp_path: Path) -> None:
    own = kept(tmp_path, "by-uid", "2026-01-03", "uid")
    theirs = kept(tmp_path, "ca-1", "2026-01-04", "uid")
    assert directory_of(own, lambda: {"uid"}) == theirs
    (theirs / "upgrade.json").write_text("{")
    assert directory_of(own, lambda: {"uid"}) == own
    kept(tmp_path, "ca-1", "2026-01-04", "")
    assert directory_of(own, set) == own
