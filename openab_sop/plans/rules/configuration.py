"""What the agent reads at its start: its configuration by meaning, its variables, and the values that lead to them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import cast

from openab_sop.objects import Object, part
from openab_sop.plans.plan import Plan
from openab_sop.plans.rule import blocks, warns
from openab_sop.plans.workload import Workload
from openab_sop.verdict import Finding

ADAPTERS = ("discord", "slack", "telegram", "line", "feishu", "teams", "googlechat", "wecom", "gateway")
"""Sections of the configuration that each connect the agent to a chat."""
_MANGLED = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHOWN = 60
"""Characters of a setting that a finding quotes."""
EXACT = 1 << 53
"""Above it numbers that went through YAML and JSON as floats have lost digits."""


@blocks("adapter-off", "The agent does not connect to this chat any more, and says nothing of it.")
def adapter_off(plan: Plan) -> Iterator[Finding]:
    """A section that connects the agent to a chat is in its configuration, and would not be."""
    for name, old, new in _configurations(plan):
        for adapter in ADAPTERS:
            if adapter in old and adapter not in new:
                yield Finding(
                    f"{name}.{adapter}",
                    f"the target's configuration has no [{adapter}]",
                    f"[{adapter}], as now",
                    f"switch it on in so many words: agents.NAME.{adapter}.enabled=true",
                )


@warns("setting-gone", "What it set is left to the agent's own default.")
def setting_gone(plan: Plan) -> Iterator[Finding]:
    """A setting is in the configuration, and would not be."""
    for name, old, new in _configurations(plan):
        for path in sorted(_flat(old).keys() - _flat(new).keys()):
            section = path.partition(".")[0]
            if section in new or section not in ADAPTERS:  # a whole adapter that is off is told by itself
                yield Finding(f"{name}.{path}", "the target's configuration does not have it", "as now", _LOOK)


@warns(
    "setting-changed", "The values are the same, so a default of the chart has changed, or what it makes of a value."
)
def setting_changed(plan: Plan) -> Iterator[Finding]:
    """A setting would have another value of the same type."""
    for name, path, was, would in _changed(plan):
        if _kind(was) == _kind(would) and not _is_mangled(would):
            yield Finding(f"{name}.{path}", f"it would be {_quoted(path, would)}", _quoted(path, was), _LOOK)


@blocks("setting-type", "An agent that expects the one type refuses the other, and does not start.")
def setting_type(plan: Plan) -> Iterator[Finding]:
    """A setting would have a value of another type."""
    for name, path, was, would in _changed(plan):
        if _kind(was) != _kind(would) and not _is_mangled(would):
            yield Finding(f"{name}.{path}", f"it would be {_kind(would)}", _kind(was), _LOOK)


@blocks("number-mangled", "An id that went through a float has lost its last digits: it names another channel or user.")
def number_mangled(plan: Plan) -> Iterator[Finding]:
    """A chat id, given as a number, would arrive rounded."""
    for name, old, new in _configurations(plan):
        for path, would in _flat(new).items():
            if _is_mangled(would) and not _is_mangled(_flat(old).get(path)):
                yield Finding(f"{name}.{path}", f"it would be {would}", "every digit", "quote the id in the values")


@blocks("unreadable", "The agent reads its configuration at its start, and ends with an error.")
def unreadable(plan: Plan) -> Iterator[Finding]:
    """A configuration that can be read now could not be."""
    for key, text in _texts(plan.new).items():
        before = _texts(plan.old).get(key)
        if _parsed(text) is None and (before is None or _parsed(before) is not None):
            yield Finding(key[0], f"{key[1]} would be no TOML", "TOML", "look at it: helm template CHART --values=FILE")


@blocks("secret-missing", "The pod waits for ever for a Secret or ConfigMap, or a key of it, that is not there.")
def secret_missing(plan: Plan) -> Iterator[Finding]:
    """Pods refer to what neither the target brings nor the cluster has."""
    running = [change.after for change in plan.agents if change.after and change.after.replicas]
    for agent in running:
        for kind in ("Secret", "ConfigMap"):
            for name, key, who in agent.references(kind):
                if problem := _missing(plan, kind, name, key):
                    where = f"{name}.{key}" if key else name
                    yield Finding(
                        agent.name,
                        f"{who} needs {kind} {where}: {problem}",
                        "it is there",
                        f"kubectl get {kind} {name}",
                    )


@blocks("token-unset", "The configuration names a variable that the container does not have: the agent cannot log in.")
def token_unset(plan: Plan) -> Iterator[Finding]:
    """A ``${VARIABLE}`` of the configuration has no value in the target, and has one now."""
    for old, new in plan.staying:
        if has_whole_sources(new):
            continue
        for key, text in _texts(plan.new).items():
            if key[0] not in _mounted(new):
                continue
            before = _VARIABLE.findall(_texts(plan.old).get(key, ""))
            for variable in dict.fromkeys(_VARIABLE.findall(text)):
                lost = variable in before and variable in old.variables
                if variable not in new.variables and (lost or variable not in before):
                    yield Finding(
                        f"{new.name}.{variable}",
                        f"{key[1]} of {key[0]} asks for it, and the container would not have it",
                        "a variable that is set",
                        "give the token in the values; or by envFrom, secretEnv",
                    )


@blocks("variable-gone", "What the agent or its tools took from it - a login, a path - is missing.")
def variable_gone(plan: Plan) -> Iterator[Finding]:
    """A variable of the agent's container that comes from a Secret or from the values would be gone."""
    for old, new in plan.staying:
        for name, entry in old.variables.items():
            if name not in new.variables and (entry.get("valueFrom") or name in str(plan.values)):
                if any(f"${{{name}}}" in text for text in _texts(plan.new).values()):
                    continue  # token-unset tells it
                yield Finding(f"{new.name}.{name}", "the container would not have it", "as now", _LOOK)


