"""Reads everything that a plan consists of and changes nothing: reads, renderings, dry runs of the API (SOP 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from openab_sop import bounded
from openab_sop.agents import ownership
from openab_sop.agents.agent import Agent, trouble
from openab_sop.agents.prepull import listed_images
from openab_sop.cluster import helm as helms
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.records import Record
from openab_sop.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    InvalidName,
    NotAsked,
    NotFound,
    PodError,
    SopError,
    SourceError,
    ToolError,
)
from openab_sop.objects import Object, at, part
from openab_sop.plans import permissions
from openab_sop.plans.dryrun import HELM, render
from openab_sop.plans.effects import probe
from openab_sop.plans.plan import Key, Plan, PlannedChart, Refusal
from openab_sop.plans.rules import data
from openab_sop.reference import repository, tag
from openab_sop.releases import portable_objects, provenance
from openab_sop.releases.manifest import RENDERED, ManifestObject, ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.targets import reach
from openab_sop.targets.reach import Origin, Reach
from openab_sop.targets.registry import Registry, address_of
from openab_sop.targets.values import TargetValues
from openab_sop.targets.version import Version
from openab_sop.verdict import Finding

_PRESENT = 'for path; do [ -s "./$path" ] && printf "%s\\0" "$path"; done || :'
_CLAIM = "PersistentVolumeClaim"


@dataclass
class Survey:
    """Reads a release once, and then each version that it may go to.

    Args:
        release: as it is now.
        values: what the target is rendered with; None for the release's own.
        source: where charts come from, as ``--chart`` has it; its host may be asked for images too.
    """

    release: Release
    values: TargetValues | None = None
    source: str = ""

    @cached_property
    def _record(self) -> Record:
        return self.release.helm.record(self.release.name, self.release.revision)

    @cached_property
    def _manifest(self) -> ReleaseManifest:
        return ReleaseManifest.parse(self._record.manifest)

    @cached_property
    def _values(self) -> str:
        return self.release.helm.values(self.release.name, self.release.revision)

    @property
    def _named(self) -> TargetValues:
        return self.values or TargetValues(self._values)

    @cached_property
    def _added(self) -> dict[Key, tuple[str, ...]]:
        """What of the release its own chart does not make."""
        release = self.release
        with portable_objects.packed_chart(self._record) as chart:
            values = chart.with_name("values.yaml")
            values.touch(mode=0o600)
            values.write_text(self._values)
            return provenance.additions(
                self._manifest,
                lambda: ReleaseManifest.parse(
                    release.helm.template(release.name, chart, self._values), RENDERED
                ).parted()[0],
                lambda: render(release.helm, release.name, chart, values).manifest.parted()[0],
            )

    @cached_property
    def _present(self) -> Plan:
        """The release as it is, on its way to nowhere yet."""
        release, cluster, record = self.release, self.release.cluster, self._record
        about, manifest = part(record.chart, "metadata"), self._manifest
        current = PlannedChart(
            str(about["name"]), Version.parse(str(about["version"])), str(about.get("appVersion") or "")
        )
        return Plan(
            release=release.name,
            namespace=release.namespace,
            status=release.status,
            current=current,
            target=current,
            values=self._named.tree,
            before=manifest,
            after=ReleaseManifest(()),
            hooks_before=ReleaseManifest.parse(record.hooks),
            restored=dict(_restored(release, manifest.objects)),
            classes=_classes(cluster),
            running=frozenset(_running(cluster, release.agents)),
            unwell=dict(_unwell(cluster, release.agents)),
            quotas=_quotas(cluster),
            owned=tuple(_owned(cluster, manifest)),
            added=self._added,
        )

    def plan(self, archive: Path) -> Plan:
        """Read what there is to know of the way to a chart version.

        Args:
            archive: the packaged chart.

        Raises:
            SopError: the cluster does not answer, or Helm's record cannot be read.
        """
        release = self.release
        drawn = replace(self._present, target=chart_of(archive))
        with portable_objects.packed_chart(self._record) as current:
            try:
                rendered, refused = self._render(archive, current.parent)
            except ToolError as error:
                return replace(drawn, unrenderable=error.problem)
            own: Object = bounded.load_yaml(self._values, "what helm says of the release's values") or {}
            effects = probe(release.helm, release.name, (current, own), (archive, drawn.values))
        after, hooks = rendered.parted()
        return self._observed(replace(drawn, after=after, hooks=hooks, refused=refused, effects=effects))

    def _render(self, archive: Path, scratch: Path) -> tuple[ReleaseManifest, str]:
        """Have Helm render the target as it would send it; else without the cluster, and why it would not.

        Raises:
            ToolError: it cannot be rendered at all.
        """
        release = self.release
        given = scratch / "values.yaml"
        given.touch(mode=0o600)
        given.write_text(self._named.text)
        try:
            return render(release.helm, release.name, archive, given).manifest, ""
        except ToolError as refused:
            offline = ReleaseManifest.parse(release.helm.template(release.name, archive, self._named.text), RENDERED)
            return offline, "" if release.status.startswith("pending") else refused.problem

    def _observed(self, plan: Plan) -> Plan:
        """Ask the cluster what the target meets there."""
        cluster, force = self.release.cluster, not self._record.is_server_side
        live = dict(_live(cluster, plan))
        return replace(
            plan,
            live=live,
            wide=frozenset(_wide(cluster, plan)),
            refusals=(*_refused(cluster, plan, force=force), *_refused_pods(cluster, plan)),
            volumes=dict(_volumes(cluster, live)),
            forbidden=dict(permissions.missing(cluster, plan.old, plan.new)),
            images=dict(_images(cluster, plan, registries(plan, self.source))),
            present=dict(_found(cluster, self.release.agents, plan)),
        )


def chart_of(archive: Path) -> PlannedChart:
    """Read what a packaged chart says of itself.

    Raises:
        SourceError: it is none.
    """
    said = helms.chart_at(archive)
    return PlannedChart(said.name, Version.parse(said.version), said.app)


def _live(cluster: Cluster, plan: Plan) -> Iterator[tuple[Key, Object]]:
    """Look up every object of either side, the claims that agents mount, and what their pods refer to."""
    wanted: dict[Key, Object] = {**plan.old, **plan.new, **{(i.kind, i.name): i.body for i in plan.hooks.objects}}
    for change in plan.agents:
        for side in filter(None, (change.before, change.after)):
            wanted |= {(_CLAIM, mount.claim): _named("v1", _CLAIM, mount.claim) for mount in side.mounts}
            for kind in ("Secret", "ConfigMap"):
                wanted |= {(kind, name): _named("v1", kind, name) for name, *_ in side.references(kind)}
    for key, body in wanted.items():
        with suppress(NotFound, Forbidden, InvalidName):  # another rule names what the API would not take
            yield key, cluster.look_up(body)


def _wide(cluster: Cluster, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield version and kind of what no namespace holds, as the cluster tells it."""
    sides = (plan.before, plan.hooks_before, plan.after, plan.hooks)
    return cluster.wide(item.body for side in sides for item in side.objects)


