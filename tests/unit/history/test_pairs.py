"""Which steps of a history are walked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from history.pairs import Packed, Pair, pairs
from openab_sop.targets.version import Version

NAMES = (
    ("openab", "0.3.3"),
    ("agent-broker", "0.3.3"),
    ("openab", "0.7.8-beta.1"),
    ("openab", "0.7.8-beta.10"),
    ("openab", "0.7.8-beta.9"),
    ("openab", "0.8.0"),
    ("openab", "0.7.7"),
    ("openab", "0.8.1-beta.1"),
)
CHARTS = [Packed(name, Version.parse(version), Path("nowhere.tgz")) for name, version in NAMES]


def steps(found: list[Pair]) -> list[tuple[str, str]]:
    """From where to where, without the chart's usual name."""
    return [(p.before.label.removeprefix("openab "), p.after.label.removeprefix("openab ")) for p in found]


def test_a_stable_version_leads_to_the_next_one_also_under_another_name() -> None:
    assert steps(pairs(CHARTS, ["next"])) == [("agent-broker 0.3.3", "0.3.3"), ("0.3.3", "0.7.7"), ("0.7.7", "0.8.0")]


def test_a_jump_leads_to_the_newest_stable_version() -> None:
    assert steps(pairs(CHARTS, ["jump"])) == [("agent-broker 0.3.3", "0.8.0"), ("0.3.3", "0.8.0"), ("0.7.7", "0.8.0")]


def test_pre_releases_are_reached_from_the_stable_version_before_them() -> None:
    betas = [("0.7.7", f"0.7.8-beta.{number}") for number in (1, 9, 10)]
    assert steps(pairs(CHARTS, ["beta"])) == [*betas, ("0.8.0", "0.8.1-beta.1")]


def test_a_pre_release_leads_to_what_follows_it() -> None:
    numbers = ["0.7.8-beta.1", "0.7.8-beta.9", "0.7.8-beta.10", "0.8.0"]
    assert steps(pairs(CHARTS, ["step"])) == list(pairwise(numbers))


def test_a_step_of_two_kinds_is_walked_once() -> None:
    found = pairs(CHARTS, ["next", "jump"])
    assert steps(found).count(("0.7.7", "0.8.0")) == 1
    assert {pair.kind for pair in found if pair.before.label == "openab 0.7.7"} == {"next"}
