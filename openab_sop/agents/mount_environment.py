"""The variables by which a mount names its part of a volume (``subPathExpr``), as kubelet expands them: pure.

A variable counts if it is in the expression, or if one that counts refers to it. What each pod has of its own, such as
its name, no other pod can have: a helper cannot mount such a part where the agent's pod has it.

Source: kubelet's ``makeEnvironmentVariables`` and ``ExpandContainerVolumeMounts``, and ``expansion.Expand`` in its
third_party: ``$$`` is a dollar sign, a value refers only to variables before it, and the last of a name counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from openab_sop.objects import Object, at, part, parts

_OF_METADATA = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>[^']+)'\]")
_OF_SERVICES = re.compile(r".+_(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_.*)?")
"""Names that kubelet gives to variables of services by itself, to each pod of a namespace the same."""
_SET_BY_CONTROLLER = ("pod-template-hash",)
"""Labels of a pod that are not as its template has them."""


class _Unknown(Exception):
    """A value that is not in the object itself."""


@dataclass(frozen=True)
class MountEnvironment:
    """The variables of one container, as far as mounts need them.

    Args:
        container: with its ``env`` and ``envFrom``.
        template: the template of its pods, with labels and annotations.
    """

    container: Object
    template: Object

    def kept(self, expressions: Iterable[str]) -> list[Object]:
        """Return the ``env`` with which another pod expands these expressions as the container's own pods do.

        What the template fixes for its pods, such as a label, is a plain value in it. A name that ``envFrom`` may bring
        is asked for by its key in each of these sources; optional, so that the one that has it counts.
        """
        names, found = self._needed(expressions)
        return [*self._by_source(names), *map(self.fixed, found.values())]

    def cannot_be_met(self, expression: str) -> list[str]:
        """Name the variables whose value another pod cannot have, with where they come from."""
        unmet = ((entry, _source(self.fixed(entry))) for entry in self._needed([expression])[1].values())
        return [f"{entry['name']} ({source})" for entry, source in unmet if source]

    def expanded(self, expression: str) -> str | None:
        """Return an expression with the values that are in the object; None if one is elsewhere, or there is none."""

        def value(name: str) -> str:
            if not (said := self._value(name, len(self._entries))):  # kubelet refuses an empty one too
                raise _Unknown
            return said

        try:
            return _expand(expression, value)
        except _Unknown:
            return None

    def with_fixed(self) -> Object:
        """Return the container with what the template fixes as plain values, where its mounts need it."""
        expressions = map(expression_of, parts(self.container, "volumeMounts"))
        fixed = {place: self.fixed(entry) for place, entry in self._needed(expressions)[1].items()}
        if not fixed:
            return self.container
        return {**self.container, "env": [fixed.get(place, entry) for place, entry in enumerate(self._entries)]}

    def fixed(self, entry: Object) -> Object:
        """Return an entry of ``env``, as a plain value if it takes from its pod what the template fixes for each."""
        if (value := self._of_template(str(at(entry, "valueFrom", "fieldRef", "fieldPath") or ""))) is None:
            return entry
        return {"name": entry["name"], "value": value.replace("$", "$$")}

    @property
    def _entries(self) -> list[Object]:
        return parts(self.container, "env")

    def _needed(self, expressions: Iterable[str]) -> tuple[set[str], dict[int, Object]]:
        """Return the names that count, and the entries that may set them, in order, by their places."""
        names, found = set[str](), dict[int, Object]()
        left = [(name, len(self._entries)) for expression in expressions for name in _names(expression)]
        seen = set[tuple[str, int]]()
        while left:
            name, end = left.pop()
            if (name, end) in seen:
                continue
            seen.add((name, end))
            names.add(name)
            for place in self._setting(name, end):
                found[place] = entry = self._entries[place]
                left += [(other, place) for other in _names(str(entry.get("value") or ""))]
        return names, dict(sorted(found.items()))

    def _setting(self, name: str, end: int) -> Iterator[int]:
        """Yield the places of the entries before one that may set a variable, the last first."""
        for place in reversed(range(end)):
            entry = self._entries[place]
            if entry["name"] == name:
                yield place
                if not _is_optional(entry):
                    return

    def _by_source(self, names: Collection[str]) -> Iterator[Object]:
        for origin in parts(self.container, "envFrom"):
            prefix = str(origin.get("prefix") or "")
            for name in sorted(names):
                key = name.removeprefix(prefix)
                if not name.startswith(prefix) or not key:
                    continue
                for whole, single in (("secretRef", "secretKeyRef"), ("configMapRef", "configMapKeyRef")):
                    if source := part(origin, whole):
                        reference = {"name": source["name"], "key": key, "optional": True}
                        yield {"name": name, "valueFrom": {single: reference}}

    def _value(self, name: str, end: int) -> str | None:
        """Return a variable's value where the entries before one are known; None if nothing sets it."""
        for place in self._setting(name, end):
            entry = self.fixed(self._entries[place])
            if entry.get("valueFrom"):
                raise _Unknown
            return _expand(str(entry.get("value") or ""), lambda other, place=place: self._referred(other, place))
        if any(name.startswith(str(o.get("prefix") or "")) for o in parts(self.container, "envFrom")):
            raise _Unknown
        if _OF_SERVICES.fullmatch(name):
            raise _Unknown
        return None

    def _referred(self, name: str, place: int) -> str:
        value = self._value(name, place)
        return f"$({name})" if value is None else value  # a reference to nothing stays as it is

    def _of_template(self, path: str) -> str | None:
        """Return what a field of the pod is by its template; None if that does not fix it."""
        spec = part(self.template, "spec")
        if path == "spec.serviceAccountName":
            return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")
        if path == "spec.nodeName":
            return str(spec["nodeName"]) if spec.get("nodeName") else None
        if (match := _OF_METADATA.fullmatch(path)) and match["key"] not in _SET_BY_CONTROLLER:
            value = part(self.template, "metadata", match["map"]).get(match["key"])
            return None if value is None else str(value)
        return None


