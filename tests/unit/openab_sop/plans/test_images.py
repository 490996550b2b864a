"""Images: the same, a stale one, another agent's, none at all; and names that only look like it."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.objects import Object
from openab_sop.plans.plan import Plan
from openab_sop.plans.rules import images
from tests.unit.openab_sop.plans.drawn import deployment, drawn, now, then, thing, told

HOST = "ghcr.io/openabdev"
DIGEST, ANOTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NEW = f"{HOST}/openab:0.8.2"
ALWAYS: dict[str, Any] = {"imagePullPolicy": "Always"}
PRESENT: dict[str, Any] = {"imagePullPolicy": "IfNotPresent"}


def moved(old: str, new: str, versions: tuple[str, str] = ("0.8.1", "0.8.2"), **more: Any) -> Plan:
    """The agent's image changes."""
    return drawn(now(image=old, more=more), then(image=new, more=more), versions=versions)


def found_to_be(state: str) -> Plan:
    """The target's image is there, offered, missing, or nobody knows."""
    return drawn(images={NEW: state})


def gateway(**more: Any) -> Plan:
    """A companion comes, whose image nobody has."""
    new = deployment("rel-gateway", component="g", container="gateway", mounts=(), image="gw:1", **more)
    return drawn(after=then(new), images={"gw:1": "missing"})


def pod(name: str, image: str, **more: Any) -> Object:
    """A pod that runs to an end."""
    return thing("Pod", name, spec={"containers": [{"name": "it", "image": image}]}, **more)


def task(kind: str) -> Plan:
    """Something comes that runs a pod to an end, whose image nobody has."""
    job = {"template": {"spec": pod("nightly", "job:1")["spec"]}}
    new = thing(kind, "nightly", spec=job if kind == "Job" else {"schedule": "@daily", "jobTemplate": {"spec": job}})
    return drawn(after=then(new), images={"job:1": "missing"})


def hooked(when: str) -> Plan:
    """Helm runs a pod whose image nobody has."""
    own = pod("migrate", "job:1", annotations={"helm.sh/hook": when})
    return drawn(hooks=(own,), images={"job:1": "missing"})


JOB = thing("Job", "nightly", spec={"template": {"spec": pod("nightly", "job:1")["spec"]}})
BESIDE = {"initContainers": [{"name": "fetch", "image": "fetch:1"}]}

