"""Stand-ins for images of a history: started as those were, and refusing what those refused."""

from __future__ import annotations

import tomllib

import pytest

from history.standins import config, release_file, tagged


@pytest.mark.parametrize(
    ("reference", "command"),
    [
        ("ghcr.io/thepagent/agent-broker:dd7e1ca", ["agent-broker", "run", "-c", "/etc/agent-broker/config.toml"]),
        ("ghcr.io/thepagent/agent-broker-claude:a", ["agent-broker", "run", "-c", "/etc/agent-broker/config.toml"]),
        ("ghcr.io/openabdev/openab-claude:0.8.0", ["openab", "run", "-c", "/etc/openab/config.toml"]),
        ("ghcr.io/openabdev/openab-gateway:0.8.2", ["openab-gateway"]),
    ],
)
def test_an_image_starts_as_its_name_says(reference: str, command: list[str]) -> None:
    assert list(config(reference, "http://chat").command) == ["tini", "--", *command]


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("ghcr.io/openabdev/openab:0.7.4", "refuses-arguments"),
        ("ghcr.io/openabdev/openab:0.7.5", ""),
        ("ghcr.io/openabdev/openab-gateway:0.7.4", ""),
    ],
)
def test_only_those_that_refused_refuse(reference: str, fault: str) -> None:
    assert tomllib.loads(release_file(reference))["fault"] == fault


def test_a_reference_without_a_tag_is_latest() -> None:
    assert tagged("registry:5000/openab") == "registry:5000/openab:latest"
    assert tagged("registry:5000/openab:1") == "registry:5000/openab:1"
