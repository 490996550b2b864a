"""The rights that Helm takes to lead a release from one manifest to another, asked by name (SOP 0.4, issue 12 D)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from openab_sop.agents.workload import KINDS
from openab_sop.cluster.kube import Access, Cluster
from openab_sop.errors import Forbidden, NotFound
from openab_sop.objects import Object, at
from openab_sop.plans.plan import Key
from openab_sop.releases.manifest import is_kept


def missing(
    cluster: Cluster, olds: Mapping[Key, Object], news: Mapping[Key, Object], *, one_way: bool = False
) -> Iterator[tuple[Key, tuple[str, ...]]]:
    """Yield what the caller may not do, by object; a Role may name what it allows.

    Objects of other namespaces, and kinds that are not served, are passed over: others name them.

    Args:
        olds, news: the two manifests.
        one_way: whether nothing leads back; else what the one makes, the other deletes.

    Raises:
        ClusterError: the API did not answer.
    """
    for key in dict.fromkeys((*olds, *news)):
        old, new = olds.get(key), news.get(key)
        if at(new or old or {}, "metadata", "namespace") not in (None, cluster.namespace):
            continue
        with suppress(NotFound, Forbidden):
            served = cluster.served(new or old or {})
            wanted = (
                Access(verb, served.resource, served.group, served.namespaced, "" if verb == "create" else key[1])
                for verb in (_there(old, new) if one_way else _there_and_back(old, new))
            )
            if denied := tuple(str(access) for access in wanted if not cluster.allowed(access)):
                yield key, denied


def _there_and_back(old: Object | None, new: Object | None) -> tuple[str, ...]:
    """Return what Helm does to an object on the way there and back, as the API's verbs (SOP 3.2, 4.2).

    Args:
        old, new: as it is in the present manifest and in the target; None if it is not there.
    """
    if old is None or new is None:
        if not is_kept(old or new or {}):
            return ("get", "create", "delete")
        return ("get", "create") if old is None else ("get",)
    if old != new:
        return ("get", "patch")
    return ("get",) if new.get("kind") in KINDS else ()  # what keeps pods running is watched


def _there(old: Object | None, new: Object | None) -> tuple[str, ...]:
    """Return the same for one way: what is there already is not made, and what comes is not deleted."""
    if new is None:
        return () if is_kept(old or {}) else ("get", "delete")
    return ("get", "create") if old is None else _there_and_back(old, new)
