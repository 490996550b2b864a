"""Each row of the decision table: what matches it, what just does not, and what comes first."""

from __future__ import annotations

import pytest

from openab_sop.rollouts.problem import Symptom
from openab_sop.upgrades.decision_table import RULES, Action, GateAnswer, Situation, decide

WELL = frozenset[Symptom]()


def ill(*symptoms: Symptom, agent: str = "kiro") -> dict[str, frozenset[Symptom]]:
    return {agent: frozenset(symptoms)}


def situation(**known: object) -> Situation:
    return Situation(**{"changed": True, **known})  # pyright: ignore[reportArgumentType]


CASES = {
    "unchanged": (
        [
            Situation(changed=False),
            Situation(changed=False, symptoms=ill(Symptom.CRASH_LOOP), lost=("kiro",), answer=GateAnswer.ROLLBACK),
        ],
        [situation()],
    ),
    "by-hand": (
        [situation(by_hand=True), situation(by_hand=True, symptoms=ill(Symptom.CRASH_LOOP))],
        [situation(), situation(answer=GateAnswer.ROLLBACK)],
    ),
    "quick-fix": (
        [
            situation(answer=GateAnswer.ESCALATE),
            situation(answer=GateAnswer.ESCALATE, failed=("image",)),
            situation(symptoms=ill(Symptom.PENDING, Symptom.PROCESS_GONE), answer=GateAnswer.ESCALATE),
            situation(lost=("kiro",), answer=GateAnswer.ESCALATE),
        ],
        [situation(failed=("image",)), situation(answer=GateAnswer.ROLLBACK)],
    ),
    "volume-lost": (
        [
            situation(lost=("kiro",)),
            situation(lost=("kiro",), symptoms=ill(Symptom.CRASH_LOOP), missing=("hosts.yml",)),
        ],
        [situation(missing=("hosts.yml",))],
    ),
    "rollback-asked": (
        [
            situation(answer=GateAnswer.ROLLBACK),
            situation(answer=GateAnswer.ROLLBACK, missing=("a",)),
            situation(answer=GateAnswer.ROLLBACK, symptoms=ill(Symptom.CRASH_LOOP)),
        ],
        [situation(answer=GateAnswer.CONFIRMED), situation(answer=GateAnswer.ROLLBACK, lost=("kiro",))],
    ),
    "crash-or-pending": (
        [
            *(
                situation(symptoms=ill(symptom))
                for symptom in (Symptom.CRASH_LOOP, Symptom.IMAGE, Symptom.CANNOT_START, Symptom.PENDING)
            ),
            situation(symptoms={"kiro": WELL, **ill(Symptom.PENDING, agent="claude")}),
            situation(symptoms=ill(Symptom.PENDING, Symptom.PROCESS_GONE), answer=GateAnswer.NO_RESPONSE),
        ],
        [situation(symptoms=ill(Symptom.NOT_READY)), situation(symptoms={"kiro": WELL})],
    ),
    "no-process": (
        [situation(symptoms=ill(Symptom.PROCESS_GONE, Symptom.PANIC_LOGGED))],
        [situation(symptoms=ill(Symptom.CRASH_LOOP, Symptom.PROCESS_GONE))],
    ),
    "panic": (
        [situation(symptoms=ill(Symptom.PANIC_LOGGED), missing=("a",), answer=GateAnswer.NO_RESPONSE)],
        [situation(symptoms=ill(Symptom.NOT_CONNECTED))],
    ),
    "no-answer": (
        [situation(answer=GateAnswer.NO_RESPONSE), situation(answer=GateAnswer.NO_RESPONSE, missing=("a",))],
        [situation(answer=GateAnswer.NO_RESPONSE, restarted=True), situation(answer=None)],
    ),
    "no-answer-again": (
        [situation(answer=GateAnswer.NO_RESPONSE, restarted=True)],
        [situation(answer=GateAnswer.NO_RESPONSE), situation(restarted=True)],
    ),
    "config-missing": (
        [situation(missing=("hosts.yml",)), situation(missing=("hosts.yml",), failed=("count",), restarted=True)],
        [situation(missing=("hosts.yml",), restored=True), situation()],
    ),
    "config-missing-again": (
        [situation(missing=("hosts.yml",), restored=True)],
        [situation(missing=("hosts.yml",)), situation(restored=True)],
    ),
    "anything-else": (
        [
            situation(),
            situation(failed=("the image is another one",)),
            situation(symptoms=ill(Symptom.NOT_READY)),
            situation(symptoms=ill(Symptom.NOT_CONNECTED)),
            situation(answer=GateAnswer.CONFIRMED, failed=("files are gone",)),
            situation(restarted=True, restored=True),
        ],
        [situation(answer=GateAnswer.ESCALATE)],
    ),
}
"""By rule: situations that it decides, and some that it does not."""

ACTIONS = {
    "unchanged": Action.NOTHING,
    "volume-lost": Action.ROLL_BACK_AND_RESTORE,
    "no-answer": Action.RESTART_AND_ASK,
    "config-missing": Action.RESTORE_CONFIG_AND_RESTART,
    "quick-fix": Action.ESCALATE,
}
"""What every other rule does is to roll back."""


def test_every_rule_has_its_cases() -> None:
    assert [rule.id for rule in RULES] == list(CASES)


@pytest.mark.parametrize(("rule", "given"), [(rule, given) for rule, (yes, _) in CASES.items() for given in yes])
def test_a_rule_decides(rule: str, given: Situation) -> None:
    decision = decide(given)
    assert decision.rule.id == rule
    assert decision.action is ACTIONS.get(rule, Action.ROLL_BACK)


@pytest.mark.parametrize(("rule", "given"), [(rule, given) for rule, (_, no) in CASES.items() for given in no])
def test_a_rule_does_not_decide(rule: str, given: Situation) -> None:
    assert decide(given).rule.id != rule


def test_the_report_has_every_rule_with_what_was_observed() -> None:
    decision = decide(situation(symptoms=ill(Symptom.PROCESS_GONE), missing=("hosts.yml",)))
    assert [row.rule for row in decision.rows] == list(RULES)
    assert [row.rule.id for row in decision.rows if row.taken] == ["no-process"]
    observed = {row.rule.id: row.observed for row in decision.rows}
    assert observed["no-process"] == "kiro: the pod runs without the agent's process"
    assert observed["config-missing"] == "hosts.yml"
    assert observed["panic"] == ""
    assert "taken: kiro" in str(next(row for row in decision.rows if row.taken))
    assert "-> roll back (SOP 4.1, rule no-process)" in str(decision)


def test_every_symptom_leads_somewhere() -> None:
    assert {decide(situation(symptoms=ill(symptom))).action for symptom in Symptom} == {Action.ROLL_BACK}
