"""Two renderings of a release compared by what they mean, and not by how they are written.

What each chart version says of itself is left out: its labels and its checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from openab_sop import bounded
from openab_sop.errors import InvalidDocument
from openab_sop.objects import Object, part
from openab_sop.redact import MASK, is_secret_name, mask
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.verdict import Finding

Live = Mapping[tuple[str, str], str]
"""By name of a ConfigMap and key: the text that is on the cluster."""

_NAMED_BY = {"volumeMounts": "mountPath"}
"""What names the entries of a list; ``name`` for all others."""
_OF_THE_VERSION = {"labels": ("helm.sh/chart", "app.kubernetes.io/version"), "annotations": ("checksum/",)}
_LABELS = "metadata", "labels"
FIX = "edit the proposed values, then check them: pytest suites/values --values=FILE"
"""The next step of every difference."""
_SHOWN = 200
"""Characters of a value that a finding quotes."""


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


@dataclass(frozen=True)
class Difference:
    """What means something else in the target, or is on one side only.

    Attributes:
        path: where in the object; empty for the object itself.
        was, would: what it means on either side.
    """

    kind: str
    name: str
    path: tuple[str, ...]
    was: Any
    would: Any

    @property
    def essence(self) -> tuple[str, ...]:
        """What is the same for the same difference of another object: of another agent, or a label of another kind."""
        kind = "" if self.path[:2] == _LABELS else self.kind
        return kind, *self.path, repr(self.was), repr(self.would)

    @property
    def is_gone(self) -> bool:
        """Whether the target does not have it."""
        return self.would is _NOTHING

    @property
    def finding(self) -> Finding:
        """The difference in words; nothing secret is in it."""
        subject = f"{self.kind}/{self.name}"
        if not self.path:
            there, not_there = "it is there, as now", "it is not there, as now"
            if self.is_gone:
                return Finding(subject, "the target does not have it", there, FIX)
            return Finding(subject, "the target has it", not_there, FIX)
        hidden = self.kind == "Secret" or any(is_secret_name(name) for name in self.path)
        return Finding(f"{subject}:{'.'.join(self.path)}", _quoted(self.would, hidden), _quoted(self.was, hidden), FIX)


def differences(
    before: ReleaseManifest,
    after: ReleaseManifest,
    live: Live,
    image: Callable[[str], str] = lambda reference: reference,
) -> Iterator[Difference]:
    """Yield what means something else in the target, or is not there.

    Args:
        before: the release as Helm's record has it.
        after: the target, rendered with the proposed values.
        live: texts of ConfigMaps that count in place of the record's: what really runs.
        image: returns the one reference that the target must have in the place of an image that runs.
    """
    old = {(item.kind, item.name): _meaning(_as_live(item.body, live), image) for item in before.objects}
    new = {(item.kind, item.name): _meaning(item.body) for item in after.objects}
    for key in {**old, **new}:
        was, would = old.get(key), new.get(key)
        if was is None or would is None:
            yield Difference(*key, (), was or _NOTHING, would or _NOTHING)
        else:
            for path, here, there in _differing(was, would):
                yield Difference(*key, path, here, there)


def parsed(text: str) -> Object | None:
    """Return what a text means as TOML; None if it is not TOML."""
    try:
        return bounded.load_toml(text, "a configuration")
    except InvalidDocument:
        return None


def _as_live(body: Object, live: Live) -> Object:
    name = str(part(body, "metadata").get("name"))
    if body.get("kind") != "ConfigMap":
        return body
    return {**body, "data": {key: live.get((name, key), text) for key, text in part(body, "data").items()}}


def _meaning(body: Object, image: Callable[[str], str] = lambda reference: reference) -> Object:
    """Return an object without what only says which version it is, its lists by name, its texts by meaning."""
    meant = cast(Object, _by_name(body, image))
    for metadata in (part(meant, "metadata"), part(meant, "spec", "template", "metadata")):
        for field, prefixes in _OF_THE_VERSION.items():
            if field in metadata:
                metadata[field] = {k: v for k, v in part(metadata, field).items() if not k.startswith(prefixes)}
    if meant.get("kind") == "ConfigMap":
        meant["data"] = {key: _text(key, text) for key, text in part(meant, "data").items()}
    return meant


def _by_name(value: Any, image: Callable[[str], str], field: str = "") -> Any:
    if isinstance(value, dict):
        entries = cast(Object, value).items()
        return {
            name: image(inner) if name == "image" and isinstance(inner, str) else _by_name(inner, image, name)
            for name, inner in entries
        }
    if isinstance(value, list):
        items, name = cast(list[object], value), _NAMED_BY.get(field, "name")
        named = [cast(Object, item) for item in items if isinstance(item, dict)]
        if items and len(named) == len(items) and all(name in item for item in named):
            return {str(item[name]): _by_name(item, image) for item in named}
        return [_by_name(item, image) for item in items]
    return value


def _text(key: str, text: Any) -> Any:
    if not isinstance(text, str):
        return text
    tree = parsed(text) if key.endswith(".toml") else None
    return text.rstrip() if tree is None else tree


def _differing(was: object, would: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    old, new = (cast(Object, side) if isinstance(side, dict) else None for side in (was, would))
    if old is not None and new is not None:
        for key in {**old, **new}:
            yield from _differing(old.get(key, _NOTHING), new.get(key, _NOTHING), (*path, str(key)))
    elif not _is_same(was, would):
        yield path, was, would


def _is_same(was: object, would: object) -> bool:
    """In Python True and 1 are equal; in TOML they are not."""
    return type(was) is type(would) and was == would


def _quoted(value: Any, hidden: bool) -> str:
    if value is _NOTHING:
        return "nothing"
    if isinstance(value, dict):  # what is in it may be secret without a name that says so
        return f"a mapping of {', '.join(map(str, cast(Object, value))) or 'nothing'}"[:_SHOWN]
    said = MASK if hidden else mask(str(value))
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
