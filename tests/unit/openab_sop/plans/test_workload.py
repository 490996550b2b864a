"""A Deployment as rules see it: names of images, where the home is, what it refers to."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from openab_sop.agents.workload import Workload
from openab_sop.reference import is_floating, repository, tag
from tests.unit.openab_sop.plans.drawn import AGENT, HOME, TOKEN, deployment, thing, variable

DIGEST = f"sha256:{'a' * 64}"

IMAGES: dict[str, tuple[str, str, bool]] = {
    "openab": ("openab", "", True),
    "openab:latest": ("openab", "latest", True),
    "openab:0.8.1": ("openab", "0.8.1", False),
    "ghcr.io/o/openab:0.8.1": ("ghcr.io/o/openab", "0.8.1", False),
    "localhost:5000/openab": ("localhost:5000/openab", "", True),
    "localhost:5000/o/openab:0.8.1": ("localhost:5000/o/openab", "0.8.1", False),
    f"ghcr.io/o/openab@{DIGEST}": ("ghcr.io/o/openab", "", False),
    f"localhost:5000/openab:latest@{DIGEST}": ("localhost:5000/openab", "latest", False),
}


@pytest.mark.parametrize(("image", "means"), IMAGES.items(), ids=IMAGES)
def test_names_of_images(image: str, means: tuple[str, str, bool]) -> None:
    assert (repository(image), tag(image), is_floating(image)) == means


@pytest.mark.parametrize(
    ("image", "said", "policy"),
    [
        ("x:1", None, "IfNotPresent"),
        ("x", None, "Always"),
        ("x:latest", None, "Always"),
        (f"x@{DIGEST}", None, "IfNotPresent"),
        ("x", "Never", "Never"),
    ],
)
def test_when_an_image_is_pulled(image: str, said: str | None, policy: str) -> None:
    more = {"imagePullPolicy": said} if said else {}
    assert Workload(deployment(image=image, more=more)).pull_policy == policy


def test_a_path_is_where_the_nearest_mount_has_it() -> None:
    one = Workload(deployment(mounts=[(HOME, "home"), (f"{HOME}/.cache", "deep/cache"), ("/data", "", "data")]))
    for path, where in {
        HOME: (AGENT, "home"),
        f"{HOME}/notes/a": (AGENT, "home/notes/a"),
        f"{HOME}/.cache": (AGENT, "deep/cache"),
        f"{HOME}/.cache/x": (AGENT, "deep/cache/x"),
        f"{HOME}/.cached": (AGENT, "home/.cached"),
        "/data/x": ("data", "x"),
    }.items():
        assert one.where(PurePosixPath(path)) == (where[0], PurePosixPath(where[1])), path
    assert one.where(PurePosixPath("/home")) is None
    assert one.where(PurePosixPath("/datax")) is None


@pytest.mark.parametrize(
    ("home", "mounts", "found", "claim"),
    [
        (HOME, [(HOME, "")], HOME, AGENT),
        (None, [(HOME, "")], HOME, AGENT),
        (None, [("/a", ""), ("/b", "")], None, AGENT),
        (None, [], None, None),
        (HOME, [], HOME, None),
        (HOME, [("/home", "")], HOME, AGENT),
        (HOME, [("/data", "", "data"), (HOME, "")], HOME, AGENT),
        (HOME, [(f"{HOME}/.kiro", "x", "parts")], HOME, "parts"),
        ("/root", [(HOME, "")], "/root", None),
    ],
)
def test_the_home_and_its_claim(
    home: str | None, mounts: list[tuple[str, str]], found: str | None, claim: str | None
) -> None:
    one = Workload(deployment(home=home, mounts=mounts))
    assert one.home == (PurePosixPath(found) if found else None)
    assert one.claim == claim


def test_what_is_covered_is_told_from_the_home() -> None:
    paths = [f"{HOME}/AGENTS.md", f"{HOME}/.kiro/steering", "/etc/x", HOME]
    assert Workload(deployment(covers=paths)).covered == {"AGENTS.md", ".kiro/steering"}
    assert Workload(deployment(covers=paths, home=None, mounts=[])).covered == frozenset()


def test_what_is_not_said_has_kubernetes_defaults() -> None:
    bare = Workload(thing("Deployment", spec={"template": {"spec": {"containers": [{"name": "x"}]}}}))
    assert (bare.replicas, bare.strategy, bare.image, bare.user) == (1, "RollingUpdate", "", (None, None))
    assert (bare.component, bare.mounts, bare.home, bare.is_agent) == ("", (), None, False)
    assert Workload(thing("Deployment", spec={})).container == {}
    assert Workload(deployment(replicas=0)).replicas == 0


def test_the_agents_container_is_no_companion() -> None:
    body = deployment(container="agent-broker")
    body["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "proxy:1"})
    assert Workload(body).image == "ghcr.io/openabdev/openab:0.8.1"
    assert Workload(body).is_agent


def test_everything_that_a_pod_waits_for() -> None:
    starting = {
        "name": "seed",
        "env": [variable("SEED", "seed", "k")],
        "envFrom": [{"secretRef": {"name": "whole"}}, {"secretRef": {"name": "may-be", "optional": True}}],
    }
    volumes = [
        {"name": "plain", "secret": {"secretName": "plain"}},
        {"name": "may", "secret": {"secretName": "may-be", "optional": True}},
        {"name": "map", "configMap": {"name": "map"}},
        {
            "name": "both",
            "projected": {
                "sources": [
                    {"secret": {"name": "projected"}},
                    {"configMap": {"name": "projected-map"}},
                    {"serviceAccountToken": {"path": "token"}},
                    {"secret": {"name": "may-be", "optional": True}},
                ]
            },
        },
    ]
    one = Workload(
        deployment(
            env=[variable("OTHER", "may-be", optional=True), {"name": "PLAIN", "value": "x"}],
            pod={"initContainers": [starting], "volumes": volumes},
        )
    )
    assert list(one.references("Secret")) == [
        ("seed", "k", "variable SEED"),
        ("whole", None, "variables"),
        (AGENT, "token", f"variable {TOKEN}"),
        ("plain", None, "volume plain"),
        ("projected", None, "volume both"),
    ]
    assert list(one.references("ConfigMap")) == [
        ("map", None, "volume map"),
        ("projected-map", None, "volume both"),
    ]


def test_who_may_write_to_a_volume_at_each_start() -> None:
    """What mounts a claim of the agent and may write there, and the agent's own hook; a claim of its own is none."""
    home, own = [{"name": AGENT, "mountPath": "/seed"}], [{"name": "scratch", "mountPath": "/seed"}]
    before = [{"name": "seed", "volumeMounts": home}, {"name": "other", "volumeMounts": own}, {"name": "bare"}]
    hook = {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}
    agent = Workload(deployment(more=hook, pod={"initContainers": before}))
    assert agent.writers_at_start == ("container seed", "the postStart hook of openab")
    assert Workload(deployment(more={"lifecycle": {"preStop": {}}})).writers_at_start == ()


def test_a_claim_that_is_read_only_in_the_pod_is_written_to_by_nobody() -> None:
    claim = {"persistentVolumeClaim": {"claimName": AGENT, "readOnly": True}}
    before = [{"name": "seed", "volumeMounts": [{"name": AGENT, "mountPath": "/seed"}]}]
    agent = Workload(deployment(pod={"initContainers": before, "volumes": [{"name": AGENT, **claim}]}))
    assert agent.writers_at_start == ()
