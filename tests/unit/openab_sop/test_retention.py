"""What a retention keeps: counted as restic counts, in UTC, and no rule keeps more than it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from openab_sop.backups.retention import Retention

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAYS = [NOON - timedelta(days=days) for days in range(40)]
TWICE = [NOON, NOON - timedelta(hours=1), NOON - timedelta(days=1), NOON - timedelta(days=1, hours=1)]


def kept(retention: Retention, times: list[datetime]) -> list[int]:
    """The places of the backups that are kept, newest first."""
    return retention.keeps(list(range(len(times))), lambda place: times[place])


CASES: dict[str, tuple[Retention, list[datetime], list[int]]] = {
    "nothing": (Retention(), DAYS, []),
    "the last": (Retention(last=3), DAYS, [0, 1, 2]),
    "more than there are": (Retention(last=9), DAYS[:2], [0, 1]),
    "the newest of each day": (Retention(daily=2), TWICE, [0, 2]),
    "days without one do not count": (Retention(daily=2), [DAYS[0], DAYS[20]], [0, 1]),
    "the newest of each week": (Retention(weekly=3), DAYS, [0, 6, 13]),  # 28 November 2026 is a Saturday
    "the newest of each month": (Retention(monthly=2), DAYS, [0, 28]),
    "one rule is enough": (Retention(last=1, monthly=2), DAYS, [0, 28]),
    "in whatever order they come": (Retention(last=1), DAYS[:3][::-1], [2]),
    "a week across the year": (
        Retention(weekly=2),
        [datetime(2027, 1, 2, tzinfo=UTC), datetime(2026, 12, 29, tzinfo=UTC), datetime(2026, 12, 27, tzinfo=UTC)],
        [0, 2],
    ),
    "the same year's number of a week": (
        Retention(weekly=9),
        [datetime(2026, 1, 5, tzinfo=UTC), datetime(2025, 1, 6, tzinfo=UTC)],
        [0, 1],
    ),
}


@pytest.mark.parametrize(("retention", "times", "places"), CASES.values(), ids=CASES)
def test_what_is_kept(retention: Retention, times: list[datetime], places: list[int]) -> None:
    assert kept(retention, times) == places


def test_days_are_those_of_utc() -> None:
    late = datetime(2026, 11, 28, 1, tzinfo=timezone(timedelta(hours=2)))
    assert kept(Retention(daily=9), [late, datetime(2026, 11, 27, 12)]) == [0]


@pytest.mark.parametrize(("retention", "given"), [(Retention(), False), (Retention(daily=1), True)])
def test_nothing_is_chosen_by_no_rule(retention: Retention, given: bool) -> None:
    assert retention.is_given is given


def test_it_tells_its_rules() -> None:
    assert str(Retention(last=2, monthly=12)) == "last 2, monthly 12"
