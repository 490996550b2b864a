"""Which tests a run leaves to a second try, a line each: ``python -m tests.again``, read from pytest's own cache.

Ends with status 1 unless the run came to its end with failed tests and nothing worse: what it left out would never be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

STATUS = "openab-sop/status"
"""Where the cache keeps how the last run ended."""


class Again:
    """Keeps how a run ended."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if cache := getattr(session.config, "cache", None):  # not with -p no:cacheprovider
            cache.set(STATUS, int(session.exitstatus))


def named(cache: Path) -> list[str]:
    """Return the ids of the failed tests; none if the run ended otherwise than by them.

    Raises:
        ValueError: the cache is damaged.
    """
    status, failed = cache / "v" / STATUS, cache / "v" / "cache" / "lastfailed"
    if not status.exists() or not failed.exists() or json.loads(status.read_text()) != pytest.ExitCode.TESTS_FAILED:
        return []
    return list(json.loads(failed.read_text()))


if __name__ == "__main__":
    tests = named(Path(".pytest_cache"))
    for test in tests:
        print(f"needs a second try: {test}")
    sys.exit(not tests)
