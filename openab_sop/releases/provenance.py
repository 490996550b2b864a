"""What a release has that its chart and values do not make: a post-renderer's work, or that of a lookup (SOP 3.1, 5.1).

Helm keeps what it sent. Only what is rendered again is sent by the next upgrade, rebuild or reinstall: the rest would
vanish without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from openab_sop.errors import ToolError
from openab_sop.objects import Object
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.verdict import Finding

RULE = "not-from-chart"
"""Name of the rule that tells of it; it stands before the object in the finding's id."""
SHOWN = 6
"""Places that a finding quotes."""
_MADE_UP = (("data",), ("stringData",))
"""Parts of Secrets: charts make passwords up, each time another one."""


def additions(
    recorded: ReleaseManifest, *renderings: Callable[[], ReleaseManifest]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return what the record has and no rendering makes, by kind and name: paths, or nothing for the whole object.

    Args:
        renderings: of the release's own chart and values, the cheapest first: a later one is asked only if something
            is left.
    """
    left = {(item.kind, item.name): item.body for item in recorded.objects}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for render in renderings:
        try:
            rendered = render()
        except ToolError:
            continue
        found = {key: lacking for key, body in left.items() if (lacking := _lacking(body, rendered, *key)) is not None}
        left = {key: left[key] for key in found}
        if not left:
            break
    return found


def findings(added: Mapping[tuple[str, str], tuple[str, ...]]) -> Iterator[Finding]:
    """Name what would vanish."""
    for (kind, name), paths in added.items():
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        yield Finding(
            f"{kind}/{name}",
            f"chart and values do not make {', '.join(paths[:SHOWN]) + more if paths else 'it'}",
            "what is rendered again: the next change of the release takes the rest away",
            "name what has added it by --post-renderer, or put it into the values",
        )


def _lacking(body: Object, rendered: ReleaseManifest, kind: str, name: str) -> tuple[str, ...] | None:
    """Return where a rendering lacks something of an object; None if it lacks nothing."""
    twin = rendered.find(kind, name)
    if twin is None:
        return ()
    skipped = _MADE_UP if kind == "Secret" else ()
    return tuple(_beyond(body, twin, (), skipped)) or None


def _beyond(one: Any, other: Any, path: tuple[str, ...], skipped: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    """Yield the paths at which the first has something that the second has not, or has otherwise; never the values."""
    if path in skipped or one in (None, {}, [], ""):
        return
    if isinstance(one, dict) and isinstance(other, dict):
        ours, theirs = cast(Object, one), cast(Object, other)
        for key, value in ours.items():
            if not key.startswith("checksum/"):
                yield from _beyond(value, theirs.get(key), (*path, key), skipped)
    elif isinstance(one, list) and isinstance(other, list):
        yield from _beyond_list(cast(list[Any], one), cast(list[Any], other), path, skipped)
    elif one != other:
        yield ".".join(path)


def _beyond_list(
    ours: list[Any], theirs: list[Any], path: tuple[str, ...], skipped: tuple[tuple[str, ...], ...]
) -> Iterator[str]:
    """Compare entries by their names where each has its own, as wholes where not: a volume is mounted several times."""
    named = {entry["name"]: entry for entry in theirs if _has_name(entry)}
    own = {entry["name"] for entry in ours if _has_name(entry)}
    by_name = len(named) == len(theirs) and len(own) == len(ours)
    for entry in ours:
        if entry in theirs:
            continue
        if by_name or (_has_name(entry) and entry["name"] not in named):
            where = (*path[:-1], f"{path[-1]}[{entry['name']}]")
            if entry["name"] in named:
                yield from _beyond(entry, named[entry["name"]], where, skipped)
            else:
                yield ".".join(where)
        else:
            yield ".".join(path)


def _has_name(entry: Any) -> bool:
    return isinstance(entry, dict) and "name" in entry
