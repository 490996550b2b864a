"""Which volume of a backup a volume of the release is: by its claim, whatever its Deployment is called."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import BackupError, NotFound
from openab_sop.releases import identity
from openab_sop.releases.identity import holders, identified, matched


def agent(name: str, claim: str | None, *further: str, part: str = ".") -> Agent:
    """An agent with its home on one claim and further volumes on others; "@" precedes a part of one."""
    home = Agent(name, "openab", f"app={name}", "/home/agent", claim, (), (), (), part=part)
    volumes = (replace(home, claim=one.partition("@")[0], volume=one, home=f"/{one}", part=".") for one in further)
    return replace(home, further=tuple(volumes))


UIDS = {"k": "uid-k", "c": "uid-c", "w": "uid-w", "n": "uid-n", "both": "uid-both"}
TWO = {"kiro": "uid-k", "claude": "uid-c"}
WORK = {"kiro": "uid-k", "kiro/volumes/w": "uid-w"}
SHARED = {"kiro": "uid-both", "claude": "uid-both"}
PARTS = {"kiro": "of-kiro", "claude": "of-claude"}


@pytest.mark.parametrize(
    ("agents", "claims", "keys"),
    [
        pytest.param([agent("kiro", "k"), agent("claude", "c")], TWO, ["kiro", "claude"], id="as they were"),
        pytest.param([agent("solo", "k"), agent("claude", "c")], TWO, ["kiro", "claude"], id="one is renamed"),
        pytest.param([agent("a", "c"), agent("b", "k")], TWO, ["claude", "kiro"], id="both are renamed"),
        pytest.param([agent("kiro", "c"), agent("claude", "k")], TWO, ["claude", "kiro"], id="names are exchanged"),
        pytest.param([agent("kiro", "n"), agent("claude", "c")], TWO, ["kiro", "claude"], id="a claim is replaced"),
        pytest.param([agent("kiro", "gone"), agent("claude", "c")], TWO, ["kiro", "claude"], id="a claim is gone"),
        pytest.param([agent("kiro", None), agent("claude", "c")], TWO, ["kiro", "claude"], id="a claim is off"),
        pytest.param([agent("claude", "c")], TWO, ["claude"], id="one agent vanished"),
        pytest.param([agent("claude", "k")], TWO, ["kiro"], id="one vanished, the other took its name"),
        pytest.param(
            [agent("kiro", "n"), agent("solo", "k")],
            {"kiro": "uid-k"},
            ["kiro:new", "kiro"],
            id="a new one has the name",
        ),
        pytest.param([agent("solo", "n")], TWO, ["solo"], id="renamed and its claim replaced: matched with nothing"),
        pytest.param([agent("solo", "k", "w")], WORK, ["kiro", "kiro/volumes/w"], id="with its further volume"),
        pytest.param([agent("kiro", "k", "n")], WORK, ["kiro", "kiro/volumes/n"], id="a further volume is another"),
        pytest.param([agent("kiro", "w", "k")], WORK, ["kiro", "kiro/volumes/k"], id="a home is no further volume"),
        pytest.param(
            [agent("kiro", "c", "w"), agent("claude", "k", "w")],
            {**TWO, "kiro/volumes/w": "uid-w"},
            ["claude", "kiro:new/volumes/w", "kiro", "kiro/volumes/w"],
            id="what both have goes with the home",
        ),
        pytest.param(
            [agent("solo", "k", "w@b")],
            {"kiro": "uid-k", "kiro/volumes/w@a": "uid-w"},
            ["kiro", "solo/volumes/w@b"],
            id="another part of a further volume",
        ),
        pytest.param(
            [agent("kiro", "both", part="of-claude"), agent("claude", "both", part="of-kiro")],
            SHARED,
            ["claude", "kiro"],
            id="names are exchanged on parts of one claim",
        ),
        pytest.param([agent("new", "both", part="of-new")], SHARED, ["new"], id="another part of the claim of a home"),
    ],
)
def test_volumes_are_matched_by_claim_and_else_by_name(
    agents: list[Agent], claims: dict[str, str], keys: list[str]
) -> None:
    volumes = [volume for agent in agents for volume in agent.volumes]
    found = matched(volumes, UIDS, claims, PARTS if claims is SHARED else {})
    assert [found[volume.key] for volume in volumes] == keys
    assert len(set(found.values())) == len(volumes)


@dataclass
class Claims:
    """A cluster that has claims; what was asked for."""

    asked: list[str] = field(default_factory=list[str])

    def get(self, kind: str, name: str) -> dict[str, Any]:
        self.asked.append(name)
        if kind == "PersistentVolumeClaim" and name in UIDS:
            return {"metadata": {"uid": UIDS[name]}}
        raise NotFound(name, "")


def asked() -> dict[str, str]:
    raise AssertionError("the backup is opened")


def gone() -> dict[str, str]:
    raise BackupError("it is gone", "")


def known(*agents: Agent, claims: dict[str, str], parts: identity.Parts) -> tuple[Agent, ...]:
    return identified(cast(Cluster, Claims()), agents, claims, parts)


def test_agents_keep_what_they_are_and_get_the_key_of_what_they_were() -> None:
    (solo,) = known(agent("solo", "k", "w"), claims=WORK, parts=gone)
    assert (solo.deployment, solo.key, solo.identity) == ("solo", "kiro", "kiro")
    assert [(one.deployment, one.key) for one in solo.volumes] == [("solo", "kiro"), ("solo", "kiro/volumes/w")]
    (again,) = known(solo, claims={}, parts=asked)
    assert again == agent("solo", "k", "w"), "of another backup it is known otherwise"


def test_the_backup_is_opened_only_where_names_do_not_tell() -> None:
    same = agent("kiro", "k"), agent("claude", "c")
    assert known(*same, claims=TWO, parts=asked) == same
    with pytest.raises(AssertionError):
        known(agent("solo", "k"), claims=TWO, parts=asked)
    here = [agent(name, "both", part=part) for name, part in PARTS.items()]
    with pytest.raises(AssertionError):
        known(*here, claims=SHARED, parts=asked)
    assert [one.key for one in known(*here, claims=SHARED, parts=gone)] == ["kiro", "claude"]


def test_who_holds_a_volume_now() -> None:
    solo, claude = known(agent("solo", "k", "w"), agent("claude", "c"), claims=TWO | WORK, parts=gone)
    assert holders((solo, claude), ["kiro", "kiro/volumes/w"]) == {"solo"}
    assert holders((claude,), ["kiro/volumes/w", "claude"]) == {"kiro", "claude"}
    both = known(agent("solo", "k"), agent("kiro", "k"), claims=TWO, parts=gone)
    assert [one.key for one in both] == ["solo", "kiro"]
    assert holders(both, ["kiro"]) == {"solo", "kiro"}, "neither may start on what is half written"
