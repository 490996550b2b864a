"""Names of OpenAB's images, in both forms, in any registry, and names that only look like them."""

from __future__ import annotations

import pytest

from openab_sop.upstream import images

HOST = "ghcr.io/openabdev"


@pytest.mark.parametrize(
    ("image", "flavour"),
    [
        (f"{HOST}/openab:0.8.5", "kiro"),
        (f"{HOST}/openab", "kiro"),
        (f"{HOST}/openab-claude:0.8.5", "claude"),
        (f"{HOST}/openab:0.9.0-claude", "claude"),
        (f"{HOST}/openab:0.9.0-beta.2-codex", "codex"),
        (f"{HOST}/openab:0.9.0-beta.2", "kiro"),
        (f"{HOST}/openab:stable-grok", "grok"),
        (f"{HOST}/openab:0.9.0-unknown", "kiro"),
        (f"{HOST}/openab-claude@sha256:{'a' * 64}", "claude"),
        ("registry:5000/mirror/openab-pi:0.8.5", "pi"),
        ("ghcr.io/old/agent-broker:0.3.3", "kiro"),
        ("ghcr.io/old/agent-broker-codex:0.3.3", "codex"),
        ("ghcr.io/o/agent-brokerage:1", "agent-brokerage"),
        ("corp/bot:1.2-claude", "bot"),
        (f"{HOST}/openab-gateway:0.5.1", "gateway"),
    ],
)
def test_the_flavour_is_in_the_repository_or_in_the_tag(image: str, flavour: str) -> None:
    assert images.flavour(image) == flavour


@pytest.mark.parametrize(
    ("image", "moves"),
    [
        (f"{HOST}/openab:latest", True),
        (f"{HOST}/openab", True),
        (f"{HOST}/openab:beta", True),
        (f"{HOST}/openab:stable-claude", True),
        (f"{HOST}/openab:0.9-claude", True),
        (f"{HOST}/openab:0.9.0-claude", False),
        (f"{HOST}/openab:0.9.0-beta.2-claude", False),
        (f"{HOST}/openab:stable@sha256:{'a' * 64}", False),
        ("corp/bot:stable", False),
        ("corp/bot:0.9", False),
    ],
)
def test_a_channel_can_mean_another_image_tomorrow(image: str, moves: bool) -> None:
    assert images.moves(image) is moves


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (f"{HOST}/openab-claude:0.8.5", f"{HOST}/openab"),
        ("registry:5000/mirror/openab:0.8.5", "registry:5000/mirror/openab"),
        ("openab-claude", "openab"),
    ],
)
def test_every_flavour_is_in_one_repository_of_the_same_registry(image: str, repository: str) -> None:
    assert images.unified(image) == repository
