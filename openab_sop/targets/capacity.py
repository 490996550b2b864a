"""Whether the nodes have room for the pods of the target (SOP 1.7).

Asked before anything is stopped: under Recreate the old pod goes first, and a new one that fits nowhere stays Pending.
What the scheduler may do beyond that (preempt others) is not counted on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from openab_sop.agents.placement import Amounts, Need, missing, refusal, subtract
from openab_sop.cluster.kube import Cluster, quantity
from openab_sop.errors import Forbidden, NotFound, StepSkipped, ToolError
from openab_sop.objects import Object, at, part, parts
from openab_sop.releases.manifest import RENDERED, ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import UpgradeState
from openab_sop.targets.values import TargetValues
from openab_sop.verdict import Finding, Verdict

_POD = ("spec", "template", "spec")


@dataclass(frozen=True)
class Room:
    """What was found, or why nothing could be."""

    verdict: Verdict
    warning: str = ""

    def highlights(self) -> dict[str, str]:
        """Return what must not be overlooked, by what it is."""
        return {"room on the nodes": f"warning: {self.warning}"} if self.warning else {}

    def require(self) -> None:
        """Raise ``NotPassed`` if there is no room."""
        self.verdict.require()

    def __str__(self) -> str:
        return self.warning or str(self.verdict)


def check(release: Release, chart: Path, values: TargetValues | None = None, state: UpgradeState | None = None) -> Room:
    """Check that each pod of the target fits a node that its volumes and its own rules allow (SOP 1.7).

    A caller who may not look at nodes, volumes or other namespaces' pods gets a warning in place of a finding.

    Args:
        chart: the target's archive.
        values: what it is rendered with; None for the release's own.
        state: the upgrade that is under way, if one is.

    Raises:
        StepSkipped: an upgrade is under way: what it has come to decides, no longer what might.
    """
    if state:
        raise StepSkipped(f"upgrade {state.id} is under way since {state.begun}: it was checked before")
    text = values.text if values else release.helm.values(release.name, release.revision)
    try:
        rendered = release.helm.template(release.name, chart, text)
    except ToolError:
        return Room(Verdict("nothing"), "not checked: the target cannot be rendered with these values (see the plan)")
    deployments = [item.body for item in ReleaseManifest.parse(rendered, RENDERED).of_kind("Deployment")]
    checked = f"room for {', '.join(deployment['metadata']['name'] for deployment in deployments)}"
    try:
        return Room(Verdict(checked, _findings(release.cluster, deployments)))
    except Forbidden as error:
        return Room(Verdict(checked), f"{checked} was not checked: {error.problem}")


def _findings(cluster: Cluster, deployments: list[Object]) -> tuple[Finding, ...]:
    leaving = [pod for deployment in deployments for pod in _leaving(cluster, deployment)]
    needs = [
        _need(cluster, deployment, leaving) for deployment in deployments if at(deployment, "spec", "replicas") != 0
    ]
    nodes = _Nodes(cluster, {pod["metadata"]["uid"] for pod in leaving})
    return tuple(filter(None, [nodes.take(need) for need in needs]))


@dataclass
class _Nodes:
    """What the nodes have left, asked for when it is needed, less what was taken."""

    cluster: Cluster
    leaving: set[str]
    nodes: dict[str, Object] = field(init=False)
    _free: dict[str, Amounts] = field(default_factory=dict[str, Amounts])

    def __post_init__(self) -> None:
        self.nodes = {node["metadata"]["name"]: node for node in self.cluster.all("Node")}

    def take(self, need: Need) -> Finding | None:
        """Take room for a pod where there is some, on its present node first; else say what is missing where."""
        seen: list[str] = []
        for name in sorted(self.nodes, key=lambda name: name != need.preferred):
            if reason := refusal(need, self.nodes[name]):
                seen.append(f"{name}: {reason}")
            elif lacking := missing(need.amounts, free := self._free_on(name)):
                seen.append(f"{name}: {_shown(lacking)} too little")
            else:
                self._free[name] = subtract(free, [need.amounts])
                return None
        return Finding(
            need.who,
            "; ".join(seen[:10]) or "no node",
            f"a node that its volume allows, with {_shown(need.amounts)} free",
            "free or add a node, or lower resources.requests in the values; kubectl describe nodes shows who has them",
        )

    def _free_on(self, name: str) -> Amounts:
        if name not in self._free:
            staying = [p for p in self.cluster.pods_on(name) if p["metadata"]["uid"] not in self.leaving]
            allocatable = {key: quantity(text) for key, text in part(self.nodes[name], "status", "allocatable").items()}
            self._free[name] = subtract(allocatable, (requests(part(pod, "spec")) for pod in staying))
        return self._free[name]


def requests(spec: Object) -> Amounts:
    """Return what a pod requests: its containers together, or its largest init container if that is more.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/ (resource sharing), and sidecars.
    """
    running, starting = dict[str, Decimal](), dict[str, Decimal]()
    for container in parts(spec, "initContainers"):
        if container.get("restartPolicy") == "Always":
            running = _combined(running, _of(container), Decimal.__add__)
            starting = _combined(starting, running, max)
        else:
            starting = _combined(starting, _combined(running, _of(container), Decimal.__add__), max)
    for container in parts(spec, "containers"):
        running = _combined(running, _of(container), Decimal.__add__)
    whole = _combined(running, starting, max) | _of(
        spec
    )  # requests of the pod itself, where it has some, count instead
    overhead = {name: quantity(text) for name, text in part(spec, "overhead").items()}
    return _combined(whole, overhead, Decimal.__add__) | {"pods": Decimal(1)}


def _of(container: Object) -> dict[str, Decimal]:
    """A container's requests; where it has a limit alone, that is its request."""
    given = {**part(container, "resources", "limits"), **part(container, "resources", "requests")}
    return {name: quantity(amount) for name, amount in given.items()}


