"""What to do when an upgrade went wrong: the SOP's decision table as data (SOP 4.1). Pure.

The rules stand in the SOP's order, with ours among them; the first that matches is taken. What a human has said comes
before what is seen, and of that a lost volume first: rolling back alone would not bring it back, and an emptied one
also lacks its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from openab_sop.rollouts.problem import Symptom


class Action(Enum):
    """What follows, in the words of the report."""

    NOTHING = "nothing was changed: nothing to bring back"
    ROLL_BACK_AND_RESTORE = "roll back, and restore the whole home from the backup"
    ROLL_BACK = "roll back"
    RESTART_AND_ASK = "restart the agent, then ask again"
    RESTORE_CONFIG_AND_RESTART = "restore the configuration from the backup, then restart"
    ESCALATE = "change nothing; a human goes on"


class GateAnswer(Enum):
    """What a human says at a gate (SOP 3.3)."""

    CONFIRMED = "CONFIRMED"
    ROLLBACK = "ROLLBACK"
    NO_RESPONSE = "NO-RESPONSE"
    ESCALATE = "ESCALATE"


@dataclass(frozen=True)
class Situation:
    """What is known when a step did not pass.

    Attributes:
        changed: whether this session has changed anything on the cluster.
        symptoms: by agent: what is wrong with it.
        lost: agents whose claim was replaced or emptied.
        answer: what the human said, None if nobody was asked or nobody answered.
        restarted: whether the agent was restarted already because of NO-RESPONSE.
        missing: configuration files of the backup that are gone or no longer parse.
        restored: whether they were restored already.
        failed: other checks that failed, in words.
        by_hand: whether somebody asks for the way back, whatever was seen.
    """

    changed: bool
    symptoms: Mapping[str, frozenset[Symptom]] = field(default_factory=dict[str, frozenset[Symptom]])
    lost: tuple[str, ...] = ()
    answer: GateAnswer | None = None
    restarted: bool = False
    missing: tuple[str, ...] = ()
    restored: bool = False
    failed: tuple[str, ...] = ()
    by_hand: bool = False


@dataclass(frozen=True)
class DecisionRule:
    """One row of the table.

    Attributes:
        id: its name in the report.
        sop: number in the SOP, with a plus for those that are ours.
        when: the condition, in words.
        fits: what in a situation fulfils it, in words; empty if nothing does.
        action: what follows.
    """

    id: str
    sop: str
    when: str
    fits: Callable[[Situation], str]
    action: Action

    def holds(self, situation: Situation) -> bool:
        """Whether the row matches."""
        return bool(self.fits(situation))


@dataclass(frozen=True)
class EvaluatedRule:
    """A rule as it was applied: what was observed, empty if nothing that it asks for; only the first match is taken."""

    rule: DecisionRule
    observed: str
    taken: bool

    def __str__(self) -> str:
        state = "taken" if self.taken else "matches" if self.observed else "no"
        seen = f": {self.observed}" if self.observed else ""
        return f"{self.rule.id} ({self.rule.sop}) {self.rule.when} -> {self.rule.action.value}: {state}{seen}"


@dataclass(frozen=True)
class Decision:
    """The rule that matched first, and every rule with what was observed."""

    rule: DecisionRule
    rows: tuple[EvaluatedRule, ...]

    @property
    def action(self) -> Action:
        """What follows."""
        return self.rule.action

    def __str__(self) -> str:
        observed = next(row.observed for row in self.rows if row.taken)
        return f"{self.rule.when} ({observed}) -> {self.action.value} (SOP {self.rule.sop}, rule {self.rule.id})"


def decide(situation: Situation) -> Decision:
    """Take the first rule that matches (SOP 4.1); the last one matches always."""
    chosen = next(rule for rule in RULES if rule.holds(situation))
    return Decision(chosen, tuple(EvaluatedRule(rule, rule.fits(situation), rule is chosen) for rule in RULES))


def _shows(*symptoms: Symptom) -> Callable[[Situation], str]:
    """A rule's condition: an agent has one of these symptoms."""

    def fits(situation: Situation) -> str:
        found = ((agent, each) for agent, has in sorted(situation.symptoms.items()) for each in symptoms if each in has)
        return _listed(f"{agent}: {symptom.value}" for agent, symptom in found)

    return fits


def _said(answer: GateAnswer, *, restarted: bool | None = None) -> Callable[[Situation], str]:
    """A rule's condition: a human said this, before or after the restart if that matters."""

    def fits(situation: Situation) -> str:
        asked = restarted is None or situation.restarted == restarted
        return f"a human said {answer.value}" if situation.answer is answer and asked else ""

    return fits


def _lacks(*, restored: bool) -> Callable[[Situation], str]:
    """A rule's condition: configuration is missing, before or after it was restored."""
    return lambda situation: _listed(situation.missing) if situation.restored == restored else ""


def _by_hand(situation: Situation) -> str:
    return "pytest suites/rollback" if situation.by_hand else ""


def _anything(situation: Situation) -> str:
    others = (f"{agent}: {each.value}" for agent, has in sorted(situation.symptoms.items()) for each in has)
    return _listed((*others, *situation.failed)) or "a step did not pass"


def _listed(things: Iterable[str]) -> str:
    return ", ".join(sorted(things))


RULES = (
    DecisionRule(
        "unchanged", "4.1+", "nothing was changed", lambda s: "" if s.changed else "no change", Action.NOTHING
    ),
    DecisionRule("by-hand", "4.1+", "somebody asks for it by hand", _by_hand, Action.ROLL_BACK),
    DecisionRule("quick-fix", "4.1", "a human names a quick fix", _said(GateAnswer.ESCALATE), Action.ESCALATE),
    DecisionRule(
        "volume-lost",
        "4.1+",
        "a claim was replaced or emptied",
        lambda situation: _listed(situation.lost),
        Action.ROLL_BACK_AND_RESTORE,
    ),
    DecisionRule("rollback-asked", "3.3", "a human asks for it", _said(GateAnswer.ROLLBACK), Action.ROLL_BACK),
    DecisionRule(
        "crash-or-pending",
        "4.1",
        "crash loop or pending",
        _shows(Symptom.CRASH_LOOP, Symptom.IMAGE, Symptom.CANNOT_START, Symptom.PENDING),
        Action.ROLL_BACK,
    ),
    DecisionRule("no-process", "4.1", "running without the process", _shows(Symptom.PROCESS_GONE), Action.ROLL_BACK),
    DecisionRule("panic", "4.1", "panic or fatal in the log", _shows(Symptom.PANIC_LOGGED), Action.ROLL_BACK),
    DecisionRule(
        "no-answer",
        "4.1",
        "no answer in the chat",
        _said(GateAnswer.NO_RESPONSE, restarted=False),
        Action.RESTART_AND_ASK,
    ),
    DecisionRule(
        "no-answer-again",
        "4.1",
        "no answer after the restart",
        _said(GateAnswer.NO_RESPONSE, restarted=True),
        Action.ROLL_BACK,
    ),
    DecisionRule(
        "config-missing",
        "4.1",
        "configuration files are missing",
        _lacks(restored=False),
        Action.RESTORE_CONFIG_AND_RESTART,
    ),
    DecisionRule(
        "config-missing-again",
        "4.1+",
        "they are missing again",
        _lacks(restored=True),
        Action.ROLL_BACK,
    ),
    DecisionRule("anything-else", "4.1+", "any other failed check after a change", _anything, Action.ROLL_BACK),
)
"""The table; the first match wins."""
