"""What each user-supplied value does in a chart, tried by rendering with and without it.

Charts accept keys that their defaults do not list, so nothing but a rendering tells whether a value has an effect.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import yaml

from openab_sop import bounded
from openab_sop.cluster.helm import Helm
from openab_sop.errors import InvalidName, ReleaseError, SourceError, ToolError
from openab_sop.objects import Object, part
from openab_sop.plans.plan import Effect
from openab_sop.releases.manifest import RENDERED, ReleaseManifest


def probe(helm: Helm, release: str, before: tuple[Path, Object], after: tuple[Path, Object]) -> tuple[Effect, ...]:
    """Try every value of the target in two charts (helm template; nothing is asked of the cluster).

    A value that is a chart's default makes no difference there; whether the chart heeds it all the same, another value
    in its place shows. In the second chart only those are tried whose answer a rule asks for: what has an effect in the
    first, and names.

    Args:
        before, after: archives of the charts, each with the values that it is rendered with. A value that only the
            second has was named for it, and is to have an effect there.
    """
    (chart, own), (target, values) = before, after
    if _sources(chart) == _sources(target) and own == values:
        return ()
    old, new = _Chart(helm, release, chart, own), _Chart(helm, release, target, values)

    def tried(path: tuple[str, ...]) -> Effect:
        if not _has(own, path):
            return Effect(path, before=True, after=new.differs_by(path) or new.heeds(path))
        had = old.differs_by(path)
        if not (had or path[-1].endswith("Override")):
            return Effect(path, before=False, after=False)
        has = new.differs_by(path)
        return Effect(path, had or (has and old.heeds(path)), has or (had and new.heeds(path)))

    with ThreadPoolExecutor(os.cpu_count()) as several:
        return tuple(several.map(tried, leaves(values)))


def leaves(values: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value that is no map; a list is one value."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(cast(Object, value), (*above, key))
        else:
            yield (*above, key)


def altered(values: Object, path: tuple[str, ...]) -> Object:
    """Return values with another one of the same type at a path."""
    key, *rest = path
    return {**values, key: altered(values[key], tuple(rest)) if rest else _another(values[key])}


def without(values: Object, path: tuple[str, ...]) -> Object:
    """Return values without the one at a path."""
    key, *rest = path
    if not rest:
        return {name: value for name, value in values.items() if name != key}
    return {**values, key: without(values[key], tuple(rest))}


def _has(values: Object, path: tuple[str, ...]) -> bool:
    key, *rest = path
    inner: object = values.get(key)
    return key in values and (not rest or (isinstance(inner, dict) and _has(cast(Object, inner), tuple(rest))))


class _Chart:
    """A chart with the release's values, and what it renders from them."""

    def __init__(self, helm: Helm, release: str, chart: Path, values: Object) -> None:
        self._helm, self._release, self._chart, self._values = helm, release, chart, values
        self._whole = self._render(values)

    def differs_by(self, path: tuple[str, ...]) -> bool:
        """Tell whether something else is rendered without a value; so it is if nothing can be."""
        return self._render(without(self._values, path)) != self._whole

    def heeds(self, path: tuple[str, ...]) -> bool:
        """Tell whether something else is rendered with another value in its place; so it is if nothing can be."""
        return self._render(altered(self._values, path)) != self._whole

    def _render(self, values: Object) -> str:
        text = yaml.safe_dump(values, sort_keys=False)
        try:
            manifest = ReleaseManifest.parse(self._helm.template(self._release, self._chart, text), RENDERED)
        except (ToolError, ReleaseError, InvalidName) as refused:  # what it made of it is no object either
            return refused.problem
        return json.dumps([_plain(item.body) for item in manifest.objects], sort_keys=True)


def _another(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return [] if value else ["x"]


def _plain(body: Object) -> Object:
    """An object without checksums of values, which change with every value whether or not it does anything."""
    template = part(body, "spec", "template")
    if not template:
        return body
    metadata = part(template, "metadata")
    kept = {k: v for k, v in part(metadata, "annotations").items() if not k.startswith("checksum/")}
    spec = {**part(body, "spec"), "template": {**template, "metadata": {**metadata, "annotations": kept}}}
    return {**body, "spec": spec}


def _sources(chart: Path) -> dict[str, bytes]:
    """What a chart renders from: its files but those that only say which version it is."""
    try:
        with tarfile.open(fileobj=io.BytesIO(bounded.gunzip(chart.read_bytes(), str(chart))), mode="r:") as archive:
            files = {member.name.partition("/")[2]: member for member in archive if member.isreg()}
            rendering = {name for name in files if name.startswith(("templates/", "charts/")) or name == "values.yaml"}
            return {name: _content(archive, files[name]) for name in rendering - {"templates/NOTES.txt"}}
    except (tarfile.TarError, OSError, EOFError, ArithmeticError) as error:
        raise SourceError(f"{chart} is no chart's archive: {error}", "ask who offers the chart") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    data = stream.read(bounded.LARGEST)  # a sparse member claims any size
    if not member.name.endswith("/values.yaml"):
        return data
    return json.dumps(bounded.load_yaml(data, member.name), sort_keys=True, default=str).encode()
