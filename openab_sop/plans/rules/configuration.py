"""What the agent reads at its start: its configuration by meaning, its variables, and the values that lead to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from openab_sop import bounded
from openab_sop.agents.workload import Workload
from openab_sop.errors import InvalidDocument
from openab_sop.escape import command
from openab_sop.objects import Object, part
from openab_sop.plans.plan import Plan
from openab_sop.redact import MASK, is_secret_name, mask
from openab_sop.rule import blocks, warns
from openab_sop.upstream.configuration import TEXT, TOKENS, VARIABLES
from openab_sop.verdict import Finding

ADAPTERS = ("discord", "slack", "telegram", "line", "feishu", "teams", "googlechat", "wecom", "gateway")
"""Sections of the configuration that each connect the agent to a chat."""
_MANGLED = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_CAPITAL = re.compile(r"_([a-z0-9])")
_SHOWN = 60
"""Characters of a setting that a finding quotes."""
EXACT = 1 << 53
"""Above it numbers that went through YAML and JSON as floats have lost digits."""


@blocks("adapter-off", "The agent no longer connects to this chat, and does not report it.")
def adapter_off(plan: Plan) -> Iterator[Finding]:
    """A section that connects the agent to a chat would be missing from its configuration."""
    for name, old, new in _configurations(plan):
        for adapter in ADAPTERS:
            if adapter in old and adapter not in new:
                yield Finding(
                    f"{name}.{adapter}",
                    f"the target's configuration has no [{adapter}]",
                    f"[{adapter}], as now",
                    _set(plan, name, f"{adapter}.enabled", value="true"),
                )


@warns("setting-gone", "The agent uses its own default instead.")
def setting_gone(plan: Plan) -> Iterator[Finding]:
    """A setting would be missing from the configuration."""
    for name, old, new in _configurations(plan):
        for path in sorted(_flat(old).keys() - _flat(new).keys()):
            section = path.partition(".")[0]
            if section in new or section not in ADAPTERS:  # a whole adapter that is off is told by itself
                yield Finding(
                    f"{name}.{path}", "the target's configuration does not have it", "as now", _stays(plan, name, path)
                )


@warns("setting-changed", "A default of the chart has changed, or how it uses a value.")
def setting_changed(plan: Plan) -> Iterator[Finding]:
    """A setting would have another value of the same type, with the same values of the release."""
    for name, path, was, would in _changed(plan):
        if _kind(was) == _kind(would) and was != would and not _is_mangled(would):
            seen, expected = f"it would be {_quoted(path, would)}", _quoted(path, was)
            yield Finding(f"{name}.{path}", seen, expected, _stays(plan, name, path))


@blocks("setting-type", "An agent that expects the old type refuses the new one and does not start.")
def setting_type(plan: Plan) -> Iterator[Finding]:
    """A setting would have a value of another type."""
    for name, path, was, would in _changed(plan):
        if _is_spelt_as_float(was, would) and not _is_mangled(would):
            seen, expected = f"it would be the float {would}", f"the whole number {was}"
            yield Finding(f"{name}.{path}", seen, expected, _stays(plan, name, path))
        elif _kind(was) != _kind(would) and not _is_mangled(would):
            seen, expected = f"it would be {_kind(would)}", _kind(was)
            yield Finding(f"{name}.{path}", seen, expected, _stays(plan, name, path))


@blocks("number-mangled", "The last digits of the ID are lost: it names another channel or user.")
def number_mangled(plan: Plan) -> Iterator[Finding]:
    """A chat ID that is given as a number would be rounded."""
    for name, old, new in _configurations(plan):
        for path, would in _flat(new).items():
            if _is_mangled(would) and not _is_mangled(_flat(old).get(path)):
                next_step = _set(plan, name, path, how="the id in quotes")
                yield Finding(f"{name}.{path}", f"it would be {would}", "every digit", next_step)


@blocks("unreadable", "The agent reads its configuration at its start, and ends with an error.")
def unreadable(plan: Plan) -> Iterator[Finding]:
    """A configuration file that can be parsed now could not be parsed."""
    for key, text in _texts(plan.new).items():
        before = _texts(plan.old).get(key)
        if _parsed(text) is None and (before is None or _parsed(before) is not None):
            yield Finding(key[0], f"{key[1]} would be no TOML", "TOML", "look at it: helm template CHART --values=FILE")


@blocks("reference-missing", "The pod waits forever.")
def reference_missing(plan: Plan) -> Iterator[Finding]:
    """Pods refer to a Secret, a ConfigMap or a key that neither the target nor the cluster has."""
    running = [change.after for change in plan.agents if change.after and change.after.replicas]
    for agent in running:
        for kind in ("Secret", "ConfigMap"):
            for name, key, who in agent.references(kind):
                if problem := _missing(plan, kind, name, key):
                    where = f"{name}.{key}" if key else name
                    yield Finding(
                        f"{agent.name}.{where}",
                        f"{who} needs {kind} {where}: {problem}",
                        "it is there",
                        command("kubectl", "get", kind, name),
                    )


@blocks("variable-unset", "The agent cannot log in.")
def variable_unset(plan: Plan) -> Iterator[Finding]:
    """A ``${VARIABLE}`` of the configuration that has a value now would have none."""
    for old, new in plan.staying:
        asked, before = _asked(plan.new, new), _asked(plan.old, old)
        for variable, where in asked.items():
            if not has(new, variable) and (has(old, variable) or variable not in before):
                yield Finding(
                    f"{new.name}.{variable}",
                    f"{where} asks for it, and the container would not have it",
                    "a variable that is set",
                    plan.in_values(*TOKENS, of=new, how="one that has the token"),
                )


@blocks("variable-gone", "What the agent or its tools read from it, such as a login or a path, is missing.")
def variable_gone(plan: Plan) -> Iterator[Finding]:
    """An environment variable of the agent that comes from a Secret or from the values would be missing."""
    for old, new in plan.staying:
        asked = _asked(plan.new, new)  # of these variable-unset tells
        for name, entry in old.variables.items():
            given = entry.get("valueFrom") or re.search(rf"\b{re.escape(name)}\b", str(plan.values))
            if given and has(old, name) and not has(new, name) and name not in asked:
                next_step = f"if it has to stay, {plan.in_values(*VARIABLES, of=new)}"
                yield Finding(f"{new.name}.{name}", "the container would not have it", "as now", next_step)


@blocks("value-ignored", "Somebody set this value on purpose.")
def value_ignored(plan: Plan) -> Iterator[Finding]:
    """A value of the release has an effect now, and none in the target."""
    for effect in plan.effects:
        if effect.before and not effect.after:
            yield Finding(
                str(effect),
                "the target renders the same with and without it",
                "an effect, as it has now",
                command("pytest", "suites/values", f"--target-version={plan.target.version}")
                + " proposes values without it; "
                "or find out what the target calls it: helm show values CHART",
            )


RULES = (
    adapter_off,
    setting_gone,
    setting_changed,
    setting_type,
    number_mangled,
    unreadable,
    reference_missing,
    variable_unset,
    variable_gone,
    value_ignored,
)


def _stays(plan: Plan, name: str, path: str) -> str:
    """The next step for a setting of an agent's configuration that would be another one."""
    return f"the target's release notes say why; if it has to stay, {_set(plan, name, path)}"


