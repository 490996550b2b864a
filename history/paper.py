"""A step on paper: plan and outcome from what the charts render to, without a cluster; quick enough for every step.

The outcome is read from the renderings as `observe` reads it from the cluster, and owes the plan's rules as little.
What only the API or a running agent tells, a step that is really gone tells.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from history.cases import Case
from history.observe import READ_ELSEWHERE
from history.outcome import AgentFacts, harms
from history.pairs import Packed, Pair
from history.proposed import Proposed, propose
from history.standins import REFUSING
from history.trial import Tried, needed, rendered
from openab_sop.agents.workload import is_agent
from openab_sop.cluster.helm import Helm
from openab_sop.errors import ToolError
from openab_sop.objects import Object, at, part, parts
from openab_sop.plans.effects import probe
from openab_sop.plans.plan import Key, Plan, PlannedChart
from openab_sop.plans.rules import data
from openab_sop.proposals.running import Running
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.targets.values import TargetValues
from openab_sop.targets.version import Version
from openab_sop.upstream.charts import CONTAINERS

_POD = ("spec", "template", "spec")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
Objects = dict[Key, Object]


def tried(helm: Helm, pair: Pair, case: Case, *, converted: bool = False) -> Tried:
    """Draw the plan of a step, and tell what would become of it.

    Args:
        converted: whether to go it with the values that ``suites/values`` proposes.

    Raises:
        NoStart: its first chart cannot be rendered.
    """
    before = rendered(helm, pair.before, case)
    prepared = {(str(body["kind"]), str(body["metadata"]["name"])): body for body in needed(before)}
    old = prepared | _objects(before)
    proposed = converted_values(helm, pair, case) if converted else Proposed(TargetValues(case.text))
    values, text, unproved = proposed.values.tree, proposed.values.text, proposed.unproved
    plan = Plan(
        release=case.release,
        namespace="nowhere",
        status="deployed",
        current=_chart(pair.before),
        target=_chart(pair.after),
        values=values,
        before=before,
        after=ReleaseManifest(()),
        live=old,
    )
    try:
        after = ReleaseManifest.parse(helm.template(case.release, pair.after.archive, text))
    except ToolError as refused:
        return Tried(replace(plan, unrenderable=refused.problem), (f"helm: {refused.problem}",), unproved)
    plan = replace(
        plan,
        after=after,
        effects=probe(helm, case.release, (pair.before.archive, case.values), (pair.after.archive, values)),
    )
    own = frozenset(case.files)
    plan = replace(plan, present={name: own & set(paths) for name, paths in data.asked(plan).items()})
    return Tried(plan, tuple(_outcome(pair, case, before, after, prepared)), unproved)


def running(helm: Helm, chart: Packed, case: Case) -> Running:
    """Return a release as a chart and a values file make it; raises NoStart as ``tried`` does."""
    manifest = rendered(helm, chart, case).parted()[0]
    return Running(case.release, helm, chart.archive, str(chart.version), case.values, manifest)


def converted_values(helm: Helm, pair: Pair, case: Case) -> Proposed:
    """Propose values for a step, from what its first chart renders to; raises NoStart as ``tried`` does."""
    return propose(running(helm, pair.before, case), pair.after.archive, case.text)


def _outcome(
    pair: Pair, case: Case, before: ReleaseManifest, after: ReleaseManifest, prepared: Objects
) -> Iterator[str]:
    old, new = _objects(before), _objects(after)
    for key in old.keys() & new.keys():
        if key[0] == "Deployment" and at(old[key], "spec", "selector") != at(new[key], "spec", "selector"):
            yield f"helm: the selector of {key[1]} cannot be changed"
    kept = {key: body for key, body in old.items() if _is_kept(body)}
    there = {**prepared, **kept, **new}
    yield from harms(
        _facts(before, old | prepared, old | prepared, pair.before.version, case),
        _facts(after, there, old | prepared, pair.after.version, case),
        case.values,
    )


def _facts(
    manifest: ReleaseManifest, there: Objects, first: Objects, version: Version, case: Case
) -> dict[str, AgentFacts]:
    found: dict[str, AgentFacts] = {}
    for item in manifest.of_kind("Deployment"):
        if is_agent(item.body):
            found[item.name] = _agent(item.body, there, first, version, case)
    return found


def _agent(body: Object, there: Objects, first: Objects, version: Version, case: Case) -> AgentFacts:
    container = next(c for c in parts(body, *_POD, "containers") if c["name"] in CONTAINERS)
    volumes = parts(body, *_POD, "volumes")
    names = {str(v["name"]): str(claim) for v in volumes if (claim := at(v, "persistentVolumeClaim", "claimName"))}
    variables = {
        str(entry["name"]): str(entry["value"]) if "value" in entry else f"from {part(entry, 'valueFrom')}"
        for entry in parts(container, "env")
    }
    maps = [there.get(("ConfigMap", str(name)), {}) for v in volumes if (name := at(v, "configMap", "name"))]
    config = str(part(maps[0], "data").get("config.toml", "")) if maps else ""
    homes = {f"~/{path}": _location(container, names, version, path) for path in (".kiro", *case.files)}
    return AgentFacts(
        image=str(container["image"]),
        trouble=_trouble(container, names, there, config),
        claims={claim: _fate(claim, there, first) for claim in names.values()} | (homes if names else {}),
        variables=variables,
        config=config,
    )


def _fate(claim: str, there: Objects, first: Objects) -> str:
    key = ("PersistentVolumeClaim", claim)
    return "nowhere" if key not in there else "the old one" if key in first else "a new one"


def _location(container: Object, claims: dict[str, str], version: Version, path: str) -> str:
    """Where a file of the home is: which part of which volume, whatever the home is called."""
    since, elsewhere = READ_ELSEWHERE.get(path, ("", path))
    moved = bool(since) and not version.is_older_than(Version.parse(since))
    home = next((str(e["value"]) for e in parts(container, "env") if e["name"] == "HOME"), "/home/agent")
    whole = PurePosixPath(home, elsewhere if moved else path)
    holding = [m for m in parts(container, "volumeMounts") if whole.is_relative_to(m["mountPath"])]
    if not holding:
        return "on no volume"
    mount = max(holding, key=lambda m: len(PurePosixPath(m["mountPath"]).parts))
    inside = PurePosixPath(mount.get("subPath") or ".", whole.relative_to(mount["mountPath"]))
    return f"{inside} of {claims.get(mount['name'], 'what is no claim')}"


def _trouble(container: Object, claims: dict[str, str], there: Objects, config: str) -> str:
    """Why an agent would not come up; empty if nothing is known against it."""
    if any(("PersistentVolumeClaim", claim) not in there for claim in claims.values()):
        return "Pending"
    for entry in parts(container, "env"):
        source = part(entry, "valueFrom", "secretKeyRef")
        secret = there.get(("Secret", str(source.get("name"))), {})
        if source and source["key"] not in part(secret, "data") | part(secret, "stringData"):
            return "CreateContainerConfigError"
    if str(container["image"]).rpartition(":")[2] in REFUSING:
        return "ended with status 2"
    return _refusal(config, [str(e["name"]) for e in parts(container, "env")], bool(container.get("envFrom")))


def _refusal(config: str, variables: Sequence[str], more: bool) -> str:
    """Why an agent would end at its start over its configuration, as far as the stand-in does."""
    try:
        said = tomllib.loads(config)
    except tomllib.TOMLDecodeError:
        return "ended with status 1"
    adapters = [part(said, name) for name in ("discord", "slack", "gateway") if name in said]
    tokens = [name for adapter in adapters for name in _VARIABLE.findall(str(adapter.get("bot_token")))]
    channels = [channel for adapter in adapters for channel in adapter.get("allowed_channels") or ()]
    wrong = not adapters or any(not isinstance(channel, str) for channel in channels)
    return "ended with status 1" if wrong or any(name not in variables and not more for name in tokens) else ""


def _objects(manifest: ReleaseManifest) -> Objects:
    return {(item.kind, item.name): item.body for item in manifest.objects}


def _is_kept(body: Object) -> bool:
    return part(body, "metadata", "annotations").get("helm.sh/resource-policy") == "keep"


def _chart(chart: Packed) -> PlannedChart:
    return PlannedChart(chart.name, chart.version, chart.app)
