"""An agent: a Deployment of the release with the container of OpenAB, its home and its claim (SOP 1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from openab_sop import redact
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.pod import Pod
from openab_sop.errors import PodError, ReleaseError
from openab_sop.objects import Object, at, part, parts

CONTAINERS = ("openab", "agent-broker")
"""Names of an agent's container: the present one, and that of the chart when it still had its former name."""
_POD = ("spec", "template", "spec")


@dataclass(frozen=True)
class Agent:
    """What of an agent stays the same while its pods come and go.

    Attributes:
        deployment: its Deployment's name; names its directory in a backup too.
        container: name of the container that it runs in.
        selector: label selector of its pods.
        home: absolute path of the home directory in the container.
        claim: the PersistentVolumeClaim that holds the home, None without persistence.
        foreign: paths in the home, relative to it, where something else is mounted (a ConfigMap's file).
        secrets, config_maps: names of what its pod refers to.
    """

    deployment: str
    container: str
    selector: str
    home: str
    claim: str | None
    foreign: tuple[str, ...]
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]

    @classmethod
    def of(cls, deployment: Object) -> Agent:
        """Read an agent from its live Deployment.

        Raises:
            ReleaseError: the home cannot be told for sure.
        """
        name = str(deployment["metadata"]["name"])
        pod = part(deployment, *_POD)
        container = next(c for c in parts(pod, "containers") if c["name"] in CONTAINERS)
        mounts = parts(container, "volumeMounts")
        claims = claims_of(pod)
        home = _home(name, container, [m["mountPath"] for m in mounts if m["name"] in claims])
        holding = [m for m in mounts if m["name"] in claims and _holds(m["mountPath"], home)]
        nearest = max(holding, key=lambda m: len(m["mountPath"]), default=None)
        return cls(
            deployment=name,
            container=container["name"],
            selector=_selector(deployment["spec"]["selector"]),
            home=home,
            claim=claims[nearest["name"]] if nearest else None,
            foreign=tuple(sorted(_below(home, m["mountPath"]) for m in mounts if _inside(m["mountPath"], home))),
            secrets=tuple(sorted(set(_references(pod, "secret")))),
            config_maps=tuple(sorted(set(_references(pod, "configMap")))),
        )

    def pod(self, cluster: Cluster) -> Pod:
        """Look up the pod that runs now; never kept, since each rollout makes a new one.

        Raises:
            PodError: none runs, or more than one does.
        """
        pods = [p for p in cluster.list("Pod", self.selector) if not p["metadata"].get("deletionTimestamp")]
        running = [p for p in pods if _runs(p, self.container)]
        if len(running) != 1:
            seen = ", ".join(f"{p['metadata']['name']} {_state(p, self.container)}" for p in pods) or "no pod at all"
            raise PodError(
                f"agent {self.deployment} needs one pod with a running container {self.container}; there is {seen}",
                f"kubectl -n {cluster.namespace} describe pods -l '{self.selector}'; bring it up, then run again",
            )
        return Pod.of(cluster, running[0], self.container)


def is_agent(deployment: Object) -> bool:
    """Tell an agent's Deployment from a companion's, such as a gateway's (SOP 1.2)."""
    return any(container.get("name") in CONTAINERS for container in parts(deployment, *_POD, "containers"))


def references(deployment: Object, kind: str) -> set[str]:
    """Return the names that a Deployment's pod refers to; ``kind`` is "secret" or "configMap" (SOP 2.6)."""
    return set(_references(part(deployment, *_POD), kind))


def environment(deployment: Object) -> Iterator[tuple[str, str]]:
    """Yield the names and plain values of all variables of a Deployment's containers."""
    pod = part(deployment, *_POD)
    for container in parts(pod, "initContainers") + parts(pod, "containers"):
        yield from ((e["name"], e["value"]) for e in parts(container, "env") if e.get("value"))


def learn_environment(deployment: Object) -> None:
    """Mask from now on what a Deployment's containers get under names that sound secret."""
    for name, value in environment(deployment):
        if redact.is_secret_name(name):
            redact.learn(value)


def claims_of(pod: Object) -> dict[str, str]:
    """Return claim names by the pod's volume names."""
    names = ((v["name"], at(v, "persistentVolumeClaim", "claimName")) for v in parts(pod, "volumes"))
    return {volume: claim for volume, claim in names if claim}


def _home(name: str, container: Object, volumes: list[str]) -> str:
    """HOME as the container's environment sets it, else where the only volume is mounted."""
    variables = {e["name"]: e.get("value") for e in parts(container, "env")}
    home = variables.get("HOME") or (volumes[0] if len(volumes) == 1 else None)
    if home is None:
        raise ReleaseError(
            f"Deployment {name} sets no HOME, and mounts {len(volumes)} persistent volumes: its home cannot be told",
            "set HOME in the container's environment by the chart's values",
        )
    return str(PurePosixPath(home))


def _holds(mount: str, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(mount)


def _inside(mount: str, home: str) -> bool:
    return mount.rstrip("/") != home and _holds(home, mount)


def _below(home: str, path: str) -> str:
    return str(PurePosixPath(path).relative_to(home))


def _selector(selector: Object) -> str:
    terms = [f"{key}={value}" for key, value in part(selector, "matchLabels").items()]
    for expression in parts(selector, "matchExpressions"):
        key, values = expression["key"], ",".join(expression.get("values") or [])
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(sorted(terms))


def _references(pod: Object, kind: str) -> Iterator[str]:
    """Yield every name of a Secret or ConfigMap in a pod's spec: environment, volumes, projections, pull secrets."""
    for container in parts(pod, "initContainers") + parts(pod, "containers"):
        for variable in parts(container, "env"):
            if source := part(variable, "valueFrom", f"{kind}KeyRef"):
                yield source["name"]
        for origin in parts(container, "envFrom"):
            if source := part(origin, f"{kind}Ref"):
                yield source["name"]
    for volume in parts(pod, "volumes"):
        for source in (volume, *parts(volume, "projected", "sources")):
            if reference := part(source, kind):
                yield reference.get("secretName") or reference["name"]
    if kind == "secret":
        yield from (secret["name"] for secret in parts(pod, "imagePullSecrets"))


def _runs(pod: Object, container: str) -> bool:
    return any(s["name"] == container and "running" in s["state"] for s in _statuses(pod))


def _statuses(pod: Object) -> list[Object]:
    return parts(pod, "status", "containerStatuses")


def _state(pod: Object, container: str) -> str:
    """The pod's state in words; its phase never says CrashLoopBackOff, its container's state does."""
    for status in _statuses(pod):
        if status["name"] == container:
            (state, detail), *_ = status["state"].items()
            return str(detail.get("reason") or state)
    return str(at(pod, "status", "phase"))
