"""Steps tried on the sandbox: a release in a namespace of its own, its plans drawn, and then the upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from history.cases import Case
from history.observe import look, mark, settled
from history.outcome import harms
from history.pairs import Packed, Pair
from history.proposed import Proposed, propose
from history.renderings import RememberingHelm
from openab_sop.agents.workload import Workload, is_agent
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import ClusterError, ToolError
from openab_sop.objects import Object
from openab_sop.plans.plan import Plan
from openab_sop.plans.survey import Survey
from openab_sop.process import run
from openab_sop.proposals.running import running
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.release import find, resolve
from openab_sop.targets.values import TargetValues

INSTALL = 120
"""Seconds that helm may take for what it sends."""
_MARK = ("openab-sop/history", "trial")


class NoStart(Exception):
    """A chart cannot be installed with such values: there is no release to upgrade."""


@dataclass(frozen=True)
class Tried:
    """What came of a step: its plan, what it harmed if it was gone, and what of the values proposed is not proved."""

    plan: Plan
    harms: tuple[str, ...] | None = None
    unproved: tuple[str, ...] = ()


@dataclass
class Trial:
    """A release as it begins, and the steps from there.

    Attributes:
        pairs: steps that begin with the same chart: their plans are drawn of one release. One alone may be gone too.
        really: whether to go it.
        renderings: a directory where what was rendered is kept.
        converted: whether to go them with the values that ``suites/values`` proposes.
    """

    pairs: tuple[Pair, ...]
    case: Case
    really: bool
    renderings: Path
    converted: bool = False
    _namespace: str = field(default_factory=lambda: f"h-{uuid4().hex[:8]}")

    def run(self) -> Iterator[tuple[Pair, Tried]]:
        """Try the steps, in a namespace that is gone afterwards; yields what came of each.

        Raises:
            NoStart: there is no release to begin with.
            SopError: the cluster does not answer.
        """
        run(["kubectl", "create", "namespace", self._namespace])
        try:
            with TemporaryDirectory(prefix="openab-history-") as scratch:
                values = Path(scratch, "values.yaml")
                values.write_text(self.case.text)
                yield from self._run(values)
        finally:
            run(["kubectl", "delete", "namespace", self._namespace, "--wait=false"])

    def _run(self, values: Path) -> Iterator[tuple[Pair, Tried]]:
        helm = RememberingHelm(Cluster(kubeconfig.resolve(None, None, self._namespace)), self.renderings)
        self._install(helm, values)
        if self.really or self.case.files:
            settled(helm.cluster, self._deployments(helm))
            mark(helm.cluster, self._deployments(helm), self.case.files)
        release = resolve(helm, find(helm, self.case.release))
        for pair in self.pairs:
            proposed = Proposed(TargetValues(self.case.text))
            if self.converted:
                with running(release) as now:
                    proposed = propose(now, pair.after.archive, self.case.text)
                values.write_text(proposed.values.text)
            plan = Survey(release, proposed.values if self.converted else None).plan(pair.after.archive)
            gone = self._upgrade(helm, pair, values) if self.really else None
            yield pair, Tried(plan, gone, proposed.unproved)

    def _upgrade(self, helm: Helm, pair: Pair, values: Path) -> tuple[str, ...]:
        before = look(helm.cluster, self._deployments(helm), pair.before.version, self.case.files)
        try:
            helm.upgrade(self.case.release, pair.after.archive, values, {})
        except ToolError as error:
            return (f"helm: {error.problem}",)
        names = self._deployments(helm)
        settled(helm.cluster, names)
        after = look(helm.cluster, names, pair.after.version, self.case.files)
        return harms(before, after, self.case.values)

    def _install(self, helm: Helm, values: Path) -> None:
        for body in needed(rendered(helm, self.pairs[0].before, self.case)):
            helm.cluster.create(body["kind"], body)
        try:
            helm.install(self.case.release, self.pairs[0].before.archive, values, _MARK)
        except ToolError as error:
            raise NoStart(error.problem) from error

    def _deployments(self, helm: Helm) -> list[str]:
        """Names of the agents' Deployments."""
        found = helm.cluster.list("Deployment", f"app.kubernetes.io/instance={self.case.release}")
        return [str(body["metadata"]["name"]) for body in found if is_agent(body)]


def rendered(helm: Helm, chart: Packed, case: Case) -> ReleaseManifest:
    """Render a chart with a values file.

    Raises:
        NoStart: it cannot be, or there is no agent in it.
    """
    try:
        manifest = ReleaseManifest.parse(helm.template(case.release, chart.archive, case.text))
    except ToolError as error:
        raise NoStart(error.problem) from error
    if not any(is_agent(item.body) for item in manifest.of_kind("Deployment")):
        raise NoStart("there is no agent in it")
    return manifest


def needed(manifest: ReleaseManifest) -> Iterator[Object]:
    """Yield what agents refer to and their chart does not make: claims, Secrets, ConfigMaps, with the keys named."""
    there = {(item.kind, item.name) for item in manifest.objects}
    keys: dict[tuple[str, str], set[str]] = {}
    claims: set[str] = set()
    for item in manifest.of_kind("Deployment"):
        workload = Workload(item.body)
        claims |= {mount.claim for mount in workload.mounts if ("PersistentVolumeClaim", mount.claim) not in there}
        for kind in ("Secret", "ConfigMap"):
            for name, key, _ in workload.references(kind):
                if (kind, name) not in there:
                    keys.setdefault((kind, name), set()).add(key or "DISCORD_BOT_TOKEN")
    for name in claims:
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    for (kind, name), wanted in keys.items():
        field = "stringData" if kind == "Secret" else "data"
        yield {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name},
            field: {key: f"made-for-{key}" for key in sorted(wanted)},
        }


def images(helm: Helm, chart: Packed, case: Case) -> set[str]:
    """Return the references of all images that a chart names with a values file; none if it cannot be rendered."""
    with suppress(NoStart, ClusterError):
        workloads = [Workload(item.body) for item in rendered(helm, chart, case).of_kind("Deployment")]
        return {str(container["image"]) for workload in workloads for container in workload.containers}
    return set()
