"""The copy of an agent: its pod as a version renders it, under another name, without anything that makes it the bot.

No token, address or webhook of Secret, ConfigMap or environment is in it, no service account, no host, no name that a
resolver would know, no label that anything selects. What it mounts are copies, or empty.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from openab_sop import redact
from openab_sop.agents import agent
from openab_sop.agents.mount_environment import MountEnvironment
from openab_sop.agents.workload import Workload
from openab_sop.objects import Object, at, part, parts
from openab_sop.rehearsals.placeholders import neutral, neutral_secret, placeholder
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.upstream.configuration import NO_CLOUD, without_hooks

_KEPT = (
    "containers",
    "initContainers",
    "volumes",
    "securityContext",
    "nodeSelector",
    "tolerations",
    "affinity",
    "runtimeClassName",
    "schedulerName",
    "shareProcessNamespace",
    "terminationGracePeriodSeconds",
    "os",
)
"""What of a pod's spec stays: nothing that makes the copy somebody, brings it near the host, or pushes others aside."""
_ALONE: Object = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["127.0.0.1"]},
}
"""No token of the cluster's, and a resolver that is not there."""
_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What a copy may add: what a container has that drops none (the level "baseline" of the pod security standards)."""
_KEPT_VOLUMES = ("emptyDir", "downwardAPI", "image")
_PULL = "-pull"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

_ADDRESS = re.compile(r"\s*+(?:[a-zA-Z][a-zA-Z0-9+.-]*+://|(?!127\.|0\.0\.0\.0|localhost)[\w-]++(?:\.[\w-]++)++:\d+)")
_SECRET_VARIABLE = re.compile(r"(?i)(?:key|auth|pass|phrase|cookie|webhook|dsn)$")

Rename = Callable[[str], str]


@dataclass(frozen=True)
class RenderedVersion:
    """A version of a release as Helm renders it, or has recorded it.

    Attributes:
        name: how it is called: a chart version.
    """

    name: str
    manifest: ReleaseManifest

    @property
    def agents(self) -> dict[str, Workload]:
        """Its agents that want a pod, by Deployment."""
        found = (Workload(item.body) for item in self.manifest.of_kind("Deployment"))
        return {workload.name: workload for workload in found if workload.is_agent and workload.replicas}


def deployment(
    workload: Workload,
    rename: Rename,
    claims: Mapping[str, str],
    labels: Mapping[str, str],
    node: str | None,
    pulls: Iterable[str],
) -> Object:
    """Return the Deployment of an agent's copy.

    Args:
        rename: gives the copy of an object its name.
        claims: the copies of claims by their names; a claim without one is empty in the copy.
        labels: what its pods are selected by.
        node: where the agent runs: if the copy finds room there, that node has the image before the upgrade.
        pulls: names of the Secrets with which its image is pulled.
    """
    pod = _pod(_with_parts_named(workload), rename, claims, node)
    pod["imagePullSecrets"] = [{"name": rename(name + _PULL)} for name in pulls]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": rename(workload.name), "labels": dict(labels)},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def references(
    workload: Workload, find: Callable[[str, str], Object | None], rename: Rename
) -> Iterator[tuple[str, Object]]:
    """Yield kind and body of the copies of every Secret and ConfigMap that an agent's pod refers to.

    Args:
        find: returns one by kind and name, None if there is none: then its copy is missing too.
    """
    for kind, word in (("Secret", "secret"), ("ConfigMap", "configMap")):
        for name in sorted(agent.references(workload.body, word)):
            body = find(kind, name)
            if body is None:
                continue
            if kind == "ConfigMap":
                yield kind, _config_map(body, rename(name))
                continue
            redact.learn_secret(body)
            for value in part(body, "stringData").values():
                redact.learn(str(value))
            yield kind, _secret(body, rename(name))


def pull_secret(body: Object, rename: Rename) -> Object:
    """Return the copy of a Secret with which images are pulled: the same, since it is kubelet's, in no container."""
    kept = {key: body[key] for key in ("apiVersion", "kind", "type", "data", "stringData") if key in body}
    return {**kept, "metadata": {"name": rename(str(body["metadata"]["name"]) + _PULL)}}


def pulls(workload: Workload, accounts: Callable[[str], Object | None]) -> list[str]:
    """Return the names of the Secrets with which an agent's image is pulled: its own, else its service account's.

    Args:
        accounts: returns a service account by its name.
    """
    own = parts(workload.pod, "imagePullSecrets")
    account = accounts(str(workload.pod.get("serviceAccountName") or "default")) if not own else None
    return [str(secret["name"]) for secret in own or parts(account or {}, "imagePullSecrets")]


def emptied(workload: Workload, claims: Mapping[str, str]) -> list[str]:
    """Return the names of the volumes that are empty in the copy, though they are not in the agent's pod."""
    return [
        str(volume["name"])
        for volume in parts(workload.pod, "volumes")
        if "emptyDir" in _volume(volume, str, claims) and "emptyDir" not in volume
    ]


def _with_parts_named(workload: Workload) -> Object:
    """Return the pod's spec; variables that name parts of volumes have what the labels say, which a copy has not."""
    every = {word: parts(workload.pod, word) for word in ("initContainers", "containers") if word in workload.pod}
    named = {word: [MountEnvironment(c, workload.template).with_fixed() for c in some] for word, some in every.items()}
    return {**workload.pod, **named}


