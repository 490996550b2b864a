"""Propose the values that a chart version needs, prove what they lead to, and write them down (SOP 3.2).

Nothing on the cluster is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from openab_sop import redact, storage
from openab_sop.cluster import helm as helms
from openab_sop.cluster.records import Record
from openab_sop.errors import NothingToDo, SettingsError, ToolError
from openab_sop.objects import Object, at, part
from openab_sop.plans.effects import probe
from openab_sop.plans.survey import chart_of
from openab_sop.proposals import comparison, steps
from openab_sop.proposals.comparison import Live
from openab_sop.proposals.document import Document
from openab_sop.proposals.page import page
from openab_sop.proposals.steps import Found, Move, RunningAgent, Situation
from openab_sop.releases import rebuild
from openab_sop.releases.manifest import RENDERED, Manifest
from openab_sop.releases.release import Release
from openab_sop.rule import Harm, Harms, blocks, weighed
from openab_sop.shown import command
from openab_sop.targets.values import TargetValues, digest_of
from openab_sop.targets.version import Version
from openab_sop.upstream import images
from openab_sop.upstream.charts import CONTAINERS
from openab_sop.verdict import Finding

PAGE = "values.html"
CONFIGURATION = "config.toml"
"""Key of an agent's ConfigMap."""


def _said(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return findings


NOT_EQUAL = blocks("not-equal", "What runs after the upgrade would differ in more than the version.")(_said)
"""What of the target is not proved to mean what runs now."""


@dataclass
class Proposal:
    """The values for one chart version.

    Attributes:
        chart: the packaged target.
        given: the operator's own values; what Helm's record has, if none were named.
        accepted: by id of a finding, why it may pass.
        directory: where the page is left.
        out: where the values are written to.
        source: where charts come from, as ``--chart`` takes it; empty for the default.
    """

    release: Release
    chart: Path
    given: TargetValues
    accepted: Mapping[str, str]
    directory: Path
    out: Path
    source: str = ""
    moves: list[Move] = field(default_factory=list[Move])
    _proposed: Document | None = None
    _harms: Harms | None = None

    @cached_property
    def _record(self) -> Record:
        """The release as Helm's record has it."""
        return self.release.helm.record(self.release.name, self.release.revision)

    @cached_property
    def _before(self) -> Manifest:
        """Its objects."""
        return Manifest.parse(self._record.manifest).parted()[0]

    @cached_property
    def _live(self) -> Live:
        """The texts of the release's ConfigMaps as they are on the cluster; what is secret in them is masked."""
        found: dict[tuple[str, str], str] = {}
        for item in self._before.of_kind("ConfigMap"):
            if body := self.release.cluster.find("ConfigMap", item.name):
                found |= {(item.name, key): text for key, text in part(body, "data").items()}
        for text in found.values():
            _learn(comparison.parsed(text) or {})
        return found

    @cached_property
    def situation(self) -> Situation:
        """What runs, and where it goes."""
        release, target = self.release, chart_of(self.chart)
        return Situation(
            current=Version.parse(release.version),
            target=target.version,
            before=self._app,
            app=target.app or str(target.version),
            repository=str(part(helms.defaults(self.chart), "image").get("repository") or ""),
            agents=tuple(self._agents()),
            own=self._record.values,
        )

    @property
    def _app(self) -> str:
        labels = (part(w.body, "metadata", "labels") for w in self._before.workloads if w.is_agent)
        named = (str(found.get("app.kubernetes.io/version") or "") for found in labels)
        return next(filter(None, named), self.release.version)

    @property
    def _differs(self) -> bool:
        """Whether the operator's file says something else than what the release runs with."""
        return self.given.given and self.given.digest != digest_of(self._record.values)

    def _agents(self) -> Iterator[RunningAgent]:
        """The agents that run, and those that the operator's file adds, each with the configuration that it is to have.

        That is the one on the cluster; or, where the file says otherwise than the record, what the current chart makes
        of the file.
        """
        recorded = dict(_configurations(self._before))
        asked = dict(_configurations(self._asked)) if self._differs else recorded
        for key, (image, name, text) in {**asked, **recorded}.items():
            live = self._live.get((name, CONFIGURATION), text)
            wanted = asked.get(key, recorded.get(key, ("", "", None)))[2]
            same = wanted is None or text is None or comparison.parsed(wanted) == comparison.parsed(text)
            yield RunningAgent(key, image, live if same else wanted)

    @cached_property
    def _asked(self) -> Manifest:
        """What the current chart makes of the operator's file; nothing if it does not take it."""
        with rebuild.packed_chart(self._record) as current:
            try:
                rendered = self.release.helm.template(self.release.name, current, self.given.text)
            except ToolError:
                return Manifest(())
        return Manifest.parse(rendered, RENDERED).parted()[0]

    def propose(self) -> list[Move]:
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
        self.moves += self._without_effect(document)
        self._proposed = document
        return self.moves

    def _edited(self, document: Document) -> Iterator[Move]:
        """Say what differs from what the release runs with: the operator's file, and edits by hand."""
        if document.written_out:
            why = "a change below an anchor would change every place that it stands in; comments are lost"
            yield Move("anchors", "written out", why, decide=True)
        if self._differs:
            why = "it is not what the release runs with: what it changes is found as a difference"
            yield Move("--values", "counts, in place of Helm's record", why, decide=True)
        for item in self._before.of_kind("ConfigMap"):
            for key, text in part(item.body, "data").items():
                live = self._live.get((item.name, key))
                if live is not None and live.rstrip() != str(text).rstrip():
                    why = (
                        f"ConfigMap {item.name} was edited by hand, and the edit counts; what is not taken over differs"
                    )
                    yield Move(f"{item.name}/{key}", "as it is on the cluster", why, decide=True)

    def _without_effect(self, document: Document) -> Iterator[Move]:
        """Remove what has an effect now and would have none: tried by rendering with and without each value."""
        proposed = document.plain
        try:
            self.release.helm.template(self.release.name, self.chart, str(document))
        except ToolError:  # nothing can be told of a value where nothing can be rendered: the comparison says why
            return
        texts = {agent.key: agent.configuration or "" for agent in self.situation.agents}
        with rebuild.packed_chart(self._record) as current:
            found = probe(self.release.helm, self.release.name, (current, self._record.values), (self.chart, proposed))
        for effect in found:
            if effect.before and not effect.after:
                value = at(cast(Object, proposed), *effect.path)
                if not document.remove(effect.path):
                    continue
                yield _gone(effect.path, value, texts)

    def prove(self) -> Harms:
        """Render both sides and compare what they mean; leaves the page.

        Raises:
            NothingToDo: the values that run fit the target as they are.
            SettingsError: a finding was accepted that was not found.
        """
        assert self._proposed is not None, "propose first"
        text = str(self._proposed)
        try:
            rendered = self.release.helm.template(self.release.name, self.chart, text)
        except ToolError as error:
            found: tuple[Finding, ...] = (
                Finding(self.out.name, error.problem, "values that the chart renders", comparison.FIX),
            )
        else:
            target = Manifest.parse(rendered, RENDERED).parted()[0]
            found = tuple(comparison.differences(self._before, target, self._live, self._image))
        version = (str(self.situation.target),)
        harms = weighed((Harm(NOT_EQUAL, one, version) for one in found), self.accepted, "comparison")
        self._harms = Harms(harms)
        storage.replace(self.directory / PAGE, page(self.situation, self.moves, self._harms, self.out).encode())
        if not self.moves and not self._harms.harms:
            raise NothingToDo(f"the values fit {self.situation.target} as they are: proved equal to what runs")
        return self._harms

    def _image(self, reference: str) -> str:
        """Return what an image that runs must become: its flavour in the target's version; any other stays as it is."""
        if not images.is_published(reference) or images.moves(reference):
            return reference
        return images.of_version(reference, self.situation.app, in_tag=self.situation.flavour_in_tag)

    @property
    def harms(self) -> Harms:
        """What is not proved equal, once it was compared."""
        assert self._harms is not None, "prove first"
        return self._harms

    @property
    def next_step(self) -> str:
        """The command that upgrades with these values."""
        source = [f"--chart={self.source}"] if self.source else []
        values = [f"--values={self.out}"] if self.moves else []
        return command("pytest", "suites", *source, f"--target-version={self.situation.target}", *values)

    def write(self) -> Path:
        """Write the proposed values, for their owner alone; returns where.

        Raises:
            SettingsError: something else is there already.
        """
        assert self._proposed is not None, "propose first"
        text = str(self._proposed).encode()
        if self.out.exists():
            if self.out.read_bytes() != text:
                raise SettingsError(f"{self.out} exists already, with other values", "name another with --out=FILE")
            return self.out
        storage.write(self.out, text)
        return self.out


def _gone(path: tuple[str, ...], value: object, texts: Mapping[str, str]) -> Move:
    """Say where a value went that has no effect in the target."""
    key, text = ".".join(map(str, path)), texts.get(str(path[1])) if path[0] == "agents" and len(path) > 2 else None
    if text is None:
        return Move(key, "removed", "it has no effect in the target", decide=True)
    where, found = steps.became(path[2:], value, text)
    if found is Found.SAME:
        return Move(key, f"config.toml {where}", "it is there already")
    why = "it has no effect in the target"
    if found is not Found.NOTHING:
        why = f"config.toml has {found} at {where}"
    return Move(key, "removed", why, decide=True)


def _configurations(manifest: Manifest) -> Iterator[tuple[str, tuple[str, str, str | None]]]:
    """Yield each agent's key, with its image, the name of its ConfigMap, and the text of its config.toml."""
    for workload in manifest.workloads:
        if workload.is_agent and workload.component:
            name = _configmap(workload.pod)
            text = part(manifest.find("ConfigMap", name) or {}, "data").get(CONFIGURATION)
            yield workload.component, (workload.image, name, None if text is None else str(text))


def _configmap(pod: Object) -> str:
    """Return the name of the ConfigMap that holds an agent's config.toml."""
    volumes = {volume["name"]: part(volume, "configMap").get("name") for volume in pod.get("volumes") or ()}
    for container in pod.get("containers") or ():
        for mount in container.get("volumeMounts") or () if container.get("name") in CONTAINERS else ():
            if volumes.get(mount["name"]) and not mount.get("subPath"):
                return str(volumes[mount["name"]])
    return ""


def _learn(tree: object) -> None:
    """Learn secrets that stand in a configuration; references to variables are none."""
    if isinstance(tree, dict):
        entries = cast(Object, tree)
        redact.learn_values({k: v for k, v in entries.items() if isinstance(v, str) and not v.startswith("${")})
        for inner in entries.values():
            _learn(inner)
    elif isinstance(tree, list):
        for inner in cast(list[object], tree):
            _learn(inner)
