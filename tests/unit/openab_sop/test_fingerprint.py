"""Which agents have lost the claim that they had before an upgrade."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.errors import NotFound
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import GIVEN_UP, Before, UpgradeState
from openab_sop.upgrades import fingerprint

KIRO = Agent("openab-kiro", "openab", "app=openab", "/home/agent", "home", (), (), ())
COURSE = UpgradeState("abcd1234", "2026-01-01", 3, "0.8.0", "0.8.1", "digest", claims={"openab-kiro": "uid-1"})


@dataclass(frozen=True)
class Claims:
    """A cluster that has claims, by name with their UIDs."""

    uids: dict[str, str]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        if kind == "PersistentVolumeClaim" and name in self.uids:
            return {"metadata": {"uid": self.uids[name]}}
        raise NotFound(name, "")

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.get(kind, name) if name in self.uids else None


@dataclass(frozen=True)
class Runs:
    """What of a release is looked at."""

    cluster: Claims
    agents: tuple[Agent, ...]

    @property
    def mounted(self) -> tuple[Agent, ...]:
        return tuple(volume for agent in self.agents for volume in agent.volumes)


@pytest.mark.parametrize(
    ("agent", "claims", "lost"),
    [
        pytest.param(KIRO, {"home": "uid-1"}, [], id="it has it"),
        pytest.param(KIRO, {"home": "uid-2"}, ["openab-kiro"], id="made anew under the same name"),
        pytest.param(KIRO, {}, ["openab-kiro"], id="deleted"),
        pytest.param(replace(KIRO, claim="other"), {"home": "uid-1", "other": "uid-2"}, ["openab-kiro"], id="another"),
        pytest.param(replace(KIRO, claim=None), {"home": "uid-1"}, ["openab-kiro"], id="persistence switched off"),
        pytest.param(replace(KIRO, deployment="new"), {}, ["openab-kiro"], id="its agent is gone"),
        pytest.param(replace(KIRO, deployment="new", kept_as="openab-kiro"), {"home": "uid-1"}, [], id="renamed"),
    ],
)
def test_a_claim_is_lost_however_it_went(agent: Agent, claims: dict[str, str], lost: list[str]) -> None:
    release = cast(Release, Runs(Claims(claims), (agent,)))
    assert fingerprint.lost(release, COURSE) == lost
    assert fingerprint.lost(release, replace(COURSE, restored=("openab-kiro",))) == []


def test_a_volume_that_no_agent_has_is_unaccounted_for_unless_it_was_given_up() -> None:
    """Its agent has vanished, or no longer mounts it; the claim of a further volume may still be there."""
    work = replace(KIRO, claim="work", volume="work")
    state = replace(COURSE, claims={"openab-kiro": "uid-1", "openab-kiro/volumes/work": "uid-2"})
    claims = Claims({"home": "uid-1", "work": "uid-2"})
    whole, without, other = (
        cast(Release, Runs(claims, (agent,)))
        for agent in (replace(KIRO, further=(work,)), KIRO, replace(KIRO, deployment="claude", claim=None))
    )
    assert fingerprint.unaccounted(whole, state) == []
    assert fingerprint.unaccounted(without, state) == ["openab-kiro/volumes/work"]
    assert fingerprint.unaccounted(other, state) == [*state.claims]
    assert fingerprint.unaccounted(other, state, given_up=state.claims) == []
    replaced = cast(Release, Runs(Claims({"home": "uid-3", "work": "uid-2"}), (replace(KIRO, further=(work,)),)))
    assert fingerprint.unaccounted(replaced, state, given_up=state.claims) == ["openab-kiro"]


def test_what_is_given_up_is_kept_among_what_is_excused() -> None:
    state = replace(COURSE, excused=COURSE.excusing({"openab-kiro": [GIVEN_UP], "other": ["file"]}))
    assert state.given_up == {"openab-kiro"}


def test_after_a_rollback_the_chats_of_before_the_upgrade_count() -> None:
    """A pre-release on the way may have been connected to more: that is not demanded of the old version."""
    beta = Before({"uid": {"openab": 1}}, (), "", chats=("Discord", "webhooks"))
    state = replace(COURSE, before={"openab-kiro": beta}, chats={"openab-kiro": ("Discord",)})
    forward, back = (fingerprint.baselines(state, fresh=fresh)["openab-kiro"] for fresh in (False, True))
    assert (forward.chats, forward.restarts) == ({"Discord", "webhooks"}, {"uid": {"openab": 1}})
    assert (back.chats, back.restarts) == ({"Discord"}, {})
    known_before = fingerprint.baselines(replace(state, chats={}), fresh=True)["openab-kiro"]
    assert known_before.chats == frozenset(), "a record of an earlier version says nothing of it"