def _pod(original: Object, rename: Rename, claims: Mapping[str, str], node: str | None) -> Object:
    pod = {key: value for key, value in deepcopy(original).items() if key in _KEPT} | _ALONE
    _confine(part(pod, "securityContext"))
    pod["affinity"] = {"nodeAffinity": _near(part(pod, "affinity", "nodeAffinity"), node)}
    for container in parts(pod, "initContainers") + parts(pod, "containers"):
        _clean(container, rename)
    if volumes := parts(pod, "volumes"):
        pod["volumes"] = [_volume(volume, rename, claims) for volume in volumes]
    return pod


def _near(affinity: Object, node: str | None) -> Object:
    if node is None:
        return affinity
    there = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    preferred = [*parts(affinity, _PREFERRED), {"weight": 100, "preference": there}]
    return {**affinity, _PREFERRED: preferred}


def _clean(container: Object, rename: Rename) -> None:
    _clean_environment(container, rename)
    _confine(part(container, "securityContext"))
    for words in ("command", "args"):
        if container.get(words):
            container[words] = [neutral(str(word)) for word in container[words]]
    for port in parts(container, "ports"):
        port.pop("hostPort", None)
        port.pop("hostIP", None)
    for action in (*map(container.get, _PROBES), *part(container, "lifecycle").values()):
        for way in ("httpGet", "tcpSocket"):  # it is kubelet that calls, and no policy holds it
            part(action or {}, way).pop("host", None)
        if script := part(action or {}, "exec"):
            script["command"] = [neutral(str(word)) for word in script.get("command") or ()]


def _confine(context: Object) -> None:
    """Take out of a security context what brings a copy near the host, whatever the version asks for (issue 14)."""
    for word in ("privileged", "procMount", "windowsOptions", "sysctls"):
        context.pop(word, None)
    for word in ("seccompProfile", "appArmorProfile"):
        if at(context, word, "type") == "Unconfined":
            context.pop(word)
    if added := part(context, "capabilities").get("add"):
        context["capabilities"]["add"] = [name for name in added if name in _CAPABILITIES]


def _clean_environment(container: Object, rename: Rename) -> None:
    variables = [variable for variable in parts(container, "env") if variable["name"] not in NO_CLOUD]
    for variable in variables:
        if value := variable.get("value"):
            variable["value"] = _value(str(variable["name"]), str(value))
    container["env"] = [*variables, *({"name": name, "value": value} for name, value in NO_CLOUD.items())]
    sources = [part(variable, "valueFrom") for variable in variables]
    for source in (*sources, *parts(container, "envFrom")):
        for word in ("secretKeyRef", "configMapKeyRef", "secretRef", "configMapRef"):
            if reference := part(source, word):
                reference["name"] = rename(str(reference["name"]))


def _value(name: str, value: str) -> str:
    """What of a variable's value stays: an address is taken out, so that most programs take it for not set."""
    if redact.is_secret_name(name) or _SECRET_VARIABLE.search(name):
        return placeholder(value)
    return "" if _ADDRESS.match(value) else neutral(value)


def _volume(volume: Object, rename: Rename, claims: Mapping[str, str]) -> Object:
    name = {"name": volume["name"]}
    claim = claims.get(str(at(volume, "persistentVolumeClaim", "claimName")))
    if claim:
        return {**name, "persistentVolumeClaim": {"claimName": claim}}
    if any(kind in volume for kind in _KEPT_VOLUMES):
        return volume
    if "secret" in volume:
        return {**name, "secret": {**volume["secret"], "secretName": rename(str(volume["secret"]["secretName"]))}}
    if "configMap" in volume:
        return {**name, "configMap": {**volume["configMap"], "name": rename(str(volume["configMap"]["name"]))}}
    if sources := [_source(source, rename) for source in parts(volume, "projected", "sources") if _is_plain(source)]:
        return {**name, "projected": {**volume["projected"], "sources": sources}}
    return {**name, "emptyDir": {}}


def _is_plain(source: Object) -> bool:
    return any(word in source for word in ("secret", "configMap", "downwardAPI"))


def _source(source: Object, rename: Rename) -> Object:
    return {
        word: {**body, "name": rename(str(body["name"]))} if "name" in body else body for word, body in source.items()
    }


def _secret(body: Object, name: str) -> Object:
    plain = {key: neutral_secret(b64decode(value)) for key, value in part(body, "data").items()}
    plain |= {key: neutral_secret(str(value).encode()) for key, value in part(body, "stringData").items()}
    data = {key: b64encode(value).decode() for key, value in plain.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}, "data": data}


def _config_map(body: Object, name: str) -> Object:
    plain = {
        key: without_hooks(str(value)) if key.endswith(".toml") else str(value)
        for key, value in part(body, "data").items()
    }
    data = {key: neutral(value) for key, value in plain.items()}
    binary = {key: neutral_secret(b64decode(value)) for key, value in part(body, "binaryData").items()}
    encoded = {key: b64encode(value).decode() for key, value in binary.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, "binaryData": encoded}
