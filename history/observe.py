"""Reads the facts of a release's agents from the cluster, and leaves a mark in their homes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from history.outcome import AgentFacts
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import ClusterError, ToolError
from openab_sop.objects import Object, at, part, parts
from openab_sop.process import run
from openab_sop.targets.version import Version
from openab_sop.upstream.charts import CONTAINERS

SETTLE = 25
"""Seconds in which agents have to come up."""
CONNECTED = ("bot connected", "Socket Mode connected", "connected to gateway")
"""What an agent logs, by its chat."""
READ_ELSEWHERE: Mapping[str, tuple[str, str]] = {"cronjob.toml": ("0.8.2-beta.8", ".openab/cronjob.toml")}
"""Files of the home that the real agent reads elsewhere from a version on.

Source: github.com/openabdev/openab, src/main.rs at the tag v0.8.2-beta.8.
"""
_MARK = ".kiro/history-mark"
_BROKEN = ("CrashLoopBackOff", "CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff", "RunContainerError")
_POD = ("spec", "template", "spec")
_LEAVE = (
    'mkdir -p "$HOME/.kiro" && for file in "$0" "$@"; do [ -s "$HOME/$file" ] || echo "# own" > "$HOME/$file"; done'
)


def settled(cluster: Cluster, names: Sequence[str]) -> None:
    """Wait until every agent serves, or it is clear that one does not."""
    deadline = time.monotonic() + SETTLE
    while time.monotonic() < deadline:
        states = [_state(cluster, name) for name in names]
        if all(state is not None for state in states):
            return
        time.sleep(0.3)


def mark(cluster: Cluster, names: Sequence[str], files: Sequence[str]) -> None:
    """Put a mark, and the files that a case asks for, into the home of each agent that serves and has a claim."""
    for name in names:
        if _state(cluster, name) == "" and _claims(cluster.get("Deployment", name)):
            _execute(cluster, name, _LEAVE, _MARK, *files)


def look(cluster: Cluster, names: Sequence[str], version: Version, files: Sequence[str]) -> dict[str, AgentFacts]:
    """Return the facts of each agent.

    Args:
        version: what the agents are of, for what is known of their way with files.
        files: files that a case has put into the homes.
    """
    return {name: _facts(cluster, name, version, files) for name in names}


def _facts(cluster: Cluster, name: str, version: Version, files: Sequence[str]) -> AgentFacts:
    deployment = cluster.find("Deployment", name)
    if deployment is None:
        return AgentFacts("", trouble="its Deployment is not there")
    pods = _pods(cluster, deployment)
    state = _state(cluster, name)
    volumes, claims = parts(deployment, *_POD, "volumes"), _claims(deployment)
    return AgentFacts(
        image=str(_container(deployment)["image"]),
        pod=str(pods[0]["metadata"]["uid"]) if pods else "",
        trouble="it does not come up" if state is None else state,
        claims={claim: _uid(cluster.find("PersistentVolumeClaim", claim)) for claim in claims},
        variables=_variables(deployment),
        config=_configuration(cluster, volumes),
        marked=_is_there(cluster, name, _MARK) if claims and state == "" else None,
        lost=tuple(path for path in files if claims and state == "" and not _is_read(cluster, name, version, path)),
    )


def _claims(deployment: Object) -> list[str]:
    volumes = parts(deployment, *_POD, "volumes")
    return [str(claim) for volume in volumes if (claim := at(volume, "persistentVolumeClaim", "claimName"))]


def _is_read(cluster: Cluster, name: str, version: Version, path: str) -> bool:
    since, elsewhere = READ_ELSEWHERE.get(path, ("", path))
    moved = bool(since) and not version.is_older_than(Version.parse(since))
    return _is_there(cluster, name, elsewhere if moved else path)


def _is_there(cluster: Cluster, name: str, path: str) -> bool:
    try:
        _execute(cluster, name, 'grep -qx "# own" "$HOME/$0"', path)
    except ToolError:
        return False
    return True


def _execute(cluster: Cluster, name: str, script: str, *arguments: str) -> None:
    container = str(_container(cluster.get("Deployment", name))["name"])
    command = ["exec", f"deployment/{name}", f"--container={container}", "--", "sh", "-c", script, *arguments]
    run(cluster.kubectl(*command), env=cluster.env)


def _state(cluster: Cluster, name: str) -> str | None:
    """Return why an agent does not serve; empty if it does, None if that is not known yet."""
    deployment = cluster.find("Deployment", name)
    if deployment is None:
        return "its Deployment is not there"
    status = part(deployment, "status")
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return None
    pods = _pods(cluster, deployment)
    for pod in pods:
        if trouble := _trouble(pod):
            return trouble
    wanted = deployment["spec"]["replicas"]
    if not len(pods) == wanted == status.get("updatedReplicas") == status.get("availableReplicas"):
        return None
    log = cluster.log(pods[0]["metadata"]["name"], _container(deployment)["name"], limit=1 << 16)
    return "" if any(words in log for words in CONNECTED) else None


def _trouble(pod: Object) -> str:
    for status in parts(pod, "status", "initContainerStatuses") + parts(pod, "status", "containerStatuses"):
        reason = part(status, "state", "waiting").get("reason")
        if reason in _BROKEN:
            return str(reason)
        for ended in (part(status, "state", "terminated"), part(status, "lastState", "terminated")):
            if ended.get("exitCode"):
                return f"ended with status {ended['exitCode']}"
    return ""


def _pods(cluster: Cluster, deployment: Object) -> list[Object]:
    labels = part(deployment, "spec", "selector", "matchLabels")
    found = cluster.list("Pod", ",".join(f"{key}={value}" for key, value in labels.items()))
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def _container(deployment: Object) -> Object:
    return next(found for found in parts(deployment, *_POD, "containers") if found["name"] in CONTAINERS)


def _variables(deployment: Object) -> dict[str, str]:
    return {
        str(entry["name"]): str(entry["value"]) if "value" in entry else f"from {part(entry, 'valueFrom')}"
        for entry in parts(_container(deployment), "env")
    }


def _configuration(cluster: Cluster, volumes: Sequence[Object]) -> str:
    for volume in volumes:
        if name := at(volume, "configMap", "name"):
            try:
                return str(part(cluster.get("ConfigMap", name), "data").get("config.toml", ""))
            except ClusterError:
                return ""
    return ""


def _uid(body: Object | None) -> str:
    return str(body["metadata"]["uid"]) if body else ""
