"""A deadline for calls that cannot be trusted to end: a name server or a web server may hang at any byte."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def begin(call: Callable[[], T]) -> Future[T]:
    """Start a call in a thread that does not keep the process alive; its outcome comes by the future."""
    outcome: Future[T] = Future()

    def carry_out() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  (whatever it is, it is raised where the outcome is asked for)
            outcome.set_exception(error)

    Thread(target=carry_out, daemon=True).start()
    return outcome


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns.

    Raises:
        TimeoutError: it did not end in time; its thread is left alone. And whatever the call raises.
    """
    return begin(call).result(seconds)
