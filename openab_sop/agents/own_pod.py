"""The builder of our short-lived pods: an agent's own pod, minus what it is not for.

What the agent's pod has, ours has too: account, pull secrets and policy, tolerations, security context, and resources
where they are demanded. So it starts wherever the agent's can, under the same quota, limits and admission. What is left
out is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openab_sop.agents.agent import Runner
from openab_sop.cluster.kube import MANAGER, OWNER, Cluster
from openab_sop.cluster.owner import owner
from openab_sop.errors import Forbidden
from openab_sop.objects import Object, at, parts

LABEL = "app.kubernetes.io/managed-by"
OF = f"{MANAGER}/agent"
"""Label of our pods: whose agent's they are."""
_MADE: set[str] = set()
"""Names of the pods that this run has made, or tried to: they are made up, and a pod's name cannot be changed."""
_LONGEST = 63
"""Characters of a label's value."""
_NOT_OF_POD = (
    "activeDeadlineSeconds",
    "containers",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "hostnameOverride",
    "initContainers",
    "nodeName",
    "overhead",
    "readinessGates",
    "resourceClaims",
    "schedulingGates",
    "schedulingGroup",
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
    "restartPolicyRules",
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
    agent: Runner,
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
    if volumes and "fsGroup" in (spec.get("securityContext") or {}):  # else kubelet changes each file's mode first
        spec["securityContext"] = {**spec["securityContext"], "fsGroupChangePolicy": "OnRootMismatch"}
    own = {key: value for key, value in container_of(template, agent).items() if key not in _NOT_OF_CONTAINER}
    spec |= {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": lifetime,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "volumes": list(volumes),
    }
    if node:
        spec["nodeName"] = node
    if "resources" in own:
        own["resources"] = {key: value for key, value in own["resources"].items() if key != "claims"}
    spec["containers"] = [{**own, "command": list(command), "workingDir": "/", **(container or {})}]
    labels = {LABEL: MANAGER, OF: label_of(agent)}
    metadata = {
        "name": name,
        "labels": labels | _NO_SIDECARS,
        "annotations": {OWNER: owner()} | _NO_SIDECARS,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def create(cluster: Cluster, pod: Object) -> Object:
    """Make one of our pods; it asks for room of its own only where the namespace demands that of every pod.

    It often runs beside the agent, on the same node: room for both would be asked of a node that has it for one.

    Raises:
        Forbidden: quota, admission or the caller's rights refuse it.
    """
    (container,) = pod["spec"]["containers"]
    bare = {key: value for key, value in container.items() if key != "resources"}
    _MADE.add(str(pod["metadata"]["name"]))
    try:
        return cluster.create("Pod", {**pod, "spec": {**pod["spec"], "containers": [bare]}})
    except Forbidden:
        return cluster.create("Pod", pod)


def is_own(pod: Object) -> bool:
    """Tell whether this very run has made a pod: what is noted on it, anybody may have copied (issue 14)."""
    return at(pod, "metadata", "name") in _MADE


def label_of(agent: Runner) -> str:
    """Return how a label names an agent."""
    return agent.name[:_LONGEST].rstrip("-.")


def container_of(template: Object, agent: Runner) -> Object:
    """Return the agent's container in a pod's spec."""
    return next(c for c in parts(template, "containers") if c["name"] == agent.container)
