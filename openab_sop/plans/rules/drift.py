"""What somebody has changed by hand since the revision: the upgrade overwrites it, or Helm stops at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from openab_sop.agents import ownership
from openab_sop.escape import command
from openab_sop.objects import Object
from openab_sop.plans.plan import Key, Plan
from openab_sop.releases import provenance
from openab_sop.rule import blocks, warns
from openab_sop.verdict import Finding

_FATEFUL = (("data",), ("stringData",), ("binaryData",), ("spec", "template", "spec"), ("spec", "replicas"))
"""Parts of an object on which connection and service hang."""
_BOOKKEEPING = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
_RECORD = "pod-template-hash", "deployment.kubernetes.io/revision", "kubectl.kubernetes.io/restartedAt"
_SHOWN = 5


@blocks("edit-overwritten", "Somebody edited it for a reason; the upgrade undoes that.")
def edit_overwritten(plan: Plan) -> Iterator[Finding]:
    """A field that matters for connection or service differs from the record, and would be overwritten."""
    yield from (_finding(key, fields) for key, fields in _drifted(plan, fateful=True))


@warns("edit-lost", "The upgrade undoes a manual edit.")
def edit_lost(plan: Plan) -> Iterator[Finding]:
    """Another field differs from the record, and would be overwritten."""
    yield from (_finding(key, fields) for key, fields in _drifted(plan, fateful=False))


@blocks("edit-in-the-way", "Helm stops halfway, at a field that somebody else owns.")
def edit_in_the_way(plan: Plan) -> Iterator[Finding]:
    """Server-side apply refuses an object, because others own fields of it."""
    for refusal in plan.refusals:
        if refusal.reason == "edited":
            yield Finding(
                f"{refusal.kind}/{refusal.name}",
                refusal.said,
                "no field that somebody else has edited",
                "put the edit into the values, or take it back by kubectl, then run again",
            )


@blocks(ownership.RULE, "The other manager undoes the upgrade, or starts an agent in the middle of it.")
def owned_elsewhere(plan: Plan) -> Iterator[Finding]:
    """Flux, Argo CD or another manager applies or scales a Deployment of the release."""
    yield from plan.owned


@warns("object-gone", "Somebody deleted it; the upgrade creates it again, without what it held.")
def object_gone(plan: Plan) -> Iterator[Finding]:
    """An object of the record does not exist on the cluster."""
    for key in plan.old:
        if key not in plan.live and key in plan.new:
            yield Finding(
                "/".join(key), "it is not on the cluster", "every object of the revision", "helm get manifest"
            )


@blocks(provenance.RULE, "A sidecar, pull secret or account that a post-renderer added is gone afterwards.")
def not_from_chart(plan: Plan) -> Iterator[Finding]:
    """The record has objects or fields that the release's own chart does not render from its values."""
    yield from provenance.findings(plan.added)


RULES = (not_from_chart, owned_elsewhere, edit_overwritten, edit_lost, edit_in_the_way, object_gone)


def _drifted(plan: Plan, *, fateful: bool) -> Iterator[tuple[Key, list[str]]]:
    for key, restored in plan.restored.items():
        live = plan.live.get(key)
        if live is None or key not in plan.new:
            continue
        paths = [path for path in _differing(live, restored) if _is_fateful(path) == fateful]
        if paths:
            yield key, [".".join(path) for path in paths]


def _finding(key: Key, fields: list[str]) -> Finding:
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    return Finding(
        "/".join(key),
        f"edited by hand since the revision: {', '.join(fields[:_SHOWN])}{more}",
        "what Helm's record says",
        f"put it into the values; helm get manifest and {command('kubectl', 'get', *key)} show both",
    )


def _is_fateful(path: tuple[str, ...]) -> bool:
    return any(path[: len(start)] == start for start in _FATEFUL) and "resources" not in path


def _differing(live: object, restored: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths at which two objects differ, not their values: those may be secret."""
    if isinstance(live, dict) and isinstance(restored, dict):
        one, other = cast(Object, live), cast(Object, restored)
        for key in sorted(one.keys() | other.keys()):
            if above in ((), ("metadata",)) and (key in _BOOKKEEPING or key == "status"):
                continue
            if key not in _RECORD and one.get(key) != other.get(key):
                yield from _differing(one.get(key), other.get(key), (*above, key))
    elif isinstance(live, list) and isinstance(restored, list):
        ones, others = _named(cast(list[object], live)), _named(cast(list[object], restored))
        for key in sorted(ones.keys() | others.keys()):
            if ones.get(key) != others.get(key):
                yield from _differing(ones.get(key), others.get(key), (*above, key))
    elif live != restored:
        yield above


def _named(items: list[object]) -> dict[str, object]:
    """Items of a list by what the API tells them apart by, else by their place."""
    return {_name(item) or str(number): item for number, item in enumerate(items)}


def _name(item: object) -> str:
    """One volume may be mounted at several places: a mount's name is its place."""
    body = cast(Object, item) if isinstance(item, dict) else {}
    return str(body.get("mountPath") or body.get("name") or "")
