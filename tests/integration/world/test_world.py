"""What the world publishes can be had, and its homes hold what the suites are tried on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from sandbox import SandboxError
from world import World
from world.versions import Source

if TYPE_CHECKING:
    from tests.integration.world.conftest import Place


def test_publishing_again_is_quick(world: World) -> None:
    """Nothing changed, nothing is done."""
    start = time.monotonic()
    world.publish(pytest.fail)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(("source", "newest"), [("charts", "0.8.2"), ("trials", "0.9.3")])
def test_the_registry_offers_the_newest_stable(world: World, source: Source, newest: str) -> None:
    """To whoever names no version."""
    shown = world.helm(["show", "chart", "--plain-http", f"{world.registry(source)}/openab"])
    assert f"version: {newest}\n" in shown


def test_the_classic_repository_lags_behind(world: World) -> None:
    """Its index does not know the newest version."""
    shown = world.helm(["show", "chart", "openab", "--repo", world.chart_repo_url])
    assert "version: 0.8.1\n" in shown
    with pytest.raises(SandboxError, match=r"0\.8\.2"):
        world.helm(["show", "chart", "openab", "--repo", world.chart_repo_url, "--version", "0.8.2"])


def test_release_notes_are_served(world: World) -> None:
    """For every version of openab."""
    with urlopen(f"{world.release_notes_url}/tags/v0.8.2", timeout=10) as answer:
        assert "pre-release-validated: true" in json.load(answer)["body"]


def test_a_release_like_the_demo(place: Place) -> None:
    """Two agents with homes that are realistic and odd; both bots answer."""
    world = place.world
    values = world.demo_values()
    world.install("openab", place.namespace, "0.8.0", values)
    filled = [world.fill_home(place.namespace, name, seed=7) for name in ("openab-kiro", "openab-claude")]
    assert filled[0] == filled[1]
    names = place.execute("openab-kiro", "find", ".", "-print0").split("\0")
    assert len(names) > filled[0].entries
    for wanted in (
        "./.kiro/agents/default.json",
        "./.kiro/steering/product.md",
        "./.config/gh/hosts.yml",
        "./.local/share/kiro-cli/data.sqlite3-wal",
        "./odd/names/new\nline.txt",
        "./odd/names/-rf",
    ):
        assert wanted in names
    modes = place.execute("openab-kiro", "stat", "--format=%a", ".config/gh/hosts.yml", "odd/modes/read-only directory")
    assert modes.split() == ["600", "555"]
    json.loads(place.execute("openab-kiro", "cat", ".kiro/agents/default.json"))
    for agent in values["agents"].values():
        reply = world.endpoint.ask("tool: look", token=agent["discord"]["botToken"])
        assert reply is not None
        assert "openab 0.8.0" in reply


@pytest.mark.parametrize("profile", ["small-files", "text", "random", "unreadable"])
def test_other_profiles(place: Place, profile: str) -> None:
    """Filled in the pod, as the agent's user, with as much as was asked for."""
    place.install(profile, "0.8.1")
    filled = place.world.fill_home(place.namespace, f"{profile}-openab-kiro", profile, files=200, size=3_000_000)
    assert filled.entries > 0
    if profile in ("text", "random"):
        assert filled.bytes == 3_000_000
