"""Convert the values of a release to the shape that another chart version takes, and compare what both mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from openab_sop.cluster import helm as helms
from openab_sop.errors import SopError, ToolError
from openab_sop.objects import Object, at, part
from openab_sop.plans.effects import probe
from openab_sop.plans.survey import chart_of
from openab_sop.proposals import comparison, steps
from openab_sop.proposals.comparison import Difference
from openab_sop.proposals.document import Document
from openab_sop.proposals.running import Running
from openab_sop.proposals.steps import ConversionContext, Found, RunningAgent, ValueMove
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.targets.values import TargetValues, digest_of
from openab_sop.targets.version import Version
from openab_sop.upstream import images
from openab_sop.upstream.charts import CONTAINERS
from openab_sop.upstream.configuration import CONFIGURATION
from openab_sop.verdict import Finding


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        findings: what is not proved equal.
        own: what the version itself changes, whatever the values say.
    """

    findings: tuple[Finding, ...]
    own: tuple[Finding, ...] = ()


@dataclass
class Conversion:
    """The values of a release for one chart version.

    Attributes:
        chart: the packaged target.
        given: the operator's own values; those of the release if none were named.
        moves: what moved where, once the values were converted.
    """

    running: Running
    chart: Path
    given: TargetValues
    moves: list[ValueMove] = field(default_factory=list[ValueMove])
    _document: Document | None = None
    _targets: dict[str, ReleaseManifest] = field(default_factory=dict[str, ReleaseManifest])

    @cached_property
    def situation(self) -> ConversionContext:
        """What runs, and where it goes."""
        target = chart_of(self.chart)
        return ConversionContext(
            current=Version.parse(self.running.version),
            target=target.version,
            before=self.running.app,
            app=target.app or str(target.version),
            repository=str(part(helms.defaults(self.chart), "image").get("repository") or ""),
            default_tags=(_default_tag(self.running.chart), _default_tag(self.chart)),
            agents=tuple(self._agents()),
            own=self.running.values,
        )

    @property
    def text(self) -> str:
        """The converted values, as YAML."""
        return str(self._converted)

    @property
    def _converted(self) -> Document:
        assert self._document is not None, "convert first"
        return self._document

    def convert(self) -> list[ValueMove]:
        """Apply each step between the versions; returns what moved where.

        Raises:
            SettingsError: the values cannot be read, or not be changed.
            ToolError: helm does not render.
        """
        situation = self.situation
        document = Document(self.given.text)
        self.moves = list(self._edited(document))
        for step in steps.applicable(situation.current, situation.target):
            self.moves += step.apply(document, situation)
        self.moves += self._named_as_now(document)
        self.moves += self._without_effect(document)
        self._document = document
        return self.moves

    def compare(self, name: str) -> Compared:
        """Render both sides; tells what is not proved equal, and what the version changes by itself.

        Args:
            name: how a finding calls the converted values.
        """
        try:
            found = self._differences()
        except ToolError as error:
            return Compared((Finding(name, error.problem, "values that the chart renders", comparison.FIX),))
        by_itself = self._of_the_version() if found else frozenset[tuple[str, ...]]()
        mounted = {agent.claim for agent in self._target_agents(self._converted).values()}
        own = [one for one in found if one.essence in by_itself or _is_kept_claim(one, mounted)]
        return Compared(tuple(one.finding for one in found if one not in own), tuple(one.finding for one in own))

    def _differences(self) -> list[Difference]:
        """Return what the target, rendered with the converted values, does not have as it runs now."""
        target = self._target(self._converted)
        return list(comparison.differences(self.running.manifest, target, self.running.live, self._image))

    def _of_the_version(self) -> frozenset[tuple[str, ...]]:
        """Return what differs where nothing was set: neither the operator's values nor their conversion has made it."""
        now, nothing = self.running, "{}"
        try:
            plain = replace(now, values={}, manifest=now.rendered(now.chart, nothing), live={})
            conversion = Conversion(plain, self.chart, TargetValues(nothing))
            conversion.convert()
            return frozenset(one.essence for one in conversion._differences())
        except SopError:  # a chart that does not render with its defaults alone: everything is told
            return frozenset()

    def _image(self, reference: str) -> str:
        """Return what an image that runs must become: its flavour in the target's version; any other stays as it is."""
        situation = self.situation
        if not situation.is_of_the_version(reference):
            return reference
        if images.moves(reference):
            return images.channel(reference) if situation.flavour_in_tag else reference
        if images.flavour(reference) in images.FLAVOURS and (
            situation.flavour_in_tag or images.is_published(reference)
        ):
            return images.of_version(reference, situation.app, in_tag=situation.flavour_in_tag)
        return f"{images.home(reference)}:{situation.default_tags[1] or situation.app}"

    @property
    def _differs(self) -> bool:
        """Whether the operator's file says something else than what the release runs with."""
        return self.given.given and self.given.digest != digest_of(self.running.values)

    def _agents(self) -> Iterator[RunningAgent]:
        """The agents that run, and those that the operator's file adds, each with the configuration that it is to have.

        That is the one on the cluster; or, where the file says otherwise than the record, what the current chart makes
        of the file.
        """
        recorded = dict(_agents(self.running.manifest))
        asked = dict(_agents(self._asked)) if self._differs else recorded
        for key, agent in {**asked, **recorded}.items():
            text = agent.configuration
            live = self.running.live.get((agent.configmap, CONFIGURATION), text)
            wanted = asked[key].configuration if key in asked else None
            same = wanted is None or text is None or comparison.parsed(wanted) == comparison.parsed(text)
            yield RunningAgent(key, agent.image, live if same else wanted, agent.home)

    @cached_property
    def _asked(self) -> ReleaseManifest:
        """What the current chart makes of the operator's file; nothing if it does not take it."""
        try:
            return self.running.rendered(self.running.chart, self.given.text)
        except ToolError:
            return ReleaseManifest(())

    def _edited(self, document: Document) -> Iterator[ValueMove]:
        """Say what differs from what the release runs with: the operator's file, and edits by hand."""
        if document.written_out:
            why = "a change below an anchor would change every place that it stands in; comments are lost"
            yield ValueMove("anchors", "written out", why, decide=True)
        if self._differs:
            why = "it is not what the release runs with: what it changes is found as a difference"
            yield ValueMove("--values", "counts, in place of Helm's record", why, decide=True)
        for item in self.running.manifest.of_kind("ConfigMap"):
            for key, text in part(item.body, "data").items():
                live = self.running.live.get((item.name, key))
                if live is not None and live.rstrip() != str(text).rstrip():
                    why = (
                        f"ConfigMap {item.name} was edited by hand, and the edit counts; what is not taken over differs"
                    )
                    yield ValueMove(f"{item.name}/{key}", "as it is on the cluster", why, decide=True)

    def _named_as_now(self, document: Document) -> Iterator[ValueMove]:
        """Keep the names of each agent's Deployment and claim, where the chart can: the home stays where it is."""
        running = dict(_agents(self.running.manifest))
        for key, agent in running.items():
            for path, name_of in _NAMES:
                whole = ("agents", key, *path)
                now, would = name_of(agent), name_of(self._target_agents(document).get(key, agent))
                if not now or not would or would == now or document.get(*whole):  # what is said there is meant
                    continue
                document.set(whole, now)
                if name_of(self._target_agents(document).get(key, agent)) == now:
                    why = f"it would be {would}, and the home would stay behind"
                    yield ValueMove(".".join(whole), now, why)
                else:  # the chart does not know it
                    document.remove(whole)

    def _target(self, document: Document) -> ReleaseManifest:
        """The target with these values; each text is rendered once."""
        text = str(document)
        if text not in self._targets:
            self._targets[text] = self.running.rendered(self.chart, text)
        return self._targets[text]

    def _target_agents(self, document: Document) -> dict[str, _Agent]:
        """The agents of the target by their keys; none if it does not render."""
        try:
            return dict(_agents(self._target(document)))
        except ToolError:  # the comparison says why
            return {}

    def _without_effect(self, document: Document) -> Iterator[ValueMove]:
        """Remove what has an effect now and would have none: tried by rendering with and without each value."""
        now, proposed = self.running, document.plain
        try:
            self._target(document)
        except ToolError:  # nothing can be told of a value where nothing can be rendered: the comparison says why
            return
        texts = {agent.key: agent.configuration or "" for agent in self.situation.agents}
        for effect in probe(now.helm, now.name, (now.chart, now.values), (self.chart, proposed)):
            if effect.before and not effect.after:
                value = at(cast(Object, proposed), *effect.path)
                if document.remove(effect.path):
                    yield _gone(effect.path, value, texts)


