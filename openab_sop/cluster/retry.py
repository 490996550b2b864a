"""How long the API may be away: who has begun something rides it out, who has not is told soon.

A transport error is no answer: nothing follows from it, but that one asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from openab_sop.errors import Unreachable

T = TypeVar("T")

BEFORE = 15.0
"""Seconds that it may be away before anything was changed."""
BEGUN = 120.0
"""Seconds that it may be away once something was."""
_FIRST, _LONGEST = 0.25, 2.0
"""Seconds between two tries: they double from the first to the longest."""


@dataclass
class RetryPolicy:
    """That of one run, with all its connections.

    Attributes:
        begun: whether something was changed.
        stall: seconds for which a stream from or to a pod may bring nothing.
        halted: why every stream has to end at once; empty while they may go on.
        tell: gets a line when the API goes away, and one when it is back.
    """

    begun: bool = False
    stall: float = 120.0
    halted: str = ""
    tell: Callable[[str], None] = field(default=lambda line: None)
    _away: float | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def limit(self) -> float:
        """Seconds that the API may be away now."""
        return BEGUN if self.begun else BEFORE

    def over(self, ask: Callable[[], T], *, repeatable: bool = True) -> T:
        """Ask until there is an answer, whatever it is.

        Args:
            ask: one try.
            repeatable: whether it does no harm twice; else it is asked again only where it cannot have been heard.

        Raises:
            Unreachable: there was none for too long; or it may have been heard. Others as ``ask`` raises them.
        """
        pause, first = _FIRST, None
        while True:
            try:
                answer = ask()
            except Unreachable as error:
                now = time.monotonic()
                first = now if first is None else first  # this question may fail while others are answered
                if (error.heard and not repeatable) or not self._goes_on(error, first, now):
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                self._back()
                return answer

    def renew(self) -> None:
        """Begin a step: it has all the time again, also where the one before had used it up."""
        with self._lock:
            self._away = None

    def _goes_on(self, error: Unreachable, first: float, now: float) -> bool:
        with self._lock:
            news = self._away is None
            away = self._away = now if self._away is None else self._away
        if news:
            self.tell(f"{error.problem}; asking again for up to {self.limit:g} s")
        return now - min(first, away) < self.limit

    def _back(self) -> None:
        with self._lock:
            away, self._away = self._away, None
        if away is not None:
            self.tell(f"the cluster answers again, after {time.monotonic() - away:.0f} s")


class NoRetry(RetryPolicy):
    """That of who only looks on: each question is asked once."""

    def _goes_on(self, error: Unreachable, first: float, now: float) -> bool:
        return False
