"""Many trials on a few releases: each release has its share of them, one after the other, all side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event
from typing import TypeVar

Trial = TypeVar("Trial")
Release = TypeVar("Release")
Outcome = TypeVar("Outcome")


@contextmanager
def side_by_side(
    trials: Sequence[Trial],
    releases: Sequence[Callable[[], AbstractContextManager[Release]]],
    make: Callable[[Release, Trial], Outcome],
) -> Generator[list[Future[Outcome]]]:
    """Begin every trial; yields what becomes of each, in order. Those that nobody waits for any more are not begun."""
    futures: list[Future[Outcome]] = [Future() for _ in trials]
    ended = Event()
    with ExitStack() as stack, ThreadPoolExecutor(len(releases)) as several:

        def work(share: int) -> None:
            mine = range(share, len(trials), len(releases))
            try:
                release = stack.enter_context(releases[share]())
            except BaseException as error:  # noqa: BLE001  (each trial's own test raises it)
                for number in mine:
                    futures[number].set_exception(error)
                return
            for number in mine:
                if ended.is_set():
                    return
                try:
                    futures[number].set_result(make(release, trials[number]))
                except BaseException as error:  # noqa: BLE001  (the trial's own test raises it)
                    futures[number].set_exception(error)

        for share in range(len(releases)):
            several.submit(work, share)
        try:
            yield futures
        finally:
            ended.set()