def _set(plan: Plan, name: str, path: str, *, value: str = "", how: str = "") -> str:
    """Say where a setting stands in an agent's values: in the text of its configuration, or under a key of its own."""
    agent = next((new for _, new in plan.staying if new.name == name), None)
    section, _, setting = path.partition(".")
    if agent and part(plan.values, "agents", agent.component).get(TEXT):
        return plan.in_values(TEXT, of=agent, how=f"[{section}] {setting} in its text{how and f', {how}'}")
    key = ".".join(_CAPITAL.sub(lambda found: found[1].upper(), word) for word in path.split("."))
    return plan.in_values(f"{key}={value}" if value else key, of=agent, how=how)


def has(workload: Workload, variable: str) -> bool:
    """Tell whether the agent has a variable, or may: of whole Secrets and ConfigMaps the names are not known here."""
    entry = workload.variables.get(variable, {})
    return bool(entry.get("value") or entry.get("valueFrom") or workload.container.get("envFrom"))


def _asked(side: Mapping[tuple[str, str], Object], agent: Workload) -> dict[str, str]:
    """Every variable that an agent's configuration names, and where."""
    texts = _mounted(side, agent).items()
    return {name: f"{file} of {map_}" for (map_, file), text in texts for name in _VARIABLE.findall(text)}


