"""An agent as its Deployment tells it."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.agent import Agent, references
from openab_sop.agents.workload import is_agent
from openab_sop.errors import ReleaseError

Mounts = dict[str, str]


def deployment(
    mounts: Mounts, claims: Mounts, home: str | None = "/home/agent", container: str = "openab", **more: Any
) -> dict[str, Any]:
    """A Deployment; `mounts` by path to the volume's name, `claims` by volume's name."""
    volumes: list[dict[str, Any]] = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()
    ]
    main = {
        "name": container,
        "env": [{"name": "HOME", "value": home}] if home else [],
        "volumeMounts": [{"name": name, "mountPath": path} for path, name in mounts.items()],
    }
    spec = {"containers": [{"name": "sidecar"}, main], "volumes": volumes + more.pop("volumes", [])} | more
    selector = {"matchLabels": {"b": "2", "a": "1"}}
    return {"metadata": {"name": "x"}, "spec": {"selector": selector, "template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("mounts", "claim", "excluded"),
    [
        ({"/home/agent": "data"}, "home", ()),
        ({"/home/agent/": "data"}, "home", ()),
        ({"/home": "data"}, "home", ()),
        ({"/home": "other", "/home/agent": "data"}, "home", ()),
        (
            {"/home/agent": "data", "/home/agent/AGENTS.md": "config", "/home/agent/a/b": "tmp"},
            "home",
            ("AGENTS.md", "a/b"),
        ),
        ({"/home/agentx": "data"}, None, ()),
        ({"/home/agent": "tmp"}, None, ()),
        ({}, None, ()),
    ],
    ids=str,
)
def test_claim_and_what_is_not_the_volumes(mounts: Mounts, claim: str | None, excluded: tuple[str, ...]) -> None:
    agent = Agent.of(deployment(mounts, {"data": "home", "other": "not-the-home"}))
    assert (agent.claim, agent.excluded_mounts, agent.home) == (claim, excluded, "/home/agent")
    assert agent.selector == "a=1,b=2"


def test_home_without_the_variable_is_where_the_only_volume_is() -> None:
    agent = Agent.of(deployment({"/data": "data"}, {"data": "c"}, home=None))
    assert (agent.home, agent.claim) == ("/data", "c")


def test_home_that_cannot_be_told_is_not_guessed() -> None:
    with pytest.raises(ReleaseError, match="sets no HOME, and mounts 2 persistent volumes"):
        Agent.of(deployment({"/a": "a", "/b": "b"}, {"a": "1", "b": "2"}, home=None))


@pytest.mark.parametrize(("name", "expected"), [("openab", True), ("agent-broker", True), ("gateway", False)])
def test_agents_are_told_by_their_container(name: str, expected: bool) -> None:
    assert is_agent(deployment({}, {}, container=name)) is expected


def test_every_way_to_refer_to_a_secret() -> None:
    found = deployment(
        {},
        {},
        volumes=[
            {"name": "v", "secret": {"secretName": "volume"}},
            {
                "name": "p",
                "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "other"}}]},
            },
        ],
        imagePullSecrets=[{"name": "pull"}],
        initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "from"}}]}],
    )
    key = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}
    found["spec"]["template"]["spec"]["containers"][0]["env"] = [key]
    assert references(found, "secret") == {"volume", "projected", "pull", "from", "key"}
    assert references(found, "configMap") == {"other"}


def test_selector_expressions_are_kubectls() -> None:
    found = deployment({}, {})
    found["spec"]["selector"] = {
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]},
            {"key": "b", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ]
    }
    assert Agent.of(found).selector == "!d,a in (x,y),b notin (z),c"
