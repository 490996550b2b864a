"""Which backups a retention keeps, as restic's ``forget`` counts them; what it does not keep may go (SOP 6.1).

Each rule looks at a release's good backups, newest first: ``last`` keeps so many; ``daily``, ``weekly`` and ``monthly``
keep the newest of each of so many days, weeks (ISO 8601) or months that have one, in UTC. One rule is enough.

Source: https://restic.readthedocs.io/en/stable/060_forget.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TypeVar

Backup = TypeVar("Backup")
Period = Callable[[datetime], object]

_PERIODS: dict[str, Period] = {
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
}


@dataclass(frozen=True)
class Retention:
    """How many backups of a release are kept by each rule; 0 for a rule that keeps none."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def is_given(self) -> bool:
        """Whether any rule keeps something: without one, nothing is ever chosen."""
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        rules = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name} {count}" for name, count in rules if count)

    def keeps(self, backups: Sequence[Backup], created: Callable[[Backup], datetime]) -> list[Backup]:
        """Return the backups of one release that are kept, newest first.

        Args:
            created: when a backup was made; a time without a zone is UTC.
        """
        dated = sorted(((_utc(created(backup)), place) for place, backup in enumerate(backups)), reverse=True)
        kept = {place for _, place in dated[: self.last]}
        for name, period in _PERIODS.items():
            kept |= set(_newest_of_each(dated, period, getattr(self, name)))
        return [backups[place] for _, place in dated if place in kept]


def _newest_of_each(dated: Iterable[tuple[datetime, int]], period: Period, count: int) -> list[int]:
    seen: dict[object, int] = {}
    for time, place in dated:
        seen.setdefault(period(time), place)
    return list(seen.values())[:count]


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
