"""What must be done is asked for again, for a while."""

from __future__ import annotations

import pytest

from openab_sop import wait
from openab_sop.errors import Forbidden, NotFound
from openab_sop.wait import insist


class Refusing:
    """Refuses some times, then does it."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.asked, self.error = times, 0, error

    def __call__(self) -> str:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(seconds: float) -> None:
        del seconds

    monkeypatch.setattr(wait.time, "sleep", at_once)


def test_what_is_refused_for_a_moment_is_asked_again() -> None:
    act = Refusing(3, Forbidden("no", "ask"))
    assert (insist(act), act.asked) == ("done", 4)


def test_what_is_not_there_is_asked_once() -> None:
    act = Refusing(1, NotFound("gone", "look"))
    with pytest.raises(NotFound):
        insist(act)
    assert act.asked == 1


def test_it_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "INSIST", -1)
    with pytest.raises(Forbidden):
        insist(Refusing(9, Forbidden("no", "ask")))


def test_what_is_no_refusal_is_not_asked_again() -> None:
    act = Refusing(1, ValueError("something else"))
    with pytest.raises(ValueError, match="else"):
        insist(act)
    assert act.asked == 1
