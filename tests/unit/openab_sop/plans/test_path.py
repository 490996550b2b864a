"""The way from version to version."""

from __future__ import annotations

import pytest

from openab_sop.plans.plan import Plan, PlannedChart
from openab_sop.plans.rules import path
from openab_sop.targets.version import Version
from openab_sop.upstream.migrations import Migration
from tests.unit.openab_sop.plans.drawn import drawn, told


def way(current: str, target: str) -> Plan:
    """From one version to another."""
    return drawn(versions=(current, target))


CASES: dict[str, tuple[Plan, list[str]]] = {
    "back": (way("0.8.1", "0.8.0"), ["downgrade:rel"]),
    "back by numbers, not by letters": (way("0.10.0", "0.9.0"), ["downgrade:rel"]),
    "from a pre-release to the stable version before it": (way("0.8.1-beta.1", "0.8.0"), ["downgrade:rel"]),
    "from a version to its own pre-release": (way("0.8.1", "0.8.1-beta.9"), ["downgrade:rel"]),
    "from a pre-release to its version": (way("0.8.1-beta.1", "0.8.1"), []),
    "to the pre-release of a later version": (way("0.8.1", "0.8.2-beta.1"), []),
    "from beta to beta": (way("0.8.1-beta.2", "0.8.1-beta.10"), []),
    "another build of the same": (way("0.8.1+b", "0.8.1+a"), []),
    "the same": (way("0.8.1", "0.8.1"), []),
    "past a migration": (way("0.4.0", "0.6.0"), ["migration-skipped:0.5.0"]),
    "from it": (way("0.5.0", "0.6.0"), []),
    "to it": (way("0.4.0", "0.5.0"), []),
    "before it": (way("0.3.0", "0.4.0"), []),
    "nobody tried it": (drawn(unvalidated="0.8.2 was not validated"), ["not-validated:0.8.2"]),
    "back past it": (way("0.6.0", "0.4.0"), ["downgrade:rel"]),
}


@pytest.fixture(autouse=True)
def one_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    """One version asked for something, whatever the project's own have asked for."""
    monkeypatch.setattr(path, "MIGRATIONS", (Migration("0.5.0", "keys were renamed"),))


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_where_it_leads(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in path.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


@pytest.mark.parametrize(
    ("name", "app", "openab"),
    [("openab", "0.9.1", "0.2.0"), ("openab-line", "0.9.1", "0.9.1"), ("openab-line", "latest", "0.2.0")],
)
def test_a_chart_for_one_chat_counts_by_the_openab_that_it_installs(name: str, app: str, openab: str) -> None:
    assert PlannedChart(name, Version.parse("0.2.0"), app).openab == Version.parse(openab)
