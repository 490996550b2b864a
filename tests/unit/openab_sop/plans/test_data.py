"""What is on the volume: files that move, are covered, or may not be read."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.plans.plan import Plan
from openab_sop.plans.rules import data
from tests.unit.openab_sop.plans.drawn import AGENT, CONFIG, HOME, drawn, now, then, told

MOVE = data.FileMove("0.8.2", ".kiro/mcp.json", ".config/mcp.json")


def holding(*paths: str, versions: tuple[str, str] = ("0.8.1", "0.8.2"), **tweaks: Any) -> Plan:
    """Files that are in the home."""
    return drawn(after=then(**tweaks), present={AGENT: frozenset(paths)}, versions=versions)


def users(was: int | None, would: int | None, old: int | None = None, new: int | None = None, **tweaks: Any) -> Plan:
    """The agent runs as one user with a group, then as another."""
    contexts = [
        {
            "securityContext": {
                key: value for key, value in (("runAsUser", uid), ("fsGroup", group)) if value is not None
            }
        }
        for uid, group in ((was, old), (would, new))
    ]
    return drawn(now(pod=contexts[0], **tweaks), then(pod=contexts[1], **tweaks))


def beside(volume: str = AGENT, **mount: Any) -> Plan:
    """Another container mounts a volume, before and after."""
    mounts = [{"name": volume, "mountPath": "/seed", **mount}]
    pod = {"initContainers": [{"name": "seed", "image": "ghcr.io/openabdev/openab:0.8.1", "volumeMounts": mounts}]}
    return drawn(now(pod=pod), then(pod=pod))


CASES: dict[str, tuple[Plan, list[str]]] = {
    # file-moved
    "a file that moves": (holding(MOVE.old), [f"file-moved:{AGENT}.{MOVE.old}"]),
    "a file that moves in a version between": (
        holding(MOVE.old, versions=("0.8.0", "0.9.0")),
        [f"file-moved:{AGENT}.{MOVE.old}"],
    ),
    "it is at the new place already": (holding(MOVE.old, MOVE.new), []),
    "it is not there": (holding(), []),
    "it has moved before": (holding(MOVE.old, versions=("0.8.2", "0.9.0")), []),
    "it moves later": (holding(MOVE.old, versions=("0.8.0", "0.8.1")), []),
    "a pre-release before the move": (holding(MOVE.old, versions=("0.8.1", "0.8.2-beta.1")), []),
    # file-covered
    "a file is covered": (
        holding("AGENTS.md", covers=[f"{HOME}/AGENTS.md"]),
        ["file-covered:rel-kiro.AGENTS.md"],
    ),
    "a file that is not there is covered": (holding(covers=[f"{HOME}/AGENTS.md"]), []),
    "another file is covered": (holding("AGENTS.md", covers=[f"{HOME}/CLAUDE.md"]), []),
    "a file beside the home is covered": (holding("AGENTS.md", covers=["/etc/AGENTS.md"]), []),
    "it was covered before": (
        drawn(
            now(covers=[f"{HOME}/AGENTS.md"]),
            then(covers=[f"{HOME}/AGENTS.md"]),
            present={AGENT: frozenset(["AGENTS.md"])},
        ),
        [],
    ),
    # state-outside
    "a script at each start": (
        drawn(after=then(text=f"{CONFIG}[hooks.pre_boot]\nscript = '/x'\n")),
        [f"state-outside:{AGENT}.hooks.pre_boot"],
    ),
    "a configuration from an address": (
        drawn(after=then(more={"args": ["openab", "run", "-c", "s3://bucket/c.toml"]})),
        [f"state-outside:{AGENT}.configUrl"],
    ),
    "a configuration from a file": (drawn(after=then(more={"args": ["openab", "run", "-c", "/etc/c.toml"]})), []),
    # user-changed
    "another user": (users(1000, 1001), ["user-changed:rel-kiro"]),
    "another user, and the group goes": (users(1000, 1001, 1000), ["user-changed:rel-kiro"]),
    "another user, with a group": (users(1000, 1001, new=1001), []),
    "root": (users(1000, 0), []),
    "the same user": (users(1000, 1000, 1000), []),
    "the image decides from now on": (users(1000, None), []),
    "the image has decided so far": (users(None, 1000), []),
    "another user without a volume": (users(1000, 1001, pvc={}, mounts=()), []),
    # writes-at-start
    "a container that runs before the agent": (beside(), ["writes-at-start:rel-kiro"]),
    "it is read-only there": (beside(readOnly=True), []),
    "it mounts something else": (beside("config"), []),
}


@pytest.fixture(autouse=True)
def one_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file moves, whatever moves in the project's own versions."""
    monkeypatch.setattr(data, "MOVES", (MOVE,))


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_is_on_the_volume(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in data.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_what_the_container_says_of_its_user_counts() -> None:
    plan = drawn(
        now(pod={"securityContext": {"runAsUser": 1}}, more={"securityContext": {"runAsUser": 1000}}),
        then(pod={"securityContext": {"runAsUser": 1}}, more={"securityContext": {"runAsUser": 1001}}),
    )
    assert told(plan) == ["user-changed:rel-kiro"]


def test_only_what_matters_is_asked_for() -> None:
    assert data.asked(holding(covers=[f"{HOME}/b", f"{HOME}/a"])) == {AGENT: [MOVE.old, MOVE.new, "a", "b"]}
    assert data.asked(holding(versions=("0.8.2", "0.8.3"))) == {AGENT: []}
    assert data.asked(drawn(after=())) == {}