def settings(side: Mapping[tuple[str, str], Object], agent: Workload) -> dict[str, object]:
    """Return what an agent reads at its start, by its dotted path; nothing of what cannot be read.

    Args:
        side: objects by kind and name, of which the agent is one.
    """
    texts = _mounted(side, agent).values()
    return {path: value for text in texts for path, value in _flat(_parsed(text) or {}).items()}


def configuration(side: Mapping[tuple[str, str], Object], agent: Workload) -> Object:
    """Return what an agent's TOML files mean together, tables by name; of two files the later one's count."""
    return {name: table for text in _mounted(side, agent).values() for name, table in (_parsed(text) or {}).items()}


def _configurations(plan: Plan) -> Iterator[tuple[str, Object, Object]]:
    """Yield each configuration that both sides have and that can be read: whose, as it is, as it would be."""
    for before, after in plan.staying:
        news = {file: text for (_, file), text in _mounted(plan.new, after).items()}
        for (_, file), text in _mounted(plan.old, before).items():
            old, new = _parsed(text), _parsed(news[file]) if file in news else None
            if old is not None and new is not None:
                yield after.name, old, new


def _changed(plan: Plan) -> Iterator[tuple[str, str, object, object]]:
    for name, old, new in _configurations(plan):
        was = _flat(old)
        for path, would in _flat(new).items():
            if path in was and (type(was[path]) is not type(would) or was[path] != would):  # to Python, 1 is true
                yield name, path, was[path], would


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
        return bounded.load_toml(text, "a ConfigMap's file")
    except InvalidDocument:
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


def _is_spelt_as_float(was: object, would: object) -> bool:
    """Tell whether a whole number went through a float (1000000 is 1e+06 then): TOML has both, and readers differ."""
    return isinstance(was, int) and isinstance(would, float) and would.is_integer() and int(would) == was


def _is_mangled(value: object) -> bool:
    if isinstance(value, list):
        return any(_is_mangled(item) for item in cast(list[object], value))
    if isinstance(value, float):
        return abs(value) >= EXACT
    return isinstance(value, str) and _MANGLED.fullmatch(value) is not None


def _quoted(path: str, value: object) -> str:
    """A setting's value, masked before it is cut short: half a secret is not known for one."""
    text = MASK if is_secret_name(path) else mask(repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _mounted(side: Mapping[tuple[str, str], Object], agent: Workload) -> dict[tuple[str, str], str]:
    names = {name for name, *_ in agent.references("ConfigMap")}
    return {key: text for key, text in _texts(side).items() if key[0] in names}


def _missing(plan: Plan, kind: str, name: str, key: str | None) -> str:
    """Return what is wrong with what a pod refers to; empty if nothing is."""
    one = (kind, name)
    if plan.is_deleted(one):
        return "it would be deleted"
    if one not in plan.new and one not in plan.live:
        return "it is not there"
    data = _data(plan.live.get(one, {}))
    if one in plan.new:  # Helm takes away the keys that left the chart, and leaves those that others have added
        data = {k: v for k, v in data.items() if k not in _data(plan.old.get(one, {}))} | _data(plan.new[one])
    if key is not None and key not in data:
        return "it has no such key"
    if key is not None and kind == "Secret" and not data[key]:
        return "it is empty"
    return ""


def _data(body: Object) -> Object:
    return part(body, "data") | part(body, "binaryData") | part(body, "stringData")
