"""The charts behave as OpenAB's do: names, claims, Secrets, configuration, by generation."""

from __future__ import annotations

import base64
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from world.versions import Version, family

if TYPE_CHECKING:
    from tests.unit.world.conftest import Render

Manifest = dict[str, Any]
GENERATIONS = ("0.6.4", "0.7.0", "0.8.0", "0.8.1", "0.9.0-never-ready.1")
TOKEN = {"discord": {"enabled": True, "botToken": "t0ken"}}


def of_kind(objects: list[Manifest], kind: str) -> list[Manifest]:
    """The objects of one kind."""
    return [found for found in objects if found["kind"] == kind]


def names(objects: list[Manifest], kind: str) -> list[str]:
    """Their names, sorted."""
    return sorted(found["metadata"]["name"] for found in of_kind(objects, kind))


def one(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """The object of that kind and name."""
    (found,) = [found for found in of_kind(objects, kind) if found["metadata"]["name"] == name]
    return found


def config(objects: list[Manifest], name: str) -> dict[str, Any]:
    """The agent's configuration."""
    return tomllib.loads(one(objects, "ConfigMap", name)["data"]["config.toml"])


def container(objects: list[Manifest], deployment: str) -> Manifest:
    """The first container of a Deployment."""
    return one(objects, "Deployment", deployment)["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("version", family().versions, ids=lambda v: v.version)
def test_every_version_renders(render: Render, version: Version) -> None:
    """A Deployment with one container of the chart's name, one writer, without rights."""
    written = {"agents": {"kiro": {"configToml": "[discord]\n"}}} if version.chart == "verbatim" else {}
    objects = render(version.version, values=written)
    (deployment,) = of_kind(objects, "Deployment")
    spec = deployment["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    (agent,) = pod["containers"]
    assert agent["name"] == version.name
    assert agent["image"] == version.image_name(tag=version.tag)
    assert pod["securityContext"]["runAsUser"] == 1000
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert ("readinessProbe" in agent) == (version.chart == "probed")


@pytest.mark.parametrize("version", GENERATIONS)
@pytest.mark.parametrize(
    ("release", "values", "expected"),
    [
        ("openab", {}, "openab-kiro"),
        ("my-openab", {}, "my-openab-kiro"),
        ("prod", {}, "prod-openab-kiro"),
        ("prod", {"nameOverride": "bot"}, "prod-bot-kiro"),
        ("prod", {"fullnameOverride": "bridge"}, "bridge-kiro"),
        ("r" * 53, {}, f"{'r' * 53}-openab-ki"),
        ("prod", {"fullnameOverride": "f" * 70}, "f" * 63),
    ],
)
def test_names_follow_the_release(render: Render, version: str, release: str, values: Manifest, expected: str) -> None:
    """Deployment, ConfigMap, claim and Secret bear one name of at most 63 characters."""
    objects = render(version, release, values | {"agents": {"kiro": TOKEN}})
    kinds = ("Deployment", "ConfigMap", "PersistentVolumeClaim", "Secret")
    assert {kind: names(objects, kind) for kind in kinds} == {kind: [expected] for kind in kinds}


@pytest.mark.parametrize(("version", "expected"), [("0.6.4", "openab-kiro"), ("0.7.0", "bot"), ("0.8.1", "bot")])
def test_an_agent_may_be_renamed_from_0_7_on(render: Render, version: str, expected: str) -> None:
    """The older chart ignores the value: upgrading makes it count."""
    objects = render(version, "openab", {"agents": {"kiro": {"nameOverride": "bot"}}})
    assert names(objects, "Deployment") == names(objects, "PersistentVolumeClaim") == [expected]


@pytest.mark.parametrize("version", ["0.3.3", "0.5.0"])
def test_the_old_charts_have_one_agent(render: Render, version: str) -> None:
    """Everything bears the release's name; the configuration is where the chart's name says."""
    name = family().find(version).name
    objects = render(version, "prod", {"discord": {"botToken": "t0ken"}, "agentsMd": "# rules"})
    for kind in ("Deployment", "ConfigMap", "PersistentVolumeClaim", "Secret"):
        assert names(objects, kind) == [f"prod-{name}"]
    mounts = {mount["mountPath"] for mount in container(objects, f"prod-{name}")["volumeMounts"]}
    assert mounts == {f"/etc/{name}", "/home/agent", "/home/agent/AGENTS.md"}


def test_a_preset_changes_image_and_home(render: Render) -> None:
    """A user's preset decides where the volume is mounted."""
    agent = container(render("0.5.0", "openab", {"agent": {"preset": "claude"}}), "openab")
    assert agent["image"] == "openab.local/openab-claude:0.5.0"
    assert {"name": "HOME", "value": "/home/node"} in agent["env"]


@pytest.mark.parametrize("version", GENERATIONS)
def test_several_agents(render: Render, version: str) -> None:
    """Each has objects of its own; a disabled one has none; selectors never meet."""
    objects = render(version, "openab", {"agents": {"kiro": {"enabled": False}, "a": TOKEN, "b": TOKEN}})
    assert names(objects, "Deployment") == ["openab-a", "openab-b"]
    selectors = [found["spec"]["selector"]["matchLabels"] for found in of_kind(objects, "Deployment")]
    assert selectors[0] != selectors[1]
    for found in of_kind(objects, "Deployment"):
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert found["spec"]["selector"]["matchLabels"] == labels
        assert found["metadata"]["labels"].items() >= labels.items()


@pytest.mark.parametrize(("version", "kept"), [("0.5.0", False), ("0.6.4", False), ("0.7.0", True), ("0.8.2", True)])
def test_claims_are_kept_from_0_7_on(render: Render, version: str, kept: bool) -> None:
    """Before, helm deletes them with the release."""
    (claim,) = of_kind(render(version), "PersistentVolumeClaim")
    annotations = claim["metadata"].get("annotations", {})
    assert (annotations.get("helm.sh/resource-policy") == "keep") is kept


def test_tokens_are_in_a_secret_only_if_they_are_in_the_values(render: Render) -> None:
    """Otherwise the operator has made one, and the container does not name it."""
    with_token = render("0.8.1", "openab", {"agents": {"kiro": TOKEN}})
    secret = one(with_token, "Secret", "openab-kiro")
    assert base64.b64decode(secret["data"]["discord-bot-token"]) == b"t0ken"
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    without = render("0.8.1")
    assert not of_kind(without, "Secret")
    assert [variable["name"] for variable in container(without, "openab-kiro")["env"]] == ["HOME"]


@pytest.mark.parametrize("version", ["0.8.1", "0.8.2"])
def test_an_existing_claim_is_used_and_not_made(render: Render, version: str) -> None:
    """The pod mounts it; the chart has no claim of its own."""
    objects = render(version, "openab", {"agents": {"kiro": {"persistence": {"existingClaim": "mine"}}}})
    assert not of_kind(objects, "PersistentVolumeClaim")
    volumes = one(objects, "Deployment", "openab-kiro")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


@pytest.mark.parametrize("version", GENERATIONS)
def test_without_persistence_there_is_no_volume(render: Render, version: str) -> None:
    """Neither a claim nor a mount at the home."""
    objects = render(version, "openab", {"agents": {"kiro": {"persistence": {"enabled": False}}}})
    assert not of_kind(objects, "PersistentVolumeClaim")
    mounts = [mount["name"] for mount in container(objects, "openab-kiro")["volumeMounts"]]
    assert "data" not in mounts


def test_instructions_are_mounted_into_the_home(render: Render) -> None:
    """One file of the ConfigMap under the names that the agents look for."""
    files = {"0.7.0": {"AGENTS.md"}, "0.8.0": {"AGENTS.md", "CLAUDE.md", "GEMINI.md"}}
    for version, expected in files.items():
        agent = container(render(version, "openab", {"agents": {"kiro": {"agentsMd": "x"}}}), "openab-kiro")
        mounts = [mount for mount in agent["volumeMounts"] if mount.get("subPath") == "AGENTS.md"]
        assert {mount["mountPath"] for mount in mounts} == {f"/home/agent/{name}" for name in expected}


def test_a_second_agent_loses_its_adapter_in_0_8_unless_it_is_enabled(render: Render) -> None:
    """Old values keep working in the old chart and give a configuration without an adapter in the new one."""
    values = {"agents": {"claude": {"command": "claude-agent-acp", "discord": {"botToken": "t0ken"}}}}
    assert "discord" in config(render("0.7.0", "openab", values), "openab-claude")
    assert "discord" not in config(render("0.8.0", "openab", values), "openab-claude")


def test_an_image_without_a_tag_gets_one_from_0_8_on(render: Render) -> None:
    """Before, it stays as it is and means `latest`."""
    values = {"agents": {"kiro": {"image": "openab.local/openab-claude"}}}
    assert container(render("0.7.0", "openab", values), "openab-kiro")["image"] == "openab.local/openab-claude"
    assert container(render("0.8.0", "openab", values), "openab-kiro")["image"].endswith("openab-claude:0.8.0")


def test_switching_reactions_off_works_from_0_8_1_on(render: Render) -> None:
    """Sprig's `default` takes false for empty: a value that has no effect in older charts."""
    values = {"agents": {"kiro": {"reactions": {"enabled": False}}}}
    assert config(render("0.8.0", "openab", values), "openab-kiro")["reactions"]["enabled"] is True
    assert config(render("0.8.1", "openab", values), "openab-kiro")["reactions"]["enabled"] is False


def test_ids_given_as_numbers_are_refused(render: Render) -> None:
    """YAML reads them as floats, and their last digits are lost."""
    with pytest.raises(AssertionError, match="lost digits"):
        render(
            "0.8.1",
            "openab",
            {"agents": {"kiro": {"discord": {"allowedChannels": [1.097261234567890123e18]}}}},
        )


def test_everything_at_once(render: Render) -> None:
    """Slack, speech, gateway, cron, sidecars, environment from Secrets: all in their places."""
    kiro: Manifest = {
        "discord": {"botToken": "t0ken", "allowedChannels": ["1"], "allowAllUsers": False},
        "slack": {"enabled": True, "botToken": "b", "appToken": "a"},
        "stt": {"enabled": True, "apiKey": "k"},
        "gateway": {"enabled": True, "url": "ws://x:8080/ws", "token": "g", "telegram": {"botToken": "tg"}},
        "secretEnv": [{"name": "KEY", "secretName": "mine", "secretKey": "key"}],
        "cronjobs": [{"schedule": "0 9 * * *", "channel": "1", "message": "hello"}],
        "cron": {"usercronEnabled": True, "usercronPath": "jobs.toml"},
        "extraContainers": [{"name": "side", "image": "side:1"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "env": {"B": "2", "A": 'quo"te'},
    }
    objects = render("0.8.2", "openab", {"agents": {"kiro": kiro}})
    assert names(objects, "Deployment") == ["openab-kiro", "openab-kiro-gateway"]
    assert names(objects, "Service") == ["openab-kiro-gateway"]
    assert names(objects, "Secret") == ["openab-kiro", "openab-kiro-gateway"]
    found = config(objects, "openab-kiro")
    assert set(found) == {"discord", "slack", "agent", "pool", "reactions", "stt", "gateway", "cron"}
    assert (found["discord"]["allow_all_channels"], found["discord"]["allow_all_users"]) == (False, False)
    assert found["agent"]["env"] == {"A": 'quo"te', "B": "2"}
    assert found["agent"]["inherit_env"] == ["KEY"]
    assert found["cron"]["jobs"][0]["schedule"] == "0 9 * * *"
    assert (found["cron"]["usercron_enabled"], found["cron"]["usercron_path"]) == (True, "jobs.toml")
    tokens = {
        "DISCORD_BOT_TOKEN",
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "STT_API_KEY",
        "GATEWAY_WS_TOKEN",
        "KEY",
    }
    assert tokens <= {variable["name"] for variable in container(objects, "openab-kiro")["env"]}
    pod = one(objects, "Deployment", "openab-kiro")["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["containers"]] == ["openab", "side"]
    assert container(objects, "openab-kiro-gateway")["name"] == "gateway"


def test_the_checksum_follows_the_agents_values_only(render: Render) -> None:
    """A change of chart alone does not change it: the pod is replaced for its image, not for its configuration."""

    def checksum(version: str, values: Manifest) -> str:
        deployment = one(render(version, "openab", {"agents": {"kiro": values}}), "Deployment", "openab-kiro")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum("0.8.1", {}) == checksum("0.8.2", {})
    assert checksum("0.8.1", {}) != checksum("0.8.1", {"command": "other"})
