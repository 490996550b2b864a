"""What counts as harm, and how a verdict compares with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from history.outcome import FALSE_ALARM, MISSED, RIGHT, AgentFacts, harms, judged

CONFIG = """\
[discord]
allowed_channels = ["1"]

[pool]
max_sessions = 4
session_ttl_hours = 24
"""
BEFORE = AgentFacts(
    image="openab:1",
    pod="pod-1",
    claims={"home": "uid-1"},
    variables={"HOME": "/home/agent", "EDITOR": "none", "TOKEN": "from a Secret", "CHART": "own"},
    config=CONFIG,
    marked=True,
)
AFTER = replace(BEFORE, image="openab:2", pod="pod-2")
VALUES = {"agents": {"kiro": {"pool": {"maxSessions": 4}, "env": {"EDITOR": "none"}}}}


def found(after: AgentFacts) -> tuple[str, ...]:
    """What an upgrade of one agent to this has harmed."""
    return harms({"kiro": BEFORE}, {"kiro": after}, VALUES)


def without(name: str) -> dict[str, str]:
    """The variables without one."""
    return {key: value for key, value in BEFORE.variables.items() if key != name}


def test_a_good_upgrade_harms_nothing() -> None:
    assert found(AFTER) == ()


@pytest.mark.parametrize(
    ("after", "harm"),
    [
        (replace(AFTER, image="openab:1"), "image: kiro"),
        (replace(AFTER, image="ghcr.io/x/openab:2-claude"), "flavour: kiro"),
        (replace(AFTER, image="ghcr.io/x/agent-broker-codex:2"), "flavour: kiro"),
        (replace(AFTER, claims={"home": "uid-2"}), "claim: kiro"),
        (replace(AFTER, claims={"other": "uid-1"}), "claim: kiro"),
        (replace(AFTER, marked=False), "home: kiro"),
        (replace(AFTER, lost=("cronjob.toml",)), "file cronjob.toml: kiro"),
        (replace(AFTER, trouble="CrashLoopBackOff"), "down: kiro: CrashLoopBackOff"),
        (replace(AFTER, variables=without("EDITOR")), "variable EDITOR: kiro"),
        (replace(AFTER, variables=without("TOKEN")), "variable TOKEN: kiro"),
        (replace(AFTER, config=CONFIG.replace("[discord]", "[slack]")), "section [discord]: kiro"),
        (replace(AFTER, config=CONFIG.replace("max_sessions = 4", "")), "setting pool.max_sessions: kiro"),
        (replace(AFTER, config=CONFIG.replace("sessions = 4", "sessions = 9")), "setting pool.max_sessions: kiro"),
        (replace(AFTER, config=CONFIG.replace("sessions = 4", 'sessions = "4"')), "setting pool.max_sessions: kiro"),
        (replace(AFTER, pod="pod-1", config=CONFIG.replace("24", "4")), "stale: kiro"),
    ],
)
def test_each_harm_is_seen(after: AgentFacts, harm: str) -> None:
    assert found(after) == (harm,)


def test_what_nobody_has_set_may_change() -> None:
    assert found(replace(AFTER, config=CONFIG.replace("24", "4"), variables=without("CHART"))) == ()


def test_a_switch_of_another_section_is_none_that_was_set() -> None:
    values = {
        "agents": {"kiro": {"discord": {"enabled": True}, "reactions": {"enabled": False}, "command": "kiro-cli"}}
    }
    was = CONFIG + '[reactions]\nenabled = true\n[agent]\ncommand = "kiro-cli"\n'
    before, after = replace(BEFORE, config=was), replace(AFTER, config=was.replace("true", "false"))
    assert harms({"kiro": before}, {"kiro": after}, values) == ()
    other = replace(after, config=was.replace("kiro-cli", "other"))
    assert harms({"kiro": before}, {"kiro": other}, values) == ("setting agent.command: kiro",)


def test_what_the_agent_did_not_find_before_is_not_lost() -> None:
    before, after = replace(BEFORE, lost=("a",)), replace(AFTER, lost=("a", "b"))
    assert harms({"kiro": before}, {"kiro": after}, {}) == ("file b: kiro",)


def test_agents_that_come_and_go_are_seen() -> None:
    assert harms({"kiro": BEFORE}, {"claude": AFTER}, {}) == ("agents: kiro is gone", "agents: claude is new")


def test_who_did_not_run_before_owes_nothing_to_the_upgrade() -> None:
    before = replace(BEFORE, trouble="CrashLoopBackOff")
    assert harms({"kiro": before}, {"kiro": replace(AFTER, trouble="CrashLoopBackOff")}, {}) == ()


@pytest.mark.parametrize(
    ("blocked", "warned", "harm", "verdict"),
    [
        (True, [], ["claim: kiro"], RIGHT),
        (True, [], [], FALSE_ALARM),
        (False, [], [], RIGHT),
        (False, ["setting-changed"], ["claim: kiro"], MISSED),
        (False, [], ["stale: kiro"], MISSED),
        (False, ["not-restarted"], ["stale: kiro"], RIGHT),
        (True, ["not-restarted"], ["stale: kiro"], FALSE_ALARM),
        (False, ["not-restarted"], ["stale: kiro", "image: kiro"], MISSED),
    ],
)
def test_a_verdict_is_compared(blocked: bool, warned: list[str], harm: list[str], verdict: str) -> None:
    assert judged(blocked, warned, harm) == verdict