def _default_tag(chart: Path) -> str:
    """Return the tag of images that a chart has by default; empty if its appVersion is the tag."""
    return str(part(helms.defaults(chart), "image").get("tag") or "")


def _gone(path: tuple[str, ...], value: object, texts: Mapping[str, str]) -> ValueMove:
    """Say where a value went that has no effect in the target."""
    key, text = ".".join(map(str, path)), texts.get(str(path[1])) if path[0] == "agents" and len(path) > 2 else None
    if text is None:
        return ValueMove(key, "removed", "it has no effect in the target", decide=True)
    where, found = steps.became(path[2:], value, text)
    if found is Found.SAME:
        return ValueMove(key, f"config.toml {where}", "it is there already")
    why = "it has no effect in the target"
    if found is not Found.NOTHING:
        why = f"config.toml has {found} at {where}"
    return ValueMove(key, "removed", why, decide=True)


@dataclass(frozen=True)
class _Agent:
    """An agent of a manifest: its image, the names of what belongs to it, its config.toml, its home."""

    image: str
    deployment: str
    claim: str
    configmap: str
    configuration: str | None
    home: str


_NAMES: tuple[tuple[tuple[str, ...], Callable[[_Agent], str]], ...] = (
    (("nameOverride",), lambda agent: agent.deployment),
    (("persistence", "existingClaim"), lambda agent: agent.claim),
)
"""Values of an agent by which a chart leaves a name as it was."""


