"""Good versions run, in all shapes that the charts allow, and can be upgraded one to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.world.conftest import Place

CONNECTED = "bot connected"


@pytest.mark.parametrize("version", ["0.3.3", "0.5.0"])
def test_old_charts_run(place: Place, version: str) -> None:
    """With one agent at the top level of the values."""
    release = f"old{version.replace('.', '')}"
    values = {"discord": {"botToken": "t0ken"}, "env": {"OPENAB_CHAT_URL": place.world.chat_url}}
    place.world.install(release, place.namespace, version, values)
    place.wait_for_log(release, CONNECTED)


def test_every_good_version_runs_after_the_one_before(place: Place) -> None:
    """One release through all generations: one claim, and a heartbeat that never starts again."""
    versions = ["0.6.4", "0.7.0-beta.1", "0.7.0", "0.8.0-beta.1", "0.8.0", "0.8.1-beta.1", "0.8.1", "0.8.2"]
    place.install("long", versions[0])
    claim = _claim(place, "long-openab-kiro")
    for version in versions[1:]:
        place.upgrade("long", version)
        place.wait_for_log("long", f"version={version}")
        place.wait_for_log("long", CONNECTED)
    assert _claim(place, "long-openab-kiro") == claim
    sessions = place.execute("long-openab-kiro", "ls", ".kiro/sessions").split()
    assert len(sessions) == len(versions)


@pytest.mark.parametrize("version", ["0.6.4", "0.8.2"])
def test_without_persistence(place: Place, version: str) -> None:
    """The home is the container's own, or even read-only; the agent runs."""
    release = f"lost{version.replace('.', '')}"
    place.install(release, version, {"persistence": {"enabled": False}})
    place.wait_for_log(release, CONNECTED)


def test_gateway_sidecar_existing_claim_and_instructions(place: Place, tmp_path: Path) -> None:
    """All in one release: both Deployments become available, the claim that was there is used."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "mine"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    file = tmp_path / "claim.json"
    file.write_text(json.dumps(claim))
    place.kubectl("apply", "--filename", file)
    sidecar = {"name": "side", "image": "openab.local/openab:0.8.1", "command": ["sleep", "infinity"]}
    agent = {
        "persistence": {"existingClaim": "mine"},
        "gateway": {"enabled": True, "url": "ws://full-openab-kiro-gateway:8080/ws", "token": "g"},
        "extraContainers": [sidecar],
        "agentsMd": "# House rules\n",
    }
    place.install("full", "0.8.2", agent)
    agent_pod, gateway_pod = place.pods("full")
    assert {len(pod["spec"]["containers"]) for pod in (agent_pod, gateway_pod)} == {2, 1}
    claims = place.kubectl("get", "persistentvolumeclaim", "--output=name").split()
    assert "persistentvolumeclaim/mine" in claims
    assert "persistentvolumeclaim/full-openab-kiro" not in claims
    assert place.execute("full-openab-kiro", "cat", "GEMINI.md") == "# House rules\n"


def test_a_missing_token_ends_the_agent_with_an_error(place: Place) -> None:
    """As the real one: the line says what is wrong."""
    place.install("bare", "0.8.2", {"discord": {"enabled": True}}, wait=False)
    seen = place.wait_for("bare", lambda seen: seen.restarts >= 1)
    assert seen.last_exit == 1
    assert "bot_token is empty" in place.log("bare")


def test_a_rejected_token_ends_the_agent_with_an_error(place: Place) -> None:
    """Even while it runs: the platform takes the token back."""
    agent = place.world.agent_values()
    place.install("revoked", "0.8.2", agent)
    place.wait_for_log("revoked", CONNECTED)
    place.world.endpoint.reject_token(agent["discord"]["botToken"])
    place.wait_for_log("revoked", "rejected the bot token")
    assert place.wait_for("revoked", lambda seen: seen.restarts >= 1).last_exit == 1


def test_a_missing_adapter_ends_the_agent_with_an_error(place: Place) -> None:
    """No adapter at all."""
    place.install("mute", "0.8.2", {"discord": {"enabled": False}}, wait=False)
    place.wait_for("mute", lambda seen: seen.restarts >= 1)
    assert "no adapter is configured" in place.log("mute")


def _claim(place: Place, name: str) -> str:
    return place.kubectl("get", "persistentvolumeclaim", name, "--output=jsonpath={.metadata.uid}")
