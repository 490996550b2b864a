"""Each step of the values' shape: what it moves, what it leaves, and that it moves nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from openab_sop.proposals import steps
from openab_sop.proposals.document import Document
from openab_sop.proposals.steps import ConversionContext, Found, RunningAgent, applicable, became
from openab_sop.targets.version import Version

HOST = "ghcr.io/openabdev"
TOML = '[discord]\nbot_token = "${DISCORD_BOT_TOKEN}"\n\n[agent]\ncommand = "kiro-cli"\ninherit_env = ["KEY"]\n'


def situation(
    *agents: RunningAgent, own: dict[str, Any] | None = None, way: tuple[str, str] = ("0.8.5", "0.9.0")
) -> ConversionContext:
    """0.8.5 that goes to 0.9.0."""
    old, new = way
    return ConversionContext(Version.parse(old), Version.parse(new), old, new, f"{HOST}/openab", agents, own or {})


def agent(image: str, key: str = "kiro", configuration: str | None = TOML) -> RunningAgent:
    return RunningAgent(key, image, configuration)


def became_of(values: dict[str, Any], *agents: RunningAgent) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    """Values after the step for images, and the keys that moved, with whether an operator has to decide."""
    document = Document(yaml.safe_dump(values))
    moves = list(steps.images_by_flavour(document, situation(*agents, own=values)))
    again = list(steps.images_by_flavour(document, situation(*agents, own=values)))
    assert again == [], "a step that is done moves nothing"
    return document.plain, [(move.key, move.decide) for move in moves]


IMAGES: dict[str, tuple[dict[str, Any], RunningAgent, dict[str, Any], list[tuple[str, bool]]]] = {
    "the chart's own": ({}, agent(f"{HOST}/openab:0.8.5"), {}, []),
    "the flavour that the key says": (
        {"agents": {"claude": {"image": f"{HOST}/openab-claude", "command": "c"}}},
        agent(f"{HOST}/openab-claude:0.8.5", "claude"),
        {"agents": {"claude": {"command": "c"}}},
        [("agents.claude.image", False)],
    ),
    "a version that was pinned": (
        {"agents": {"claude": {"image": f"{HOST}/openab-claude:0.8.2", "command": "c"}}},
        agent(f"{HOST}/openab-claude:0.8.2", "claude"),
        {"agents": {"claude": {"command": "c"}}},
        [("agents.claude.image", True)],
    ),
    "a key that is no flavour": (
        {"agents": {"bot": {"image": f"{HOST}/openab-codex"}}},
        agent(f"{HOST}/openab-codex:0.8.5", "bot"),
        {"agents": {"bot": {"image": f"{HOST}/openab:0.9.0-codex"}}},
        [("agents.bot.image", True)],
    ),
    "a key that is another flavour": (
        {"agents": {"claude": {"command": "c"}}},
        agent(f"{HOST}/openab:0.8.5", "claude"),
        {"agents": {"claude": {"command": "c", "image": f"{HOST}/openab:0.9.0-kiro"}}},
        [("agents.claude.image", True)],
    ),
    "a mirror": (
        {"agents": {"pi": {"image": "mirror:5000/openab-pi:0.8.5"}}},
        agent("mirror:5000/openab-pi:0.8.5", "pi"),
        {"agents": {"pi": {"image": "mirror:5000/openab:0.9.0-pi"}}},
        [("agents.pi.image", True)],
    ),
    "a mirror for all": (
        {"image": {"repository": "mirror:5000/openab-pi"}},
        agent("mirror:5000/openab-pi:0.8.5", "pi"),
        {"image": {"repository": "mirror:5000/openab"}},
        [("image.repository", False)],
    ),
    "the tag of all, as the chart's": (
        {"image": {"tag": "0.8.5"}},
        agent(f"{HOST}/openab:0.8.5"),
        {},
        [("image.tag", False)],
    ),
    "the tag of all, an older one": (
        {"image": {"tag": "0.8.1"}},
        agent(f"{HOST}/openab:0.8.1"),
        {},
        [("image.tag", True)],
    ),
    "a channel that has another name now": (
        {"image": {"tag": "latest"}},
        agent(f"{HOST}/openab:latest"),
        {"image": {"tag": "stable"}},
        [("image.tag", True)],
    ),
    "a channel that stays": (
        {"image": {"tag": "beta"}},
        agent(f"{HOST}/openab:beta"),
        {"image": {"tag": "beta"}},
        [],
    ),
    "a tag of their own": (
        {"image": {"repository": "mirror:5000/openab", "tag": "acme-7"}},
        agent("mirror:5000/openab:acme-7"),
        {"image": {"repository": "mirror:5000/openab", "tag": "acme-7"}}
        | {"agents": {"kiro": {"image": "mirror:5000/openab:acme-7"}}},
        [("agents.kiro.image", True)],
    ),
    "a digest": (
        {"agents": {"kiro": {"image": f"{HOST}/openab@sha256:{'1' * 64}"}}},
        agent(f"{HOST}/openab@sha256:{'1' * 64}"),
        {"agents": {"kiro": {"image": f"{HOST}/openab@sha256:{'1' * 64}"}}},
        [],
    ),
    "a flavour that OpenAB does not publish": (
        {"agents": {"kiro": {"image": "mirror:5000/openab-mybot:v4"}}},
        agent("mirror:5000/openab-mybot:v4"),
        {"agents": {"kiro": {"image": "mirror:5000/openab-mybot:v4"}}},
        [],
    ),
    "a channel of one agent": (
        {"agents": {"claude": {"image": f"{HOST}/openab-claude:beta"}}},
        agent(f"{HOST}/openab-claude:beta", "claude"),
        {"agents": {"claude": {"image": f"{HOST}/openab:beta-claude"}}},
        [("agents.claude.image", True)],
    ),
    "an image of their own": (
        {"agents": {"kiro": {"image": "corp/bot:7"}}},
        agent("corp/bot:7"),
        {"agents": {"kiro": {"image": "corp/bot:7"}}},
        [],
    ),
    "an image of their own for all": (
        {"image": {"repository": "corp/bot", "tag": "7"}},
        agent("corp/bot:7"),
        {"image": {"repository": "corp/bot", "tag": "7"}, "agents": {"kiro": {"image": "corp/bot:7"}}},
        [("agents.kiro.image", True)],
    ),
}


@pytest.mark.parametrize(("values", "running", "expected", "moved"), IMAGES.values(), ids=IMAGES)
def test_images_get_the_name_of_the_new_form(
    values: dict[str, Any], running: RunningAgent, expected: dict[str, Any], moved: list[tuple[str, bool]]
) -> None:
    assert became_of(values, running) == (expected, moved)


@pytest.mark.parametrize("image", ["stable-kiro", "0.9-kiro", "0.9.0-beta.3-kiro", f"x@sha256:{'2' * 64}"])
def test_what_an_operator_has_edited_is_left_alone(image: str) -> None:
    """It is found as a difference, and not changed again at each check."""
    document = Document(f"agents: {{kiro: {{image: 'h/openab:{image}'}}}}")
    own = {"agents": {"kiro": {"image": "h/openab:0.8.5"}}}
    assert list(steps.images_by_flavour(document, situation(agent("h/openab:0.8.5"), own=own))) == []


def test_a_version_that_an_image_names_is_raised_each_time() -> None:
    own = {"agents": {"bot": {"image": f"{HOST}/openab:0.9.0-codex"}}, "image": {"tag": "0.9.0"}}
    document = Document(yaml.safe_dump(own))
    running = agent(f"{HOST}/openab:0.9.0-codex", "bot")
    moves = list(steps.images_by_flavour(document, situation(running, own=own, way=("0.9.0", "0.9.1"))))
    assert document.plain == {"agents": {"bot": {"image": f"{HOST}/openab:0.9.1-codex"}}}
    assert [move.key for move in moves] == ["image.tag", "agents.bot.image"]


def test_the_configuration_that_runs_becomes_part_of_the_values() -> None:
    document = Document("agents:\n  kiro:\n    discord: {botToken: x}\n")
    (move,) = steps.verbatim_configuration(document, situation(agent(f"{HOST}/openab:0.8.5")))
    assert document.get("agents", "kiro", "configToml") == TOML
    assert (move.key, move.decide) == ("agents.kiro.configToml", False)
    assert list(steps.verbatim_configuration(document, situation(agent("x")))) == []


def test_an_agent_whose_configuration_is_elsewhere_keeps_it() -> None:
    document = Document("agents:\n  kiro:\n    configUrl: https://example.com/c.toml\n")
    assert list(steps.verbatim_configuration(document, situation(agent("x")))) == []


def test_a_configuration_that_is_not_on_the_cluster_is_to_be_written() -> None:
    document = Document("")
    (move,) = steps.verbatim_configuration(document, situation(agent("x", configuration=None)))
    assert move.decide
    assert document.get("agents") is None


@pytest.mark.parametrize(
    ("current", "target", "names"),
    [
        ("0.8.5", "0.9.0", ["images by flavour", "config.toml as it is"]),
        ("0.8.5", "0.9.0-beta.2", ["images by flavour"]),
        ("0.9.0-beta.6", "0.9.0-beta.7", ["images by flavour", "config.toml as it is"]),
        ("0.9.0", "0.10.0-beta.3", ["images by flavour"]),
        ("0.8.1", "0.8.2", []),
        ("0.5.1", "0.7.0", ["agents by key"]),
        ("0.3.3", "0.9.0", ["agents by key", "images by flavour", "config.toml as it is"]),
    ],
)
def test_steps_are_those_between_the_versions(current: str, target: str, names: list[str]) -> None:
    assert [step.name for step in applicable(Version.parse(current), Version.parse(target))] == names


SINGLE: dict[str, Any] = {
    "image": {"tag": "78f8d2c"},
    "replicas": 1,
    "strategy": {"type": "Recreate"},
    "discord": {"botToken": "t", "allowedChannels": ["1"]},
    "agent": {"command": "kiro-cli", "args": ["acp"], "env": {"A": "1"}},
    "env": {"B": "2"},
    "persistence": {"size": "2Gi"},
}
"""Values of the time when a release was one agent."""


def by_key(values: dict[str, Any], running: RunningAgent, target: str) -> tuple[Any, dict[str, bool]]:
    """Values with a key for the agent, and what moved, with whether an operator has to decide."""
    document, way = Document(yaml.safe_dump(values)), situation(running, own=values, way=("0.5.1", target))
    moves = list(steps.agents_by_key(document, way))
    assert list(steps.agents_by_key(document, way)) == [], "a step that is done moves nothing"
    return document.plain, {move.key: move.decide for move in moves}


def test_values_of_one_agent_go_below_its_key() -> None:
    values, moved = by_key(SINGLE, agent(f"{HOST}/openab:78f8d2c"), "0.9.0")
    own = {"discord": SINGLE["discord"], "command": "kiro-cli", "args": ["acp"], "env": {"B": "2"}}
    assert values == {"image": {"tag": "78f8d2c"}, "agents": {"kiro": {**own, "persistence": {"size": "2Gi"}}}}
    assert not any(moved.values())
    assert {"replicas", "strategy", "agent.env", "discord"} < set(moved)


def test_variables_of_the_coding_agent_stay_while_the_chart_writes_its_configuration() -> None:
    values, _ = by_key(SINGLE, agent(f"{HOST}/openab:78f8d2c"), "0.7.0")
    assert values["agents"]["kiro"]["env"] == {"A": "1", "B": "2"}


@pytest.mark.parametrize("target", ["0.7.0", "0.9.0"])
def test_a_preset_becomes_the_key(target: str) -> None:
    running = RunningAgent(
        "codex", f"{HOST}/openab-codex:1", '[agent]\ncommand = "codex-acp"\nargs = []\n', "/home/node"
    )
    values, _ = by_key({"agent": {"preset": "codex"}, "discord": {"botToken": "t"}}, running, target)
    spoken: dict[str, Any] = {"command": "codex-acp", "args": []} if target == "0.7.0" else {}
    own: dict[str, Any] = {"discord": {"botToken": "t"}, "workingDir": "/home/node", **spoken}
    assert values == {"agents": {"codex": own, "kiro": {"enabled": False}}}


def test_more_replicas_are_for_the_operator_to_decide() -> None:
    _, moved = by_key({**SINGLE, "replicas": 0}, agent(f"{HOST}/openab:78f8d2c"), "0.9.0")
    assert moved["replicas"]


@pytest.mark.parametrize(
    ("path", "value", "where", "found"),
    [
        (("discord", "botToken"), "secret", "[discord] bot_token", Found.REFERENCE),
        (("discord", "botToken"), "${DISCORD_BOT_TOKEN}", "[discord] bot_token", Found.SAME),
        (("command",), "kiro-cli", "[agent] command", Found.SAME),
        (("command",), "other", "[agent] command", Found.OTHER),
        (("inheritEnv",), ["KEY"], "[agent] inherit_env", Found.SAME),
        (("slack", "enabled"), True, "[slack] enabled", Found.NOTHING),
        (("workspace", 1), "/x", "[workspace] 1", Found.NOTHING),
    ],
)
def test_what_a_configuration_has_in_a_values_place(
    path: tuple[object, ...], value: object, where: str, found: Found
) -> None:
    assert became(path, value, TOML) == (where, found)


def test_an_id_is_the_same_as_a_number_and_as_a_text() -> None:
    toml = '[discord]\nallowed_channels = ["123456789012345678"]\n'
    assert became(("discord", "allowedChannels"), [123456789012345678], toml)[1] is Found.SAME


def test_a_configuration_that_is_no_toml_has_nothing() -> None:
    assert became(("command",), "x", "= no") == ("[agent] command", Found.NOTHING)