def expression_of(mount: Object) -> str:
    """Return the expression by which a mount names its part of a volume; empty if it names it otherwise."""
    return str(mount.get("subPathExpr") or "")


def _names(expression: str) -> list[str]:
    return [name for _, name in _pieces(expression) if name is not None]


def _expand(expression: str, value: Callable[[str], str]) -> str:
    return "".join(text if name is None else value(name) for text, name in _pieces(expression))


def _pieces(expression: str) -> Iterator[tuple[str, str | None]]:
    """Yield texts, and the names that are referred to; a dollar sign that begins no reference stands for itself."""
    done, last = 0, expression.rfind(")")
    while 0 <= (sign := expression.find("$", done)) < len(expression) - 1:
        yield expression[done:sign], None
        if expression[sign + 1] == "(" and sign + 1 < last:
            done = expression.index(")", sign) + 1
            yield "", expression[sign + 2 : done - 1]
        else:
            done = sign + 2
            yield "$" if expression[sign + 1] == "$" else expression[sign:done], None
    yield expression[done:], None


def _is_optional(entry: Object) -> bool:
    """Tell whether an entry may set nothing: what it refers to need not be there."""
    return any(part(reference).get("optional") for reference in part(entry, "valueFrom").values())


def _source(entry: Object) -> str:
    """Return where a value comes from that another pod cannot have; empty if it can."""
    source = part(entry, "valueFrom")
    if not source or "secretKeyRef" in source or "configMapKeyRef" in source:
        return ""
    field = at(source, "fieldRef", "fieldPath")
    if field == "metadata.namespace":
        return ""
    if field:
        return str(field)
    return str(at(source, "resourceFieldRef", "resource") or ", ".join(sorted(source)))
