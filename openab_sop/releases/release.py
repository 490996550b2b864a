"""The release that is maintained: found for sure or not at all (SOP 1.1), with its agents (1.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from openab_sop import redact
from openab_sop.agents.agent import Agent, Companion, learn_environment, references
from openab_sop.agents.own_pod import LABEL
from openab_sop.agents.workload import Workload, claims_of, is_agent
from openab_sop.cluster.helm import Helm, Listed
from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.errors import Forbidden, NotFound, ReleaseError
from openab_sop.escape import command
from openab_sop.objects import Object, part
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.upstream.charts import CHARTS, CONTAINERS, SISTERS

_OURS = (*CHARTS, *SISTERS)
_ENDED = ("Succeeded", "Failed")
"""Phases of pods that have no volume any more."""


@dataclass(frozen=True)
class Release:
    """A Helm release of OpenAB at its current revision.

    Attributes:
        companions: what else of it keeps pods running (a gateway); what the caller may not read is none.
        secrets, config_maps: what the manifest renders and what any of its pods refers to, by name.
        shared: claims of agents' further volumes that pods of others have too.
    """

    helm: Helm
    name: str
    revision: int
    status: str
    chart: str
    version: str
    agents: tuple[Agent, ...]
    companions: tuple[Companion, ...]
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]
    shared: frozenset[str] = frozenset()

    @property
    def cluster(self) -> Cluster:
        """The cluster that it runs on."""
        return self.helm.cluster

    @property
    def namespace(self) -> str:
        """The namespace that it lives in."""
        return self.cluster.namespace

    @property
    def volumes(self) -> tuple[Agent, ...]:
        """Every volume that its agents alone write to, each once, as the agent with it in the home's place."""
        found = list(self.agents)
        for volume in (volume for agent in self.agents for volume in agent.further):
            if volume.claim not in self.shared and not any(_holds(other, volume) for other in found):
                found.append(volume)
        return tuple(found)

    @property
    def mounted(self) -> tuple[Agent, ...]:
        """Every volume that its agents write to, also those that others have too."""
        return tuple(volume for agent in self.agents for volume in agent.volumes)

    @property
    def key(self) -> tuple[tuple[str, ...], str, str]:
        """What tells it from every other: names of the cluster, namespace, name; its backups say the same."""
        return self.cluster.known_as(), self.namespace, self.name

    def current(self) -> Listed:
        """Look the release up again: what helm says of it now.

        Raises:
            ReleaseError: it is gone.
        """
        return _named(self.helm.releases(), self.name, self.cluster)

    def __str__(self) -> str:
        return f"{self.name} (chart {self.chart} {self.version}, revision {self.revision}, {self.status})"


def find(helm: Helm, name: str | None) -> Listed:
    """Find the release to maintain (SOP 1.1).

    Args:
        name: value of ``--release``; None takes the only one whose chart is OpenAB's, else the only one of a chart for
            one chat.

    Raises:
        ReleaseError: none, or several, or one of another chart.
    """
    releases, cluster = helm.releases(), helm.cluster
    if name is not None:
        release = _named(releases, name, cluster)
        if release.chart not in _OURS:
            raise ReleaseError(
                f"release {name} is of chart {release.chart}, not {' or '.join(_OURS)}",
                f"name another with --release; {_known(releases)}",
            )
        return release
    ours = [release for release in releases if release.chart in _OURS]
    if len(main := [release for release in ours if release.chart in CHARTS]) == 1:  # others are named
        ours = main
    if not ours:
        raise ReleaseError(
            f"namespace {cluster.namespace} ({cluster.access.namespace_origin}, context {cluster.access.context}) "
            f"has no release of chart {' or '.join(_OURS)}; {_known(releases)}{_unrecorded(cluster)}",
            "choose the namespace with --namespace=NAME; helm list --all-namespaces shows where it is",
        )
    if len(ours) > 1:
        raise ReleaseError(
            f"namespace {cluster.namespace} has {len(ours)} releases of OpenAB: {', '.join(r.name for r in ours)}",
            f"choose one with --release=NAME, for example {command(f'--release={ours[0].name}')}",
        )
    return ours[0]


