"""The sandbox's one wait: a question asked again until it says yes, a deadline passes, or hope is lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.errors import SandboxError

INTERVAL = 0.1
"""Seconds between two looks."""


def until(
    what: str,
    ready: Callable[[], bool],
    *,
    timeout: float,
    next_step: str,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Return once `ready()` is true.

    `check` is called between looks and raises what makes waiting on pointless, such as a process that died.
    Raises SandboxError naming `what` after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise SandboxError(f"{what} did not happen within {timeout:.0f} s", next_step)
        time.sleep(INTERVAL)
