"""What an upgrade leads to: the newest stable version, or the one that was named, by way of a pre-release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from openab_sop import storage
from openab_sop.errors import NothingToDo, TargetError
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState
from openab_sop.targets import target
from openab_sop.targets.chart_source import ChartArchive
from openab_sop.targets.notes import Notes
from openab_sop.targets.target import Choice
from openab_sop.targets.version import Version, newest_first

OFFERED = [
    "0.7.0",
    "0.8.0-beta.1",
    "0.8.0",
    "0.8.1-beta.1",
    "0.8.1-beta.2",
    "0.8.1-rc.1",
    "0.8.1",
    "0.8.2",
    "0.9.0-beta.1",
]
V080, V081, V082 = map(Version.parse, ("0.8.0", "0.8.1", "0.8.2"))


@dataclass(frozen=True)
class Shelf:
    """A source with these versions, each an archive that holds its version's text."""

    texts: Sequence[str] = tuple(OFFERED)

    def versions(self) -> tuple[Version, ...]:
        return newest_first(self.texts)

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        archive = directory / f"openab-{version}.tgz"
        archive.write_text(str(version))
        digest = storage.digest(archive)
        (directory / digest).mkdir(exist_ok=True)
        return ChartArchive(archive.replace(directory / digest / archive.name), digest)

    def __str__(self) -> str:
        return "the shelf"


@dataclass(frozen=True)
class Runs:
    """What of a release is looked at."""

    version: str
    status: str = "deployed"


def running(version: str, status: str = "deployed") -> Release:
    return cast(Release, Runs(version, status))


def notes(text: str = "", problem: str = "") -> Notes:
    return Notes(V082, "https://notes/v0.8.2", text, problem)


def test_the_newest_stable_version_is_the_target() -> None:
    assert target.choose(Shelf(), V080) == V082


@pytest.mark.parametrize("named", ["0.8.1", "0.9.0-beta.1", "v0.8.1"])
def test_what_is_named_is_the_target(named: str) -> None:
    assert target.choose(Shelf(), V080, Version.parse(named)) == Version.parse(named)


def test_an_unknown_version_is_told_with_the_near_ones() -> None:
    with pytest.raises(TargetError, match=r"the shelf has no version 0\.8\.3; near it are 0\.8\.2, 0\.8\.1"):
        target.choose(Shelf(), V080, Version.parse("0.8.3"))


def test_a_source_without_a_stable_version_needs_a_name() -> None:
    with pytest.raises(TargetError, match=r"no stable version; it has 0\.9\.0-beta\.1"):
        target.choose(Shelf(["0.9.0-beta.1"]), V080)
    with pytest.raises(TargetError, match="none at all"):
        target.choose(Shelf([]), V080)


def test_a_downgrade_must_be_asked_for() -> None:
    with pytest.raises(TargetError, match=r"0\.8\.1 is older than 0\.8\.2, which runs\n  next: .*--allow-downgrade"):
        target.choose(Shelf(), V082, V081)
    assert target.choose(Shelf(), V082, V081, allow_downgrade=True) == V081


def test_a_source_that_lags_behind_is_no_downgrade_and_no_success() -> None:
    for allowed in (False, True):
        with pytest.raises(TargetError, match=r"0\.8\.2 is the newest stable version of the shelf, and older"):
            target.choose(Shelf(), Version.parse("0.9.0"), allow_downgrade=allowed)


def test_an_upgrade_that_ended_well_leaves_no_charts_of_earlier_ones(tmp_path: Path) -> None:
    choice = Choice(Version.parse("0.8.1-beta.2"), "")
    earlier = target.resolve(Shelf(), V080, V082, Choice(None, ""), tmp_path)
    own = target.resolve(Shelf(), V080, V081, choice, tmp_path)
    (tmp_path / ".pulling").mkdir()
    assert target.forget_others(own) == [earlier.digest]
    assert {path.name for path in tmp_path.iterdir()} == {*own.archives.values(), ".pulling"}
    assert all(path.is_file() for path in own.archives)


def test_the_target_that_runs_already_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDo, match=r"already on 0\.8\.1"):
        target.check_needed(running("0.8.1"), V081)


@pytest.mark.parametrize(
    ("release", "state", "force"),
    [
        (running("0.8.0"), None, False),
        (running("0.8.1", "failed"), None, False),
        (running("0.8.1", "pending-upgrade"), None, False),
        (running("0.8.1"), None, True),
        (running("0.8.1"), UpgradeState("c0", "then", 1, "0.8.0", "0.8.1", "digest"), False),
    ],
    ids=["another runs", "it failed", "it is pending", "forced", "under way"],
)
def test_what_is_not_done_goes_on(release: Release, state: UpgradeState | None, force: bool) -> None:
    assert target.check_needed(release, V081, state, force=force)


