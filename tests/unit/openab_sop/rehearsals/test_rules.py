"""What only the new version does is a finding; what both do is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.rehearsals import rules
from openab_sop.rehearsals.behaviour import Behaviour, Contrast, Traces
from openab_sop.restores.changes import Changes
from openab_sop.rollouts.health import RolloutJudgement
from openab_sop.rollouts.logs import LogFacts
from openab_sop.rollouts.problem import Symptom
from openab_sop.rollouts.rollout import AgentPod, Container, Observation
from openab_sop.rule import Severity
from openab_sop.verdict import Finding

AGENT = Agent("copy", "openab", "a=b", "/home", "claim", (), (), ())
NOTHING = Traces(Changes((), (), ()), (), ())


def judgement(symptom: Symptom | None = None, image: str = "sha256:old") -> RolloutJudgement:
    """What came of a rollout of a copy."""
    container = Container("openab", False, True, "openab:1", image, True, 0, "", "", None, None, None)
    pod = AgentPod("copy-1", "uid", "node", "Running", True, False, "", "", (container,))
    seen = Observation(AGENT, True, 1, 1, 1, "", "", (pod,), ())
    findings = (Finding("copy", f"{symptom.value}: so it is", "that it runs", "look"),) if symptom else ()
    return RolloutJudgement("copy", symptom, True, findings, seen, LogFacts(), LogFacts(), (), True, 0, 1.0, None)


def behaviour(version: str = "0.8.1", symptom: Symptom | None = None, **others: Any) -> Behaviour:
    """A version that runs well, but for what is said."""
    image = "sha256:old" if version == "0.8.1" else "sha256:new"
    usual: dict[str, Any] = {
        "judgement": judgement(symptom, image),
        "exit_code": None,
        "connected": True,
        "lost": False,
        "complaints": {},
        "process": True,
        "lacks": frozenset[str](),
        "ended_after": 0.5,
        "grace": 30.0,
    }
    return Behaviour(version, **{**usual, **others})


GOOD = Contrast("bot", behaviour(), behaviour("0.8.2"), behaviour(), NOTHING, NOTHING, "home", "home")


def new(**others: Any) -> Contrast:
    """A contrast whose new version is otherwise."""
    return replace(GOOD, new=behaviour("0.8.2", **others))


def both(**others: Any) -> Contrast:
    """A contrast whose versions are otherwise alike."""
    return replace(GOOD, old=behaviour(**others), new=behaviour("0.8.2", **others))


CRASH = Symptom.CRASH_LOOP
FOUND: list[tuple[str, Contrast]] = [
    ("does-not-run", new(symptom=CRASH, exit_code=101)),
    ("does-not-run", new(symptom=Symptom.NOT_READY)),
    ("does-not-run", new(symptom=Symptom.IMAGE)),
    ("process-missing", new(process=False)),
    ("connection-lost", new(lost=True)),
    ("errors-logged", new(complaints={"1": "ERROR broken"})),
    ("errors-logged", replace(new(complaints={"1": "a", "2": "b"}), old=behaviour(complaints={"1": "a"}))),
    ("files-gone", replace(GOOD, new_traces=replace(NOTHING, gone=("a", "b")))),
    ("home-elsewhere", replace(GOOD, new_claim="another")),
    ("home-elsewhere", replace(GOOD, new_claim=None)),
    ("does-not-end", new(ended_after=30.4)),
    ("tools-missing", new(lacks=frozenset({"tar"}))),
    ("same-image", replace(GOOD, new=behaviour("0.8.2", judgement=judgement()))),
    ("data-changed", replace(GOOD, new_traces=replace(NOTHING, unreadable=("db: its schema moved on",)))),
    ("no-way-back", replace(GOOD, back=behaviour(symptom=CRASH, exit_code=1))),
]
UNFOUND: list[Contrast] = [
    GOOD,
    both(process=None),
    both(lost=True),
    both(complaints={"1": "ERROR cannot resolve"}),
    both(lacks=frozenset({"du"})),
    both(ended_after=30.4),
    new(ended_after=5.0),
    replace(GOOD, back=None),
    replace(GOOD, old_traces=None, new_traces=None, old_claim=None, new_claim=None),
    replace(
        GOOD,
        old_traces=Traces(Changes((), (), ("cache",)), ("cache",), ("db: odd",)),
        new_traces=Traces(Changes((), (), ("cache",)), ("cache",), ("db: odd",)),
    ),
    replace(GOOD, new_traces=replace(NOTHING, changes=Changes(("new",), ("changed",), ()))),
]


def found(seen: Contrast) -> list[str]:
    return [rule.name for rule in rules.RULES for _ in rule.judge(seen)]


@pytest.mark.parametrize(("rule", "seen"), FOUND, ids=lambda value: value if isinstance(value, str) else "")
def test_what_only_the_new_version_does_is_found_once(rule: str, seen: Contrast) -> None:
    assert found(seen) == [rule]


@pytest.mark.parametrize("seen", UNFOUND)
def test_what_both_do_is_not(seen: Contrast) -> None:
    assert found(seen) == []


def test_every_rule_is_tried() -> None:
    assert {name for name, _ in FOUND} | {"old-unwell", "fails-otherwise"} == {rule.name for rule in rules.RULES}


def test_a_failure_that_both_share_says_only_that_no_more_was_seen() -> None:
    alike = both(symptom=CRASH, exit_code=1, complaints={"1": "ERROR cannot connect"})
    assert found(alike) == ["old-unwell"]
    otherwise = replace(alike, new=behaviour("0.8.2", CRASH, exit_code=101))
    assert found(otherwise) == ["does-not-run", "old-unwell"]
    assert found(both(symptom=CRASH, exit_code=1)) == ["old-unwell"]
    earlier = {"2": "ERROR no such option"}
    for said in (earlier, {}, {**alike.new.complaints, **earlier}):
        other = replace(alike, new=behaviour("0.8.2", CRASH, exit_code=1, complaints=said))
        assert found(other) == ["fails-otherwise", "old-unwell"]
    further = replace(alike, new=behaviour("0.8.2"))
    assert found(further) == ["old-unwell"]


@pytest.mark.parametrize("symptom", list(Symptom))
def test_a_copy_that_the_cluster_does_not_start_says_nothing_of_the_version(symptom: Symptom) -> None:
    told = rules.cannot_be_told(behaviour(symptom=symptom))
    assert bool(told) == (symptom in (Symptom.PENDING, Symptom.IMAGE, Symptom.CANNOT_START))


def test_a_prerelease_is_not_validated_where_the_old_version_does_not_run() -> None:
    assert [*rules.not_validated.judge(GOOD)] == []
    (finding,) = rules.not_validated.judge(both(symptom=CRASH, exit_code=1))
    assert "--prerelease=live" in finding.next_step


def test_an_agent_that_did_not_run_in_both_is_named() -> None:
    assert [finding.subject for finding in rules.not_rehearsed.judge(["gone"])] == ["gone"]


def test_logins_that_are_left_are_named_by_agent() -> None:
    left = {"bot": {"a\nb": "it is a keyring"}, "clean": {}}
    (finding,) = rules.logins_left.judge(left)
    assert (finding.subject, finding.observed) == ("bot", "in its home are 'a\\nb': it is a keyring")


def test_facts_are_told_and_harm_stops() -> None:
    tell = {rule.name for rule in rules.RULES if rule.severity is Severity.WARNS}
    assert tell == {"data-changed", "no-way-back", "old-unwell"}


@pytest.mark.parametrize(
    ("id", "ours"), [("files-gone:bot", True), ("logins-left:bot", True), ("agent-off:bot", False)]
)
def test_ids_are_known(id: str, ours: bool) -> None:
    assert rules.is_ours(id) == ours
