"""A plan: from a release's revision to a chart version, as facts; rules judge it, and nothing acts on it (SOP 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from openab_sop.agents.workload import Image, Workload
from openab_sop.errors import SettingsError
from openab_sop.escape import command, one_line
from openab_sop.objects import Object
from openab_sop.releases.manifest import ReleaseManifest, is_kept, runs_in_upgrade
from openab_sop.targets.version import Version
from openab_sop.upstream.charts import CONTAINERS, SISTERS
from openab_sop.verdict import Finding

Key = tuple[str, str]
"""Kind and name of an object in the release's namespace."""


@dataclass(frozen=True)
class PlannedChart:
    """What a chart says of itself: name, version, and the version of what it installs."""

    name: str
    version: Version
    app: str

    @property
    def openab(self) -> Version:
        """The version of OpenAB that it stands for: a chart for one chat has numbers of its own."""
        with suppress(SettingsError):
            return Version.parse(self.app) if self.name in SISTERS else self.version
        return self.version


@dataclass(frozen=True)
class Refusal:
    """An object of the target that the API would not take, sent with dryRun=All.

    Attributes:
        reason: "edited" (others own its fields), "unknown" (no such kind), "quota", or "refused".
        said: the API's words.
    """

    kind: str
    name: str
    reason: str
    said: str


@dataclass(frozen=True)
class Effect:
    """What a user-supplied value does in each chart: whether the rendered objects differ without it."""

    path: tuple[str, ...]
    before: bool
    after: bool

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class WorkloadChange:
    """The two sides of one agent or companion; one of them may be missing."""

    before: Workload | None
    after: Workload | None

    @property
    def name(self) -> str:
        """Its name, the present one if it changes."""
        side = self.before or self.after
        assert side is not None
        return side.name


