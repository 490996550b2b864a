"""An image is pulled by a pod that leaves nothing; one that cannot be had is told by name, in kubelet's words."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.agents.prepull import ImageError, pull
from sandbox.config import PAUSE_IMAGE
from tests.integration.conftest import ROOT
from tests.integration.rollout.conftest import Field, deployment

GOOD = "openab.local/openab:0.8.2"
HELPERS = "--selector=app.kubernetes.io/managed-by=openab-sop"


@pytest.fixture(scope="module")
def agent(field: Field) -> Agent:
    field.install("pull", "0.8.1", field.values())
    return field.agent("pull")


@pytest.fixture(autouse=True)
def nothing_is_left(field: Field, agent: Agent) -> Iterator[None]:
    """Neither a pod of ours, nor a change of the agent's."""
    before = agent.pod(field.cluster)
    yield
    assert field.kubectl("get", "pods", HELPERS, "--output=name") == ""
    assert agent.pod(field.cluster) == before


def test_the_image_is_on_the_node(field: Field, agent: Agent) -> None:
    pulled = pull(field.cluster, agent, GOOD)
    assert pulled.image == GOOD
    assert pulled.image_id.rpartition("sha256:")[2].isalnum()
    assert not pulled.refused
    assert 0 < pulled.seconds < 60


def test_an_image_without_any_command(field: Field, agent: Agent) -> None:
    """The pause image has one program, and it is not ours."""
    pulled = pull(field.cluster, agent, PAUSE_IMAGE)
    assert pulled.image_id
    assert not pulled.refused


@pytest.mark.parametrize(
    ("image", "policy", "says"),
    [
        ("openab.local/openab:0.9.0-no-image.1", "IfNotPresent", "ErrImagePull|ImagePullBackOff"),
        ("openab.local/never:1", "Never", "ErrImageNeverPull"),
        ("Not/An:Image:Name", "IfNotPresent", "InvalidImageName"),
    ],
)
def test_an_image_that_is_not_to_be_had(field: Field, agent: Agent, image: str, policy: str, says: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ImageError, match=says) as error:
        pull(field.cluster, agent, image, policy)
    assert image in error.value.problem
    assert time.monotonic() - begun < 15


def test_the_pod_is_like_the_agents_but_holds_nothing(field: Field, agent: Agent) -> None:
    """A run that is killed leaves its pod; the next one removes it."""
    script = f"""
import os
from pathlib import Path
from openab_sop.agents import prepull
from openab_sop.cluster import kubeconfig
from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import Cluster
cluster = Cluster(kubeconfig.resolve({field.cluster.access.joined!r}, None, {field.cluster.namespace!r}))
Cluster.delete = lambda *arguments, **options: os.kill(os.getpid(), 9)
prepull.pull(cluster, Agent.of(cluster.get("Deployment", {agent.deployment!r})), {GOOD!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=False)
    assert killed.returncode == -9
    (left,) = _items(field, "pods", HELPERS)
    theirs = json.loads(field.kubectl("get", "deploy", deployment("pull"), "--output=json"))["spec"]["template"]["spec"]
    ours = left["spec"]
    assert ours["securityContext"] == theirs["securityContext"]
    assert ours["containers"][0]["securityContext"] == theirs["containers"][0]["securityContext"]
    assert not ours.get("volumes")
    assert ours["nodeName"] == agent.pod(field.cluster).node
    assert not set(agent.selector.split(",")) <= {f"{k}={v}" for k, v in left["metadata"]["labels"].items()}
    assert not pull(field.cluster, agent, GOOD).refused


def test_a_pod_that_the_cluster_refuses_is_no_failure(field: Field, agent: Agent) -> None:
    field.kubectl("create", "quota", "full", "--hard=pods=1")
    try:
        until_counted(field)
        pulled = pull(field.cluster, agent, GOOD)
    finally:
        field.kubectl("delete", "quota", "full")
    assert "exceeded quota" in pulled.refused
    assert "was not pulled ahead" in str(pulled)


def until_counted(field: Field, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while field.kubectl("get", "quota", "full", "--output=jsonpath={.status.used.pods}") != "1":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _items(field: Field, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(field.kubectl("get", *arguments, "--output=json"))["items"]