@pytest.mark.parametrize(("ended", "goes_on"), [("", True), (End.STUCK, True), (End.DONE, False), (End.BACK, False)])
def test_an_upgrade_is_under_way_until_its_end(ended: str, goes_on: bool) -> None:
    state = UpgradeState("c0", "then", 1, "0.8.0", "0.8.1", "digest", ended=ended)
    assert (target.under_way(state) is state) == goes_on
    assert target.under_way(None) is None


def test_the_newest_beta_is_validated_first() -> None:
    assert target.choose_prerelease(Shelf(), V081, notes()).prerelease == Version.parse("0.8.1-beta.2")


def test_another_prerelease_may_be_named() -> None:
    named = Version.parse("0.8.1-rc.1")
    assert target.choose_prerelease(Shelf(), V081, notes(), named) == Choice(named, "it was named")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("0.8.1-rc.2", "has no version"),
        ("0.8.0", "is no pre-release"),
        ("0.9.0-beta.1", "is no pre-release that leads"),
    ],
)
def test_a_prerelease_that_cannot_serve_is_refused(named: str, told: str) -> None:
    with pytest.raises(TargetError, match=told):
        target.choose_prerelease(Shelf(), V081, notes(), Version.parse(named))


def test_notes_stand_in_for_a_prerelease() -> None:
    choice = target.choose_prerelease(Shelf(), V082, notes("pre-release-validated: true"))
    assert choice == Choice(None, "https://notes/v0.8.2 says pre-release-validated: true")


def test_a_prerelease_needs_none() -> None:
    choice = target.choose_prerelease(Shelf(), Version.parse("0.9.0-beta.1"), notes())
    assert (choice.prerelease, choice.why) == (None, "0.9.0-beta.1 is a pre-release itself")


@pytest.mark.parametrize(
    "without", [notes("pre-release-validated: false"), notes(problem="no answer from https://notes")]
)
def test_without_either_it_is_unvalidated_and_says_why(without: Notes) -> None:
    choice = target.choose_prerelease(Shelf(), V082, without)
    assert (choice.prerelease, choice.unvalidated) == (None, True)
    assert "has no 0.8.2-beta.1" in choice.why
    assert without.problem in choice.why


def test_an_operator_may_want_one_step() -> None:
    choice = target.choose_prerelease(Shelf(), V081, notes(), skipped="tried elsewhere")
    assert choice == Choice(None, "an operator wants one step to 0.8.1: tried elsewhere")


def resolved(directory: Path) -> tuple[target.Target, UpgradeState]:
    choice = Choice(Version.parse("0.8.1-beta.2"), "it was named")
    made = target.resolve(Shelf(), V080, V081, choice, directory)
    return made, UpgradeState("c0", "then", 1, "0.8.0", "0.8.1", made.digest, prerelease="0.8.1-beta.2")


def test_a_target_is_its_charts_bytes(tmp_path: Path) -> None:
    made, _ = resolved(tmp_path)
    assert made.chart.read_text() == "0.8.1"
    assert made.prerelease_chart and made.prerelease_chart.read_text() == "0.8.1-beta.2"
    assert {path.parent.name: digest for path, digest in made.archives.items()} == {
        d: d for d in made.archives.values()
    }


def test_an_upgrade_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    made, state = resolved(tmp_path)
    assert target.stored(state, tmp_path) == made
    alone = target.resolve(Shelf(), V080, V082, Choice(None, "notes"), tmp_path)
    assert target.stored(replace(state, target="0.8.2", digest=alone.digest, prerelease=""), tmp_path) == alone


def test_what_is_not_as_it_was_is_not_gone_on_with(tmp_path: Path) -> None:
    made, state = resolved(tmp_path)
    for other in ({"target": "0.8.2"}, {"prerelease": ""}, {"digest": "0" * 64}):
        assert target.stored(replace(state, **other), tmp_path) is None
    record = made.chart.with_name(target.RECORD)
    whole = record.read_text()
    for damaged in ("", "[]", whole.replace("0.8.1-beta.2", "nonsense"), whole.replace('"digest"', '"x"')):
        record.write_text(damaged)
        assert target.stored(state, tmp_path) is None
    record.write_text(whole)
    assert made.prerelease_chart
    made.prerelease_chart.write_text("something else")
    assert target.stored(state, tmp_path) is None
