"""Waits for pods end early on what does not pass by itself, in the cluster's words (issue 12)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import try_helpers
from openab_sop.agents.unplaceable import no_such_node
from openab_sop.errors import PodError, SopError
from openab_sop.objects import Object
from openab_sop.rollouts.start import await_start, runner
from tests.integration.rollout.conftest import Field

HOME = {"name": "HOME", "value": "/home/agent"}
CLAIM = {"name": "home", "persistentVolumeClaim": {"claimName": "nowhere"}}


def make(field: Field, directory: Path, name: str, *, replicas: int = 1, **spec: Any) -> Object:
    """An agent's Deployment that sleeps; returns it as it is on the cluster."""
    own = {
        "name": "openab",
        "image": "openab.local/openab:0.8.1",
        "command": ["sleep", "600"],
        "env": [HOME],
        **spec.pop("own", {}),
    }
    labels = {"app": name}
    pod = {"containers": [own], "terminationGracePeriodSeconds": 0, **spec}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    (directory / "body.yaml").write_text(yaml.safe_dump(body))
    field.kubectl("create", "--filename", str(directory / "body.yaml"))
    return field.cluster.get("Deployment", name)


def test_a_claim_that_is_not_there(field: Field, tmp_path: Path) -> None:
    body = make(field, tmp_path, "unclaimed", volumes=[CLAIM])
    begun = time.monotonic()
    with pytest.raises(SopError, match=r"claim nowhere is not there; pod unclaimed-\S+ is not scheduled: .*not found"):
        await_start(field.cluster, runner(body))
    assert time.monotonic() - begun < 60


def test_labels_that_no_node_has(field: Field, tmp_path: Path) -> None:
    """The scheduler's words are quoted. With an autoscaler that has taken it up, it is waited for."""
    body = make(field, tmp_path, "astray", nodeSelector={"example.com/gpu": "yes"})
    begun = time.monotonic()
    with pytest.raises(
        SopError, match=r"none of 1 nodes matches its node selector .* is not scheduled: .*didn't match"
    ):
        await_start(field.cluster, runner(body))
    assert time.monotonic() - begun < 90
    (pod,) = field.cluster.list("Pod", "app=astray")
    assert no_such_node(field.cluster, pod)
    metadata = pod["metadata"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "scales-up"},
        "involvedObject": {"kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid")}},
        "reason": "TriggeredScaleUp",
        "message": "pod triggered scale-up",
        "source": {"component": "cluster-autoscaler"},
        "lastTimestamp": "2100-01-01T00:00:00Z",
    }
    (tmp_path / "event.yaml").write_text(yaml.safe_dump(event))
    field.kubectl("create", "--filename", str(tmp_path / "event.yaml"))
    assert no_such_node(field.cluster, pod) == ""


def test_a_helper_whose_variable_is_nowhere(field: Field, tmp_path: Path) -> None:
    """It is tried with the variables that its mounts need, so this is known while the agent runs."""
    field.kubectl("create", "secret", "generic", "parts", "--from-literal=other=x")
    part = {"name": "PART", "valueFrom": {"secretKeyRef": {"name": "parts", "key": "part"}}}
    mount = {"name": "home", "mountPath": "/home/agent", "subPathExpr": "$(PART)"}
    body = make(
        field, tmp_path, "partless", replicas=0, volumes=[CLAIM], own={"env": [HOME, part], "volumeMounts": [mount]}
    )
    agent = Agent.of(body)
    begun = time.monotonic()
    with pytest.raises(PodError, match="CreateContainerConfigError: couldn't find key part in Secret"):
        try_helpers(field.cluster, [agent])
    assert time.monotonic() - begun < 60
    field.kubectl("patch", "secret", "parts", "--patch", '{"stringData": {"part": "of/it"}}')
    assert "starts within" in try_helpers(field.cluster, [agent])["partless"]
