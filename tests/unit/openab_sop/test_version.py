"""Versions in the order that Helm sees."""

from __future__ import annotations

from itertools import pairwise

import pytest

from openab_sop.errors import SettingsError
from openab_sop.targets.version import Version, near, newest_first, newest_stable

ORDER = [
    "0.8.0-alpha",
    "0.8.0-alpha.1",
    "0.8.0-beta.2",
    "0.8.0-beta.11",
    "0.8.0-rc.1",
    "0.8.0",
    "0.8.1-beta.1",
    "0.10.0",
]
"""The order of SemVer 2 (section 11), oldest first."""


def versions(*texts: str) -> tuple[Version, ...]:
    return tuple(map(Version.parse, texts))


def test_the_order_is_semvers() -> None:
    assert [str(version) for version in newest_first(reversed(ORDER))] == ORDER[::-1]
    for older, newer in pairwise(ORDER):
        assert Version.parse(older).is_older_than(Version.parse(newer))
        assert not Version.parse(newer).is_older_than(Version.parse(older))


def test_build_metadata_has_no_weight_but_tells_versions_apart() -> None:
    one, other = versions("0.8.1+a", "0.8.1+b")
    assert not one.is_older_than(other)
    assert not other.is_older_than(one)
    assert one != other
    assert len(newest_first(["0.8.1+a", "0.8.1+b"])) == 2


def test_a_leading_v_is_accepted() -> None:
    assert Version.parse("v0.8.1") == Version.parse("0.8.1")


@pytest.mark.parametrize(
    "text", ["", "latest", "0.8", "0.8.1.2", "0.08.1", "0.8.1-", "vv0.8.1", "0.8.\u0661", "1" * 5000 + ".0.0"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no version") as refused:
        Version.parse(text)
    assert len(str(refused.value)) < 400


def test_what_is_no_version_is_passed_over_in_a_source() -> None:
    assert newest_first(["latest", "0.8.1", "sha256-abc", "0.8.1", "x" * 10_000]) == versions("0.8.1")


def test_the_newest_stable_version_is_no_prerelease() -> None:
    assert newest_stable(versions("0.8.0", "0.9.0-rc.1", "0.8.1")) == Version.parse("0.8.1")
    assert newest_stable(versions("0.9.0-rc.1")) is None


def test_near_ones_are_those_that_may_have_been_meant() -> None:
    offered = newest_first(["0.7.0", "0.8.0", "0.8.1", "0.8.2", "0.9.0", "1.0.0", "0.8.2-beta.1"])
    assert near(Version.parse("0.8.9"), offered) == versions("0.8.2", "0.8.2-beta.1", "0.8.1", "0.8.0")
    assert near(Version.parse("0.8.3-beta.1"), offered, 1) == versions("0.8.2-beta.1")
