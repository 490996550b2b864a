"""Failures that a test orders: the next requests below a path get an error, a delay, or a cut connection."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Failure:
    """What happens to requests whose path begins with `path`.

    `status` is the answer's (0: the connection is closed without one), `delay` seconds pass first, `times`
    requests are hit (-1: all until the next reset).
    """

    path: str
    status: int = 500
    delay: float = 0.0
    times: int = -1


@dataclass
class Failures:
    """The ordered failures, the first that fits wins."""

    ordered: list[Failure] = field(default_factory=list[Failure])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, failure: Failure) -> None:
        """Make requests fail from now on."""
        with self._lock:
            self.ordered.append(failure)

    def clear(self) -> None:
        """No failures any more."""
        with self._lock:
            self.ordered.clear()

    def hit(self, path: str) -> Failure | None:
        """The failure for a request to `path`, counted as used up once."""
        with self._lock:
            for index, failure in enumerate(self.ordered):
                if path.startswith(failure.path) and failure.times != 0:
                    if failure.times > 0:
                        self.ordered[index] = replace(failure, times=failure.times - 1)
                    return failure
        return None
