"""How long the API may be away: what is asked again, for how long, and what is told of it."""

from __future__ import annotations

import pytest

from openab_sop.cluster import retry
from openab_sop.cluster.retry import NoRetry, RetryPolicy
from openab_sop.errors import Unreachable


class Line:
    """Fails so many times, then answers; its clock moves when somebody sleeps."""

    def __init__(self, failures: int, *, heard: bool = False) -> None:
        self.asked = 0
        self.now = 0.0
        self._failures, self._heard = failures, heard

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self._failures:
            raise Unreachable("away", "wait", heard=self._heard)
        return "answer"

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def over(line: Line, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(retry.time, "sleep", line.sleep)
    monkeypatch.setattr(retry.time, "monotonic", lambda: line.now)
    return line


def test_it_asks_again_until_there_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    line, told = over(Line(5), monkeypatch), list[str]()
    assert RetryPolicy(tell=told.append).over(line) == "answer"
    assert line.asked == 6
    assert [words.split(";")[0] for words in told] == ["away", f"the cluster answers again, after {line.now:.0f} s"]


@pytest.mark.parametrize(("begun", "limit"), [(False, retry.BEFORE), (True, retry.BEGUN)])
def test_it_is_longer_once_something_was_begun(monkeypatch: pytest.MonkeyPatch, begun: bool, limit: float) -> None:
    line = over(Line(10_000), monkeypatch)
    mine = RetryPolicy(begun=begun)
    with pytest.raises(Unreachable):
        mine.over(line)
    assert limit <= line.now <= limit + 2
    asked = line.asked
    with pytest.raises(Unreachable):  # what follows in the same step does not begin to wait anew
        mine.over(line)
    assert line.asked == asked + 1
    mine.renew()
    with pytest.raises(Unreachable):
        mine.over(line)
    assert line.now >= 2 * limit


def test_what_may_have_been_heard_and_must_not_be_done_twice_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, unheard = over(Line(1, heard=True), monkeypatch), Line(1)
    with pytest.raises(Unreachable):
        RetryPolicy().over(heard, repeatable=False)
    assert heard.asked == 1
    assert RetryPolicy().over(over(unheard, monkeypatch), repeatable=False) == "answer"


def test_who_only_looks_on_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = over(Line(1), monkeypatch)
    with pytest.raises(Unreachable):
        NoRetry().over(line)
    assert line.asked == 1