def _combined(one: Amounts, other: Amounts, by: Callable[[Decimal, Decimal], Decimal]) -> dict[str, Decimal]:
    return {name: by(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}


def _leaving(cluster: Cluster, deployment: Object) -> list[Object]:
    """The pods that go before the Deployment's new one comes."""
    labels = part(deployment, "spec", "selector", "matchLabels")
    if at(deployment, "spec", "strategy", "type") != "Recreate" or not labels:
        return []
    return cluster.list("Pod", ",".join(f"{key}={value}" for key, value in labels.items()))


def _need(cluster: Cluster, deployment: Object, leaving: list[Object]) -> Need:
    spec, labels = part(deployment, *_POD), part(deployment, "spec", "selector", "matchLabels")
    own = (pod for pod in leaving if labels.items() <= part(pod, "metadata", "labels").items())
    claims = [at(volume, "persistentVolumeClaim", "claimName") for volume in parts(spec, "volumes")]
    return Need(
        who=deployment["metadata"]["name"],
        spec=spec,
        amounts=requests(spec),
        volumes=tuple(terms for claim in claims if claim and (terms := _affinity(cluster, claim))),
        preferred=next((str(at(pod, "spec", "nodeName") or "") for pod in own), ""),
    )


def _affinity(cluster: Cluster, claim: str) -> list[Object]:
    """The node selector terms of a claim's volume; none if it may be anywhere, or is not there yet."""
    with suppress(NotFound):
        if volume := at(cluster.get("PersistentVolumeClaim", claim), "spec", "volumeName"):
            bound = cluster.get("PersistentVolume", volume)
            return parts(bound, "spec", "nodeAffinity", "required", "nodeSelectorTerms")
    return []


def _shown(amounts: Amounts) -> str:
    return ", ".join(f"{name} {_readable(name, amount)}" for name, amount in sorted(amounts.items()) if name != "pods")


def _readable(name: str, amount: Decimal) -> str:
    return f"{amount / (1 << 20):.0f} MiB" if name in ("memory", "ephemeral-storage") else f"{amount:f}"