def _restored(release: Release, objects: Sequence[ManifestObject]) -> Iterator[tuple[Key, Object]]:
    for item in objects:
        with suppress(ClusterError):  # what the API does not take tells nothing of drift
            body = _as_helm_sends(item.body, release)
            yield (item.kind, item.name), release.cluster.try_apply(body, HELM, force=True)


def _as_helm_sends(body: Object, release: Release) -> Object:
    """Add what Helm adds to each object of a release, which its manifest does not say."""
    metadata = part(body, "metadata")
    annotations = {**part(metadata, "annotations"), **portable_objects.ownership(release.name, release.namespace)}
    labels = {**part(metadata, "labels"), **portable_objects.HELMS_LABEL}
    return {**body, "metadata": {**metadata, "annotations": annotations, "labels": labels}}


def _refused(cluster: Cluster, plan: Plan, *, force: bool) -> Iterator[Refusal]:
    for item in (*plan.after.objects, *plan.hooks.objects):
        try:
            cluster.try_apply(item.body, HELM, force=force)
        except (ClusterError, InvalidName) as error:
            yield Refusal(item.kind, item.name, _reason(error), error.problem)


def _refused_pods(cluster: Cluster, plan: Plan) -> Iterator[Refusal]:
    """Have the API judge a pod of each agent: pod security, limit ranges and quotas count for pods only."""
    for change in plan.agents:
        if change.after and change.after.replicas:
            template = change.after.template
            metadata = {**part(template, "metadata"), "name": f"{change.after.name}-plan"}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": part(template, "spec")}
            try:
                cluster.try_create("Pod", body)
            except Conflict:
                continue
            except ClusterError as error:
                yield Refusal("Pod", change.after.name, _reason(error), error.problem)


