"""What counts as a difference between two renderings, and what is only another version or another spelling."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from openab_sop.proposals.comparison import differences
from openab_sop.releases.manifest import ReleaseManifest

IMAGES = {"ghcr.io/openabdev/openab-claude:0.8.5": "ghcr.io/openabdev/openab:0.9.0-claude"}
"""What an image that runs must become."""
TOML = "[pool]\nmax_sessions = 10\n\n[reactions]\nenabled = true\n"


def deployment(**over: Any) -> dict[str, Any]:
    """An agent's Deployment of 0.8.5; ``over`` replaces fields of its container."""
    container = {
        "name": "openab",
        "image": "ghcr.io/openabdev/openab-claude:0.8.5",
        "env": [{"name": "HOME", "value": "/home/node"}, {"name": "A", "value": "1"}],
        "volumeMounts": [{"name": "data", "mountPath": "/home/node"}],
        **over,
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "openab-claude", "labels": {"helm.sh/chart": "openab-0.8.5", "app": "x"}},
        "spec": {
            "template": {
                "metadata": {"annotations": {"checksum/config": "abc"}},
                "spec": {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]},
            }
        },
    }


def configmap(text: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"config.toml": text, "AGENTS.md": "# Hello\n"}}


def secret(value: str) -> dict[str, Any]:
    return {"kind": "Secret", "metadata": {"name": "s"}, "data": {"discord-bot-token": value}}


def found(
    before: list[dict[str, Any]], after: list[dict[str, Any]], live: dict[tuple[str, str], str] | None = None
) -> list[str]:
    """The subjects of the findings."""
    old, new = (ReleaseManifest.parse(yaml.safe_dump_all(side)) for side in (before, after))
    return [one.finding.subject for one in differences(old, new, live or {}, lambda image: IMAGES.get(image, image))]


def newer(**over: Any) -> dict[str, Any]:
    """The same Deployment of 0.9.0."""
    body = deployment(image="ghcr.io/openabdev/openab:0.9.0-claude", **over)
    body["metadata"]["labels"]["helm.sh/chart"] = "openab-0.9.0"
    body["spec"]["template"]["metadata"]["annotations"]["checksum/config"] = "def"
    return body


def test_only_the_version_differs() -> None:
    assert found([deployment()], [newer()]) == []


def test_the_order_of_variables_is_no_difference() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "HOME", "value": "/home/node"}]
    assert found([deployment()], [newer(env=env)]) == []


TEMPLATE = "Deployment/openab-claude:spec.template.spec.containers.openab"
CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]] = {
    "another flavour": (
        [deployment()],
        [deployment(image="ghcr.io/openabdev/openab:0.9.0-codex")],
        [f"{TEMPLATE}.image"],
    ),
    "another version": (
        [deployment()],
        [deployment(image="ghcr.io/openabdev/openab:0.9.0-beta.3-claude")],
        [f"{TEMPLATE}.image"],
    ),
    "another registry": ([deployment()], [deployment(image="other/openab:0.9.0-claude")], [f"{TEMPLATE}.image"]),
    "a variable is gone": (
        [deployment()],
        [newer(env=[{"name": "HOME", "value": "/home/node"}])],
        [f"{TEMPLATE}.env.A"],
    ),
    "a variable is another": (
        [deployment()],
        [newer(env=[{"name": "HOME", "value": "/home/node"}, {"name": "A", "value": "2"}])],
        [f"{TEMPLATE}.env.A.value"],
    ),
    "a home is elsewhere": (
        [deployment()],
        [newer(volumeMounts=[{"name": "data", "mountPath": "/home/agent"}])],
        [f"{TEMPLATE}.volumeMounts./home/node", f"{TEMPLATE}.volumeMounts./home/agent"],
    ),
    "an object is gone": ([deployment(), secret("x")], [newer()], ["Secret/s"]),
    "an object is new": ([deployment()], [newer(), secret("x")], ["Secret/s"]),
    "a token is another": ([secret("eA==")], [secret("eQ==")], ["Secret/s:data.discord-bot-token"]),
    "a setting is another": (
        [configmap(TOML)],
        [configmap(TOML.replace("10", "11"))],
        ["ConfigMap/c:data.config.toml.pool.max_sessions"],
    ),
    "a setting is of another type": (
        [configmap(TOML)],
        [configmap(TOML.replace("true", "1"))],
        ["ConfigMap/c:data.config.toml.reactions.enabled"],
    ),
    "a setting is gone": (
        [configmap(TOML)],
        [configmap(TOML.partition("[reactions]")[0])],
        ["ConfigMap/c:data.config.toml.reactions"],
    ),
    "a text that is no TOML": ([configmap(TOML)], [configmap("= no")], ["ConfigMap/c:data.config.toml"]),
    "the same settings otherwise written": (
        [configmap(TOML)],
        [configmap("# new\nreactions = { enabled = true }\npool.max_sessions = 10\n")],
        [],
    ),
}


@pytest.mark.parametrize(("before", "after", "subjects"), CASES.values(), ids=CASES)
def test_what_means_something_else_is_found(
    before: list[dict[str, Any]], after: list[dict[str, Any]], subjects: list[str]
) -> None:
    assert found(before, after) == subjects


def test_what_is_on_the_cluster_counts_in_place_of_the_record() -> None:
    live = {("c", "config.toml"): TOML.replace("10", "50")}
    assert found([configmap(TOML)], [configmap(TOML.replace("10", "50"))], live) == []
    assert found([configmap(TOML)], [configmap(TOML)], live) == ["ConfigMap/c:data.config.toml.pool.max_sessions"]


def test_values_of_secrets_are_not_shown() -> None:
    old, new = (ReleaseManifest.parse(yaml.safe_dump(secret(value))) for value in ("bXktdG9rZW4x", "bXktdG9rZW4y"))
    (found,) = differences(old, new, {})
    finding = found.finding
    assert (finding.observed, finding.expected) == ("***", "***")


def test_what_is_missing_as_a_whole_shows_no_value() -> None:
    side = {"name": "side", "env": [{"name": "OPENAI_API_KEY", "value": "supersecretvalue12345"}]}
    before, after = deployment(), newer()
    before["spec"]["template"]["spec"]["containers"].append(side)
    old, new = (ReleaseManifest.parse(yaml.safe_dump(body)) for body in (before, after))
    (found,) = differences(old, new, {}, lambda image: IMAGES.get(image, image))
    finding = found.finding
    assert finding.expected == "a mapping of env, name"
    assert "supersecret" not in str(finding)