@dataclass(frozen=True)
class Plan:
    """From a revision to a chart version.

    Attributes:
        status: Helm's word for the current revision.
        current, target: the charts.
        values: the values that the target is rendered with.
        before: Helm's record of the current revision.
        after: the target as rendered with the values, without its hooks.
        hooks: what the target would run or make around the upgrade.
        hooks_before: the same of the current revision.
        wide: ``apiVersion`` and kind of what no namespace holds, of those that either side has.
        unrenderable: why the target cannot be rendered with the values; then ``after`` is empty.
        refused: why Helm itself would not go on, although the target can be rendered.
        live: objects that are on the cluster now, of those that either side has or refers to.
        restored: each object of ``before`` as the API would have it if it were applied again (dryRun=All).
        refusals: what of the target the API would not take.
        effects: what the user-supplied values do.
        volumes: the PersistentVolume of each claim, by the claim's name; without those that may not be seen.
        classes: storage classes by name; None if they may not be seen.
        images: whether an image of the target can be had, by reference: "there" (a node has it), "offered" (its
            registry has it), "missing" (it has not), "internal" (its registry has an internal address that nobody has
            named, and was not asked), "unknown".
        running: Deployments of the agents whose container runs.
        present: paths in an agent's home that rules ask for and that are there with something in them, by Deployment.
        unwell: why an agent is not well now, by Deployment.
        quotas: the namespace's ResourceQuotas.
        added: what the record has and chart and values do not make, as ``provenance.additions`` has it.
        owned: who else keeps an agent's Deployment as it should be.
        unvalidated: why the target was not validated as a pre-release; empty if it was, or nobody wants that.
        forbidden: what the upgrade, or the way back from it, does to an object and the caller may not, by the object.
    """

    release: str
    namespace: str
    status: str
    current: PlannedChart
    target: PlannedChart
    values: Object
    before: ReleaseManifest
    after: ReleaseManifest
    hooks: ReleaseManifest = field(default=ReleaseManifest(()))
    hooks_before: ReleaseManifest = field(default=ReleaseManifest(()))
    wide: frozenset[tuple[str, str]] = frozenset()
    unrenderable: str = ""
    refused: str = ""
    live: Mapping[Key, Object] = field(default_factory=dict[Key, Object])
    restored: Mapping[Key, Object] = field(default_factory=dict[Key, Object])
    refusals: tuple[Refusal, ...] = ()
    effects: tuple[Effect, ...] = ()
    volumes: Mapping[str, Object] = field(default_factory=dict[str, Object])
    classes: Mapping[str, Object] | None = None
    images: Mapping[str, str] = field(default_factory=dict[str, str])
    running: frozenset[str] = frozenset()
    present: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    unwell: Mapping[str, str] = field(default_factory=dict[str, str])
    quotas: tuple[Object, ...] = ()
    added: Mapping[Key, tuple[str, ...]] = field(default_factory=dict[Key, tuple[str, ...]])
    owned: tuple[Finding, ...] = ()
    unvalidated: str = ""
    forbidden: Mapping[Key, tuple[str, ...]] = field(default_factory=dict[Key, tuple[str, ...]])

    def in_values(self, *keys: str, of: Workload | None = None, how: str = "") -> str:
        """Return the next step of a finding that values lift: their keys, and the command that goes on with them.

        Args:
            keys: each with "=value" where that is known.
            of: the workload whose own they are; of an agent, they stand below its key.
            how: what they have to be, where no value says it.
        """
        above = f"agents.{of.component}." if of and of.component and of.is_agent else ""
        named = " or ".join(one_line(f"{above}{key}") for key in keys)
        go_on = f"{command('pytest', 'suites', f'--target-version={self.target.version}')} --values=FILE"
        return f"set {named}{f' ({how})' if how else ''} in the values, then run: {go_on}"

    def mounting(self, claim: str) -> Workload | None:
        """Return what of the target mounts a claim; None if nothing does."""
        return next((one for one in self.after.workloads if claim in one.claims.values()), None)

    @cached_property
    def agents(self) -> tuple[WorkloadChange, ...]:
        """Every agent of either side, paired by the Deployment's name; what is left, by the chart's label."""
        return _paired(_agents(self.before), _agents(self.after))

    @cached_property
    def companions(self) -> tuple[WorkloadChange, ...]:
        """Everything else of either side that keeps pods running, such as a gateway; paired as agents are."""
        return _paired(_companions(self.before), _companions(self.after))

    @cached_property
    def staying(self) -> tuple[tuple[Workload, Workload], ...]:
        """The agents that both sides have: as they are, and as they would be."""
        return tuple((pair.before, pair.after) for pair in self.agents if pair.before and pair.after)

    @cached_property
    def pulled(self) -> tuple[tuple[str, Image], ...]:
        """Every image that the target runs, of all containers, with what runs it; Jobs and hooks run some too.

        What runs to an end and is as it was before may have ended long ago.
        """
        keys = {(task.kind, task.name): task for task in self.after.tasks}
        anew = (task for key, task in keys.items() if self.old.get(key) != self.new[key])
        hooks = (task for task in self.hooks.tasks if runs_in_upgrade(task.body))
        lasting = (workload for workload in self.after.workloads if workload.replicas)
        return tuple((one.name, image) for one in (*lasting, *anew, *hooks) for image in one.images)

    @cached_property
    def old(self) -> Mapping[Key, Object]:
        """Helm's record by kind and name."""
        return self.before.by_key

    @cached_property
    def new(self) -> Mapping[Key, Object]:
        """The target by kind and name."""
        return self.after.by_key

    def is_deleted(self, key: Key) -> bool:
        """Tell whether Helm deletes an object: the target has it no more, and no policy keeps it.

        Source: https://helm.sh/docs/howto/charts_tips_and_tricks/ (resource-policy); Helm asks the live object.
        """
        return key in self.old and key not in self.new and not is_kept(self.live.get(key) or self.old[key])


def _agents(manifest: ReleaseManifest) -> dict[str, Workload]:
    return {w.name: w for w in manifest.workloads if w.is_agent}


def _companions(manifest: ReleaseManifest) -> dict[str, Workload]:
    """Return what runs no OpenAB: an agent that is no Deployment any more has vanished, and is no companion."""
    return {w.name: w for w in manifest.workloads if w.container.get("name") not in CONTAINERS}


def _paired(olds: Mapping[str, Workload], news: Mapping[str, Workload]) -> tuple[WorkloadChange, ...]:
    pairs = [WorkloadChange(olds[name], news.get(name)) for name in olds]
    alone = {new.component: new for name, new in news.items() if name not in olds and new.component}
    paired = [
        WorkloadChange(pair.before, alone.pop(pair.before.component))
        if pair.before and pair.after is None and pair.before.component in alone
        else pair
        for pair in pairs
    ]
    taken = {pair.after.name for pair in paired if pair.after}
    return (*paired, *(WorkloadChange(None, new) for name, new in news.items() if name not in taken))
