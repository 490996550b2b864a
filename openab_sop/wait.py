"""The one wait: until ready, until failed, or until the deadline, whichever is first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from openab_sop.errors import ClusterError, NotFound, SopError

T = TypeVar("T")
INSIST = 30
"""Seconds for which what must be done is asked for again, although it is refused."""

LOOK = 5
"""Seconds that a look may take; longer, the line to the cluster was broken, and that is not what is waited for."""


def wait(
    unready: Callable[[], str | None],
    *,
    what: str,
    timeout: float,
    next_step: str,
    failed: Callable[[], str | None] = lambda: None,
    every: float = 0.1,
) -> None:
    """Wait until ``unready()`` returns None.

    Args:
        unready: the present state in words, as long as it is not the wanted one.
        what: what is waited for, as it stands in the message.
        timeout: seconds.
        next_step: what to do when it does not come.
        failed: a reason, as soon as waiting longer is in vain.
        every: seconds between two looks.

    Raises:
        SopError: ``failed`` gave a reason, or the deadline passed; the message has the last state.
    """
    deadline = time.monotonic() + timeout
    while True:
        looked = time.monotonic()
        if (state := unready()) is None:
            return
        deadline += max(0, time.monotonic() - looked - LOOK)
        if reason := failed():
            raise SopError(f"{what} failed: {reason}", next_step)
        if time.monotonic() >= deadline:
            raise SopError(f"{what} did not happen within {timeout:g} s; last seen: {state}", next_step)
        time.sleep(every)


def insist(act: Callable[[], T]) -> T:
    """Do what must be done, and ask again for a while if the API refuses: a webhook may have failed for a moment.

    Raises:
        NotFound: what is to be changed is not there; asked once.
        ClusterError: it is still refused after ``INSIST`` seconds.
    """
    deadline = time.monotonic() + INSIST
    while True:
        try:
            return act()
        except NotFound:
            raise
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