def resolve(helm: Helm, listed: Listed) -> Release:
    """Resolve agents, companions, Secrets and ConfigMaps of a release from its manifest (SOP 1.2).

    Raises:
        ReleaseError: the manifest has no agent, or one of its Deployments is gone from the cluster; what Helm did not
            come to make, because the revision failed or is pending, is passed over.
    """
    manifest = ReleaseManifest.parse(helm.record(listed.name, listed.revision).manifest)
    names = [item.name for item in manifest.of_kind("Deployment")]
    if listed.status == "deployed":
        deployments = [_live(helm.cluster, name) for name in names]
    else:
        deployments = [found for name in names if (found := helm.cluster.find("Deployment", name))]
    agents = tuple(Agent.of(deployment) for deployment in deployments if is_agent(deployment))
    if not agents:
        raise ReleaseError(
            f"release {listed.name} has no Deployment with a container {' or '.join(CONTAINERS)}",
            f"{command('helm', 'get', 'manifest', listed.name)} shows what it has",
        )
    workloads = [*deployments, *_beside(helm.cluster, manifest)]
    secrets = _all(manifest, workloads, "Secret", "secret")
    _learn_secrets(helm.cluster, workloads, secrets)
    return Release(
        helm=helm,
        name=listed.name,
        revision=listed.revision,
        status=listed.status,
        chart=listed.chart,
        version=listed.version,
        agents=agents,
        companions=tuple(Companion.of(body) for body in workloads if not is_agent(body)),
        secrets=secrets,
        config_maps=_all(manifest, workloads, "ConfigMap", "configMap"),
        shared=_shared(helm.cluster, workloads, agents),
    )


def _holds(one: Agent, other: Agent) -> bool:
    """Tell whether a volume of another agent is on this one, or a part of it."""
    parts_of_one_claim = one.claim == other.claim and one.deployment != other.deployment
    return parts_of_one_claim and PurePosixPath(other.part).is_relative_to(one.part)


def _beside(cluster: Cluster, manifest: ReleaseManifest) -> Iterator[Object]:
    """Yield what of a release keeps pods running and is no Deployment, as it is on the cluster."""
    for workload in manifest.workloads:
        if workload.kind != "Deployment":
            with suppress(Forbidden):  # the plan names the right: Helm needs it too
                if found := cluster.find(workload.kind, workload.name):
                    yield found


def _shared(cluster: Cluster, workloads: list[Object], agents: tuple[Agent, ...]) -> frozenset[str]:
    """Return the claims of further volumes that anybody but the agents has; nobody is asked where there are none."""
    further = {volume.claim for agent in agents for volume in agent.further if volume.claim}
    if not further:
        return frozenset()
    ours = [Workload(body) for body in workloads if is_agent(body)]
    others = {claim for body in workloads if not is_agent(body) for claim in Workload(body).claims.values()}
    others |= {claim for _, claim in claims_of_others(cluster.all("Pod"), ours)}
    return frozenset(further & others)


def claims_of_others(pods: Iterable[Object], agents: Collection[Workload]) -> Iterator[tuple[str, str]]:
    """Yield the claims that pods have which are neither agents' nor ours, and have not ended; with the pod's name."""
    for pod in pods:
        labels = part(pod, "metadata", "labels")
        if part(pod, "status").get("phase") in _ENDED or labels.get(LABEL) == MANAGER:
            continue
        if not any(agent.selects(labels) for agent in agents):
            yield from ((str(pod["metadata"]["name"]), claim) for claim in claims_of(part(pod, "spec")).values())


def _all(manifest: ReleaseManifest, workloads: list[Object], kind: str, reference: str) -> tuple[str, ...]:
    rendered = {item.name for item in manifest.of_kind(kind)}
    return tuple(sorted(rendered.union(*(references(body, reference) for body in workloads))))


def _learn_secrets(cluster: Cluster, workloads: list[Object], names: tuple[str, ...]) -> None:
    """Learn what must never be shown before anything else is done: whatever fails later may quote it."""
    for body in workloads:
        learn_environment(body)
    for name in names:
        with suppress(NotFound, Forbidden):
            redact.learn_secret(cluster.get("Secret", name))


def _live(cluster: Cluster, name: str) -> Object:
    try:
        return cluster.get("Deployment", name)
    except NotFound as error:
        raise ReleaseError(
            f"Deployment {name} is in the release's manifest, but not on the cluster: it was deleted by hand",
            "bring the release back to its own state first (helm rollback RELEASE), then run again",
        ) from error


def _named(releases: list[Listed], name: str, cluster: Cluster) -> Listed:
    for release in releases:
        if release.name == name:
            return release
    raise ReleaseError(
        f"namespace {cluster.namespace} has no release {name}; {_known(releases)}{_unrecorded(cluster)}",
        "check --release and --namespace; helm list --all-namespaces shows all",
    )


def _unrecorded(cluster: Cluster) -> str:
    """Name what runs OpenAB and is none of Helm's: what is applied without Helm has no revision to go back to."""
    with suppress(Forbidden):
        if names := [str(d["metadata"]["name"]) for d in cluster.all("Deployment") if is_agent(d)]:
            return (
                f"; Deployments of OpenAB are there: {', '.join(names)}, and Helm has no record of them, as where "
                "Argo CD or kubectl apply what the chart renders: there is no revision to go back to"
            )
    return ""


def _known(releases: list[Listed]) -> str:
    return "releases there: " + (", ".join(f"{r.name} ({r.chart} {r.version})" for r in releases) or "none")
