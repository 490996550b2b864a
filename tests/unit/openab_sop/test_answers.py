"""Answers: what is one, and which of them somebody has asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openab_sop.errors import SettingsError
from openab_sop.releases.upgrade_state import End, UpgradeState
from openab_sop.upgrades.answers import Reply
from openab_sop.upgrades.decision_table import GateAnswer

COURSE = UpgradeState("abcd1234", "2026-01-01", 3, "0.8.0", "0.8.1", "digest", awaiting="prerelease", revisions=(4,))


@pytest.mark.parametrize("answer", GateAnswer)
def test_every_word_is_read_with_and_without_its_upgrade(answer: GateAnswer) -> None:
    assert Reply.parse(f"stable:{answer.value}") == Reply("stable", answer)
    assert Reply.parse(f"stable:{answer.value}:abcd1234") == Reply("stable", answer, "abcd1234")
    assert str(Reply.parse(f"stable:{answer.value}:abcd1234")) == f"stable:{answer.value}:abcd1234"


@pytest.mark.parametrize("text", ["", "CONFIRMED", ":CONFIRMED", "stable:", "stable:confirmed", "stable:YES"])
def test_anything_else_is_refused_with_the_words(text: str) -> None:
    with pytest.raises(SettingsError, match="NO-RESPONSE"):
        Reply.parse(text)


def test_what_is_awaited_counts() -> None:
    Reply("prerelease", GateAnswer.CONFIRMED).require_awaited(COURSE)
    Reply("prerelease", GateAnswer.ROLLBACK, COURSE.id).require_awaited(COURSE)


@pytest.mark.parametrize(
    ("reply", "state", "said"),
    [
        (Reply("stable", GateAnswer.CONFIRMED), COURSE, "awaited is prerelease"),
        (Reply("prerelease", GateAnswer.CONFIRMED, "other"), COURSE, "under way is abcd1234"),
        (Reply("prerelease", GateAnswer.CONFIRMED), replace(COURSE, awaiting=""), "awaited is nothing"),
        (Reply("prerelease", GateAnswer.CONFIRMED), replace(COURSE, ended=End.DONE), "no upgrade is under way"),
        (Reply("prerelease", GateAnswer.CONFIRMED), None, "no upgrade is under way"),
    ],
)
def test_what_nobody_asked_for_is_refused(reply: Reply, state: UpgradeState | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        reply.require_awaited(state)
