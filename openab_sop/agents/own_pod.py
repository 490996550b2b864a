"""The builder of our short-lived pods: an agent's own pod, minus what it is not for.

What the agent's pod has, ours has too: account, pull secrets and policy, resources, tolerations, security context. So
it starts wherever the agent's can, under the same quota, limits and admission. What is left out is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openab_sop.agents.agent import Agent
from openab_sop.cluster.kube import MANAGER
from openab_sop.cluster.owner import owner
from openab_sop.objects import Object, parts

LABEL = "app.kubernetes.io/managed-by"
OWNER = f"{MANAGER}/owner"
_NOT_OF_POD = (
    "activeDeadlineSeconds",
    "containers",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "initContainers",
    "nodeName",
    "readinessGates",
    "resourceClaims",
    "schedulingGates",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "topologySpreadConstraints",
    "volumes",
)
_NOT_OF_CONTAINER = (
    "args",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "restartPolicy",
    "startupProbe",
    "tty",
    "volumeDevices",
    "volumeMounts",
)
_NO_SIDECARS = {
    "consul.hashicorp.com/connect-inject": "false",
    "kuma.io/sidecar-injection": "disabled",
    "linkerd.io/inject": "disabled",
    "sidecar.istio.io/inject": "false",
    "vault.hashicorp.com/agent-inject": "false",
}
"""How service meshes and injectors are told to leave a pod alone: by a label or by an annotation."""


def own_pod(
    name: str,
    agent: Agent,
    template: Object,
    *,
    command: Sequence[str],
    lifetime: int,
    node: str | None = None,
    volumes: Sequence[Object] = (),
    container: Object | None = None,
) -> Object:
    """Return a pod of ours that is like the agent's.

    Args:
        name: its name.
        template: the spec of the agent's pod.
        command: what it runs in place of the agent.
        lifetime: seconds after which the cluster ends it, whatever happens.
        node: where it must run; None leaves it to the scheduler.
        volumes: the only ones that it has.
        container: fields of the container that are otherwise than the agent's.
    """
    spec: dict[str, Any] = {key: value for key, value in template.items() if key not in _NOT_OF_POD}
    if "fsGroup" in (spec.get("securityContext") or {}):  # else kubelet changes the mode of every file before we look
        spec["securityContext"] = {**spec["securityContext"], "fsGroupChangePolicy": "OnRootMismatch"}
    own = {key: value for key, value in container_of(template, agent).items() if key not in _NOT_OF_CONTAINER}
    spec |= {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": lifetime,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "volumes": list(volumes),
        "containers": [{**own, "command": list(command), "workingDir": "/", **(container or {})}],
    }
    if node:
        spec["nodeName"] = node
    labels = {LABEL: MANAGER, f"{MANAGER}/agent": agent.deployment}
    metadata = {
        "name": name,
        "labels": labels | _NO_SIDECARS,
        "annotations": {OWNER: owner()} | _NO_SIDECARS,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def container_of(template: Object, agent: Agent) -> Object:
    """Return the agent's container in a pod's spec."""
    return next(c for c in parts(template, "containers") if c["name"] == agent.container)
