"""The table of versions is sound: it is what every other test of the world relies on."""

from __future__ import annotations

import re

import pytest

from world.versions import NOTES, WORLD, Source, Version, family

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
)
"""Without build metadata. Source: https://semver.org, the regular expression in its questions and answers."""


def stable(source: Source) -> list[Version]:
    """The versions of a source that are no pre-releases, newest first."""
    found = [v for v in family().versions if v.is_in(source) and not v.prerelease and v.name == "openab"]
    return sorted(found, key=lambda version: [int(part) for part in version.version.split(".")], reverse=True)


@pytest.mark.parametrize("version", family().versions, ids=lambda v: v.version)
def test_numbers_are_semver(version: Version) -> None:
    """helm refuses anything else."""
    assert SEMVER.fullmatch(version.version)


def test_no_number_is_used_twice() -> None:
    """A number stands for one chart and one image, in whatever source."""
    numbers = [version.version for version in family().versions]
    assert len(numbers) == len(set(numbers))


def test_the_newest_stable_version_is_good() -> None:
    """Whoever names no target must not run into a fault."""
    newest = stable("charts")[0]
    assert (newest.version, newest.fault, newest.schema) == ("0.8.2", "", 1)
    assert stable("trials")[0].version == "0.9.3"


def test_the_three_ways_through_the_prerelease_branch_exist() -> None:
    """A beta; no beta but notes that stand in for it; neither."""
    numbers = {version.version for version in family().versions}
    validated = "pre-release-validated: true"
    assert "0.8.1-beta.1" in numbers
    assert "0.8.2-beta.1" not in numbers
    assert validated in family().find("0.8.2").release_notes()
    assert "0.9.3-beta.1" not in numbers
    assert validated not in family().find("0.9.3").release_notes()


def test_every_fault_of_the_agent_has_a_version_and_the_reverse() -> None:
    """A fault without a version is dead code; a version of an unknown fault does not start."""
    source = (WORLD / "agent/internal/agent/faults.go").read_text()
    table = source[source.index("completed(map[string]fault{") : source.index("})")]
    known = set(re.findall(r'^\t"([a-z-]+)":', table, re.MULTILINE))
    assert known == {version.fault for version in family().versions if version.fault}


def test_notes_belong_to_versions() -> None:
    """A file of notes whose version is gone would never be read."""
    numbers = {version.version for version in family().versions}
    assert {file.stem for file in NOTES.iterdir()} <= numbers


def test_an_unknown_version_is_named_with_those_that_exist() -> None:
    """What a person mistyped is seen at once."""
    with pytest.raises(LookupError, match=r"no version 0\.8\.9.*0\.8\.1"):
        family().find("0.8.9")