def _reason(error: SopError) -> str:
    if isinstance(error, Conflict):
        return "edited"
    if isinstance(error, NotFound):
        return "unknown"
    return "quota" if "exceeded quota" in error.problem else "refused"


def _volumes(cluster: Cluster, live: dict[Key, Object]) -> Iterator[tuple[str, Object]]:
    for (kind, name), body in live.items():
        if kind == _CLAIM and (volume := at(body, "spec", "volumeName")):
            with suppress(NotFound, Forbidden):
                yield name, cluster.get("PersistentVolume", volume)


def _classes(cluster: Cluster) -> dict[str, Object] | None:
    try:
        return {found["metadata"]["name"]: found for found in cluster.all("StorageClass")}
    except Forbidden:
        return None


def _quotas(cluster: Cluster) -> tuple[Object, ...]:
    with suppress(Forbidden):
        return tuple(cluster.all("ResourceQuota"))
    return ()


def registries(plan: Plan, source: str) -> frozenset[Origin]:
    """Return the registries that may be asked for an image wherever they are: no chart has brought them (issue 14).

    They are the host that charts come from, those of the images that run now, and those that values name.
    """
    parts, hosts = urlsplit(source), set[str]()
    hosts |= {parts.netloc} if parts.scheme in ("oci", "http", "https") else set()
    hosts |= {_host(image.reference) for workload in plan.before.workloads for image in workload.images}
    hosts |= {text.partition("/")[0] for text in _texts(plan.values)}
    return frozenset(_origins(hosts))


def _origins(hosts: Iterable[str]) -> Iterator[Origin]:
    for host in hosts:
        with suppress(ValueError):  # a text of the values that is no host
            yield reach.origin(address_of(host))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(cast(dict[object, object], value).values())
    if isinstance(value, list):
        for inner in cast(list[object], value):
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _images(cluster: Cluster, plan: Plan, named: frozenset[Origin]) -> Iterator[tuple[str, str]]:
    """Ask nodes and registries for each image of the target; kubelet pulls with rights that we may not have."""
    with suppress(Forbidden):
        there = {name for node in cluster.all("Node") for names in listed_images(node) for name in names}
        for image in {image.reference for _, image in plan.pulled}:
            yield image, "there" if image in there else offered(image, named)


def _host(image: str) -> str:
    """Return the registry in an image's name; empty if it is a short one: what it means is the node's to say."""
    host, slash, _ = repository(image).partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else ""


def offered(image: str, named: frozenset[Origin]) -> str:
    """Tell whether a registry has an image, as ``Plan.images`` says it.

    Args:
        named: registries that may be asked wherever they are; others only at public addresses.
    """
    host = _host(image)
    if not host:
        return "unknown"
    path, digest = repository(image).removeprefix(f"{host}/"), image.partition("@")[2]
    try:
        registry = Registry.at(host, Reach(named))
        return "offered" if registry.has(path, digest or tag(image) or "latest") else "missing"
    except NotAsked:
        return "internal"
    except SourceError:
        return "unknown"


def _running(cluster: Cluster, agents: Sequence[Agent]) -> Iterator[str]:
    for agent in agents:
        with suppress(PodError):
            agent.pod(cluster)
            yield agent.deployment


def _found(cluster: Cluster, agents: Sequence[Agent], plan: Plan) -> Iterator[tuple[str, frozenset[str]]]:
    """Ask in the running agent which of the paths that matter have something in them."""
    wanted = data.asked(plan)
    for agent in agents:
        if paths := wanted.get(agent.deployment):
            with suppress(PodError):  # an agent that does not run is told by another rule
                found = agent.pod(cluster).capture(_PRESENT, agent.home, *paths).decode(errors="surrogateescape")
                yield agent.deployment, frozenset(filter(None, found.split("\0")))


def _owned(cluster: Cluster, manifest: ReleaseManifest) -> Iterator[Finding]:
    for workload in manifest.workloads:
        if workload.kind == "Deployment" and (live := cluster.find("Deployment", workload.name)):
            yield from ownership.findings(cluster, live)


def _unwell(cluster: Cluster, agents: Sequence[Agent]) -> Iterator[tuple[str, str]]:
    for agent in agents:
        pods = [p for p in cluster.list("Pod", agent.selector) if not p["metadata"].get("deletionTimestamp")]
        seen = [text for pod in pods if (text := trouble(pod, agent.container))]
        if not pods or seen:
            yield agent.deployment, "; ".join(seen) or "it has no pod"


def _named(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