@blocks("value-ignored", "Somebody has set this on purpose, and it takes no effect any more.")
def value_ignored(plan: Plan) -> Iterator[Finding]:
    """A value of the release had an effect, and the target goes without it."""
    for effect in plan.effects:
        if effect.before and not effect.after:
            yield Finding(
                str(effect),
                "the target renders the same with and without it",
                "an effect, as it has now",
                "find out what the target calls it: helm show values CHART; or take it out of the values",
            )


RULES = (
    adapter_off,
    setting_gone,
    setting_changed,
    setting_type,
    number_mangled,
    unreadable,
    secret_missing,
    token_unset,
    variable_gone,
    value_ignored,
)

_LOOK = "find out in the target's release notes; set it in the values if it has to stay"


def has_whole_sources(workload: Workload) -> bool:
    """Tell whether whole Secrets or ConfigMaps become variables of the agent: their names are not known here."""
    return bool(workload.container.get("envFrom"))


def settings(side: Mapping[tuple[str, str], Object], agent: Workload) -> dict[str, object]:
    """Return what an agent reads at its start, by its dotted path; nothing of what cannot be read.

    Args:
        side: objects by kind and name, of which the agent is one.
    """
    mounted = _mounted(agent)
    texts = [text for (name, _), text in _texts(side).items() if name in mounted]
    return {path: value for text in texts for path, value in _flat(_parsed(text) or {}).items()}


def _configurations(plan: Plan) -> Iterator[tuple[str, Object, Object]]:
    """Yield each configuration that both sides have and that can be read: name, as it is, as it would be."""
    olds, news = _texts(plan.old), _texts(plan.new)
    renamed = {old.name: new.name for old, new in plan.staying}
    for (name, file), text in olds.items():
        other = news.get((renamed.get(name, name), file))
        old, new = _parsed(text), _parsed(other) if other is not None else None
        if old is not None and new is not None:
            yield name, old, new


def _changed(plan: Plan) -> Iterator[tuple[str, str, object, object]]:
    for name, old, new in _configurations(plan):
        was = _flat(old)
        yield from (
            (name, path, was[path], would) for path, would in _flat(new).items() if was.get(path, would) != would
        )


def _texts(side: Mapping[tuple[str, str], Object]) -> dict[tuple[str, str], str]:
    """Every TOML file of the ConfigMaps, by ConfigMap and file."""
    return {
        (name, file): str(text)
        for (kind, name), body in side.items()
        if kind == "ConfigMap"
        for file, text in part(body, "data").items()
        if file.endswith(".toml")
    }


def _parsed(text: str) -> Object | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _flat(table: Object, above: str = "") -> dict[str, object]:
    """Every setting by its dotted path; lists are one setting."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(cast(Object, value), f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if not isinstance(value, list):
        return "a date or time"
    kinds = sorted({_kind(item) for item in cast(list[object], value)})
    return f"a list of {' and '.join(kinds)}" if kinds else "a list"


def _is_mangled(value: object) -> bool:
    if isinstance(value, list):
        return any(_is_mangled(item) for item in cast(list[object], value))
    if isinstance(value, float):
        return abs(value) >= EXACT
    return isinstance(value, str) and _MANGLED.fullmatch(value) is not None


def _quoted(path: str, value: object) -> str:
    """A setting's value, cut short; what may be a secret is masked where it is shown."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _mounted(workload: Workload) -> set[str]:
    return {str(part(volume, "configMap").get("name")) for volume in workload.pod.get("volumes") or ()}


def _missing(plan: Plan, kind: str, name: str, key: str | None) -> str:
    """Return what is wrong with what a pod refers to; empty if nothing is."""
    body = plan.new.get((kind, name)) or (None if plan.is_deleted((kind, name)) else plan.live.get((kind, name)))
    if body is None:
        return "it would be deleted" if plan.is_deleted((kind, name)) else "it is not there"
    live = plan.live.get((kind, name)) or {}
    data: Object = {**part(live, "data"), **part(body, "data"), **part(body, "stringData"), **part(body, "binaryData")}
    if key is not None and key not in data:
        return "it has no such key"
    if key is not None and kind == "Secret" and not data[key]:
        return "it is empty"
    return ""
