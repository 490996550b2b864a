"""A pod of ours is the agent's, minus what it is not for: whatever the agent needs to start, ours has too."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.agents.own_pod import own_pod
from openab_sop.cluster import kube
from openab_sop.cluster.kubeconfig import KubeConfig

AGENT = Agent("bot", "openab", "a=b", "/home", "claim", (), (), ())
TEMPLATE: dict[str, Any] = {
    "serviceAccountName": "bots",
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "low",
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
    "aFieldOfNextYear": {"kept": True},
    "initContainers": [{"name": "seed", "image": "seed"}],
    "hostNetwork": True,
    "volumes": [{"name": "home"}, {"name": "token"}],
    "containers": [
        {"name": "sidecar", "image": "sidecar"},
        {
            "name": "openab",
            "image": "openab:latest",
            "imagePullPolicy": "Never",
            "args": ["run"],
            "env": [{"name": "TOKEN", "value": "of-the-bot"}],
            "envFrom": [{"secretRef": {"name": "bot"}}],
            "lifecycle": {"postStart": {}},
            "livenessProbe": {},
            "resources": {"limits": {"cpu": "1"}},
            "securityContext": {"readOnlyRootFilesystem": True},
            "volumeMounts": [{"name": "token"}],
        },
    ],
}


def test_what_lets_the_agent_start_lets_ours_start() -> None:
    spec = own_pod("name", AGENT, TEMPLATE, command=["true"], lifetime=9)["spec"]
    for field in ("serviceAccountName", "imagePullSecrets", "priorityClassName", "tolerations", "aFieldOfNextYear"):
        assert spec[field] == TEMPLATE[field]
    (container,) = spec["containers"]
    assert container == {
        "name": "openab",
        "image": "openab:latest",
        "imagePullPolicy": "Never",
        "resources": {"limits": {"cpu": "1"}},
        "securityContext": {"readOnlyRootFilesystem": True},
        "command": ["true"],
        "workingDir": "/",
    }


def test_it_has_nothing_that_acts_for_the_agent() -> None:
    spec = own_pod("name", AGENT, TEMPLATE, command=["true"], lifetime=9)["spec"]
    assert "of-the-bot" not in str(spec)
    assert not {"initContainers", "hostNetwork"} & set(spec)
    assert (spec["volumes"], spec["automountServiceAccountToken"]) == ([], False)
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"]) == ("Never", 9)


def test_files_keep_their_modes_when_it_mounts_them() -> None:
    spec = own_pod("name", AGENT, TEMPLATE, command=["true"], lifetime=9, volumes=[{"name": "home"}])["spec"]
    assert spec["securityContext"] == {"runAsUser": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"}
    assert TEMPLATE["securityContext"] == {"runAsUser": 1000, "fsGroup": 1000}, "the agent's own is left alone"


def test_injectors_are_told_to_leave_it_alone() -> None:
    metadata = own_pod("name", AGENT, TEMPLATE, command=["true"], lifetime=9)["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["annotations"]["linkerd.io/inject"] == "disabled"


@pytest.mark.parametrize(
    ("said", "next_step"),
    [
        ('User "x" cannot create resource "pods" in API group "" in the namespace "y"', "ask for this right"),
        ("exceeded quota: small, requested: cpu=1, used: cpu=1, limited: cpu=1", "describe quota"),
        ("failed quota: small: must specify limits.cpu", "describe quota"),
        ('violates PodSecurity "restricted:latest": runAsNonRoot != true', "admission refuses it"),
        ("maximum cpu usage per Container is 100m, but limit is 1", "admission refuses it"),
    ],
)
def test_what_is_forbidden_says_by_whom(said: str, next_step: str) -> None:
    access = KubeConfig((), "here", "context", "server", "namespace", "there")
    refusal = kube._refusal(403, said, "POST pods", access)  # pyright: ignore[reportPrivateUsage]
    assert said in refusal.problem
    assert next_step in refusal.next_step