def _is_kept_claim(difference: Difference, mounted: Collection[str]) -> bool:
    """Tell whether a claim leaves the chart, and an agent still mounts it; whether Helm keeps it, the plan says."""
    gone = difference.kind == "PersistentVolumeClaim" and not difference.path and difference.is_gone
    return gone and difference.name in mounted


def _agents(manifest: ReleaseManifest) -> Iterator[tuple[str, _Agent]]:
    """Yield each agent with its key; a chart of one agent has none, so its flavour is."""
    for workload in manifest.workloads:
        if workload.is_agent:
            name = _configmap(workload.pod)
            text = part(manifest.find("ConfigMap", name) or {}, "data").get(CONFIGURATION)
            configuration = None if text is None else str(text)
            key = workload.component or images.flavour(workload.image)
            yield (
                key,
                _Agent(
                    image=workload.image,
                    deployment=workload.name,
                    claim=workload.claim or "",
                    configmap=name,
                    configuration=configuration,
                    home=str(workload.home or ""),
                ),
            )


def _configmap(pod: Object) -> str:
    """Return the name of the ConfigMap that holds an agent's config.toml."""
    volumes = {volume["name"]: part(volume, "configMap").get("name") for volume in pod.get("volumes") or ()}
    for container in pod.get("containers") or ():
        for mount in container.get("volumeMounts") or () if container.get("name") in CONTAINERS else ():
            if volumes.get(mount["name"]) and not mount.get("subPath"):
                return str(volumes[mount["name"]])
    return ""