CASES: dict[str, tuple[Plan, list[str]]] = {
    # image-unchanged
    "a tag from the values": (moved(NEW, NEW), ["image-unchanged:rel-kiro"]),
    "a tag from the values, always pulled": (moved(NEW, NEW, **ALWAYS), ["image-unchanged:rel-kiro"]),
    "a digest from the values": (
        moved(f"{HOST}/openab@{DIGEST}", f"{HOST}/openab@{DIGEST}"),
        ["image-unchanged:rel-kiro"],
    ),
    "a digest from the values, a tag from the chart": (
        moved(f"{HOST}/openab:0.8.1@{DIGEST}", f"{HOST}/openab:0.8.2@{DIGEST}"),
        ["image-unchanged:rel-kiro"],
    ),
    "another digest": (moved(f"{HOST}/openab:x@{DIGEST}", f"{HOST}/openab:x@{ANOTHER}"), []),
    "the same version again": (moved(NEW, NEW, ("0.8.2", "0.8.2")), []),
    # image-cached, image-floats
    "no tag, and no question": (
        moved(f"{HOST}/openab", f"{HOST}/openab", **PRESENT),
        ["image-cached:rel-kiro"],
    ),
    "latest, and never a question": (
        moved(f"{HOST}/openab:latest", f"{HOST}/openab:latest", imagePullPolicy="Never"),
        ["image-cached:rel-kiro"],
    ),
    "a port is no tag": (
        moved("registry.local:5000/openab", "registry.local:5000/openab", **PRESENT),
        ["image-cached:rel-kiro"],
    ),
    "latest, and nothing is cached of the same version again": (
        moved(f"{HOST}/openab", f"{HOST}/openab", ("0.8.2", "0.8.2"), **PRESENT),
        [],
    ),
    "a floating tag with Always": (
        moved(f"{HOST}/openab:latest", f"{HOST}/openab:latest", **ALWAYS),
        ["image-floats:rel-kiro"],
    ),
    "a floating tag by Kubernetes' default": (moved(f"{HOST}/openab", f"{HOST}/openab"), ["image-floats:rel-kiro"]),
    "a floating tag in place of a version": (
        moved(f"{HOST}/openab:0.8.1", f"{HOST}/openab:latest", **PRESENT),
        ["image-floats:rel-kiro"],
    ),
    "latest with a digest": (moved(f"{HOST}/openab:latest@{DIGEST}", f"{HOST}/openab:latest@{ANOTHER}", **ALWAYS), []),
    "a version with Always": (moved(f"{HOST}/openab:0.8.1", NEW, **ALWAYS), []),
    "a version behind a port": (moved("registry.local:5000/openab:0.8.1", "registry.local:5000/openab:0.8.2"), []),
    # image-flavour
    "another agent": (moved(f"{HOST}/openab-claude:0.8.1", NEW), ["image-flavour:rel-kiro"]),
    "another agent of the former name": (
        moved("ghcr.io/o/agent-broker-codex:0.6.0", f"{HOST}/openab-claude:0.8.2"),
        ["image-flavour:rel-kiro"],
    ),
    "the former name": (moved("ghcr.io/o/agent-broker:0.6.0", NEW), []),
    "a flavour of the former name": (moved("ghcr.io/o/agent-broker-codex:0.6.0", f"{HOST}/openab-codex:0.8.2"), []),
    "a name that begins like the former one": (
        moved("ghcr.io/o/agent-brokerage:0.6.0", f"{HOST}/openabage:0.8.2"),
        ["image-flavour:rel-kiro"],
    ),
    "the organisation moved": (moved("ghcr.io/old/openab:0.8.1", NEW), []),
    "a mirror": (moved(f"{HOST}/openab:0.8.1", "registry.local:5000/mirror/openab:0.8.2"), []),
    "a digest from now on": (moved(f"{HOST}/openab:0.8.1", f"{HOST}/openab@{DIGEST}"), []),
    # image-missing, image-untold
    "nobody has it": (found_to_be("missing"), ["image-missing:rel-kiro"]),
    "nobody can say": (found_to_be("unknown"), ["image-untold:rel-kiro"]),
    "nobody was asked": (found_to_be("internal"), ["image-untold:rel-kiro"]),
    "a node has it": (found_to_be("there"), []),
    "its registry offers it": (found_to_be("offered"), []),
    "a companion's is missing": (gateway(), ["companion-appears:rel-gateway", "image-missing:rel-gateway.gateway"]),
    "that of a companion that is off": (gateway(replicas=0), []),
    "that of a container beside the agent": (
        drawn(after=then(pod=BESIDE), images={"fetch:1": "unknown"}),
        ["image-untold:rel-kiro.fetch"],
    ),
    "that of a job": (task("Job"), ["image-missing:nightly.it"]),
    "that of a job that is as it was": (
        drawn(now(JOB), then(JOB), images={"job:1": "missing"}),
        [],
    ),
    "that of a job by the clock": (task("CronJob"), ["image-missing:nightly.it"]),
    "that of a hook": (hooked("pre-upgrade,post-upgrade"), ["image-missing:migrate.it", "hook-runs:Pod/migrate"]),
    "that of a hook of no upgrade": (hooked("test"), []),
    "another image is missing": (drawn(images={f"{HOST}/openab:0.8.1": "missing"}), []),
    "that of an agent that comes": (
        drawn(after=then(deployment("rel-x", component="x", mounts=(), image="x:1")), images={"x:1": "missing"}),
        ["agent-appears:rel-x", "image-missing:rel-x"],
    ),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_which_image_runs(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in images.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}
