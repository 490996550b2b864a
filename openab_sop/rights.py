"""What a caller must be allowed to do, by stage: asked before anything is done, and printed as roles (SOP 0.4).

``python -m openab_sop.rights STAGE...`` prints the least roles for these stages. What a chart renders beyond what every
version of it does (a Service, say) is not in here: the plan asks for that by name (``rights-missing``).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence

import yaml

from openab_sop.agents import prepull
from openab_sop.cluster.kube import MANAGER, Access
from openab_sop.objects import Object
from openab_sop.rehearsals import scratch
from openab_sop.restores import reinstall
from openab_sop.rollouts import rollout

_READS = (
    Access("list", "secrets"),
    Access("get", "secrets"),
    Access("get", "deployments", "apps"),
    Access("list", "pods"),
)
_PREPARES = (
    *_READS,
    Access("get", "pods"),
    Access("get", "pods/exec"),  # what kubectl asks for over websockets
    Access("create", "pods/exec"),
)
"""The size of the homes is asked in the pods."""
_COPIES = (*_PREPARES, Access("get", "configmaps"), Access("get", "persistentvolumeclaims"))
_HOLDS = (
    Access("create", "pods"),
    Access("delete", "pods"),
    Access("get", "pods/attach"),
    Access("create", "pods/attach"),
    Access("list", "replicasets", "apps"),
)
"""What a helper pod takes."""
_PLANS = (
    *_COPIES,
    Access("create", "pods"),
    *(Access("patch", kind) for kind in ("secrets", "configmaps", "persistentvolumeclaims")),
    *(Access(verb, "deployments", "apps") for verb in ("create", "patch")),
)
"""Dry runs take the rights of what they try; they store nothing."""
_LOCKS = tuple(Access(verb, "leases", "coordination.k8s.io") for verb in ("get", "create", "patch", "delete"))
_CHANGES = (
    *_COPIES,
    *_HOLDS,
    *_LOCKS,
    *prepull.NEEDED,
    *rollout.NEEDED,
    *(Access(verb, "secrets") for verb in ("create", "update", "patch", "delete")),  # helm's own records too
    *(Access(verb, "configmaps") for verb in ("create", "patch", "delete")),
    *(Access(verb, "persistentvolumeclaims") for verb in ("create", "patch", "delete")),
    *(Access(verb, "deployments", "apps") for verb in ("create", "patch", "delete")),
)
"""What Helm takes for what every version of the chart renders."""

MAKE_NAMESPACE = Access("create", "namespaces", in_namespace=False)
_REBUILDS = (
    *_COPIES,
    *_HOLDS,
    *(Access(verb, "persistentvolumeclaims") for verb in ("create", "patch")),
    *(Access(verb, "deployments", "apps") for verb in ("create", "patch")),
    *(Access(verb, "configmaps") for verb in ("create", "patch")),
    *(Access(verb, "secrets") for verb in ("create", "update", "patch", "delete")),
)
NEEDED: dict[str, tuple[Access, ...]] = {
    "preparation": _PREPARES,
    "target": (*_PREPARES, Access("get", "persistentvolumeclaims")),
    "backup": _COPIES,
    "plan": _PLANS,
    "rehearsal": _COPIES,
    "upgrade": _CHANGES,
    "rollback": _CHANGES,
    "restore": (
        *_COPIES,
        *_HOLDS,
        *_LOCKS,
        Access("patch", "deployments", "apps"),
        Access("patch", "persistentvolumeclaims"),
        Access("create", "secrets"),
        Access("patch", "secrets"),
    ),
    "rebuild": _REBUILDS,
    "reinstall": (*_CHANGES, *_REBUILDS, *reinstall.NEEDED),
}
"""By stage, what it cannot do without; readiness asks for it."""
_HELPS = (*_HOLDS, *rollout.USEFUL)
_SNAPSHOTS = (
    *(Access(verb, "volumesnapshots", "snapshot.storage.k8s.io") for verb in ("create", "get")),
    Access("create", "persistentvolumeclaims"),
    Access("list", "volumesnapshotclasses", "snapshot.storage.k8s.io", in_namespace=False),
)
_SEES = (
    Access("get", "namespaces", in_namespace=False),
    Access("list", "nodes", in_namespace=False),
    Access("list", "pods", in_namespace=False),
    Access("get", "persistentvolumes", in_namespace=False),
    Access("list", "storageclasses", "storage.k8s.io", in_namespace=False),
    Access("list", "resourcequotas"),
)
_WAITS = (*rollout.USEFUL, Access("list", "resourcequotas"), Access("list", "nodes", in_namespace=False))
"""What tells whether a pod gets room by itself."""
_REHEARSES = (
    *scratch.NEEDED,
    *scratch.CUTS_OFF,
    *rollout.USEFUL,
    Access("get", "serviceaccounts"),
    Access("get", "leases", "coordination.k8s.io"),
)
_NAMED = (
    Access("get", "serviceaccounts"),
    Access("get", "priorityclasses", "scheduling.k8s.io", in_namespace=False),
    Access("get", "runtimeclasses", "node.k8s.io", in_namespace=False),
)
WANTED: dict[str, tuple[Access, ...]] = {
    "backup": (*_HELPS, *_SNAPSHOTS),  # an agent that does not run is reached by a helper pod
    "target": _SEES,
    "plan": _SEES,
    "rehearsal": (*_REHEARSES, *_SEES),
    "upgrade": (*_REHEARSES, Access("get", "nodes", in_namespace=False)),  # the old version's start, on a copy
    "rollback": _WAITS,
    "restore": _WAITS,
    "rebuild": (MAKE_NAMESPACE, *_SEES, *_NAMED),
}
"""By stage, what it takes for all that it can do; without it the report says what was left out."""
BRINGS = {
    "upgrade": ("target", "backup", "plan", "rollback"),
    "rehearsal": ("target",),
    "plan": ("target",),
    "reinstall": ("rebuild",),
}
"""Whatever else such a stage does."""


def roles(stages: Sequence[str], *, least: bool = False) -> list[Object]:
    """Return a Role for the release's namespace, and a ClusterRole if what no namespace holds is looked at.

    Args:
        stages: what shall be done.
        least: only what the stages cannot do without.

    Raises:
        KeyError: there is no such stage.
    """
    every = list(dict.fromkeys(name for stage in stages for name in (stage, *BRINGS.get(stage, ()))))
    wanted = [access for stage in every for access in (*NEEDED[stage], *(() if least else WANTED.get(stage, ())))]
    name = "-".join((MANAGER, *stages))
    inside = _rules(access for access in wanted if access.in_namespace)
    outside = _rules(access for access in wanted if not access.in_namespace)
    found = [("Role", inside), ("ClusterRole", outside)]
    return [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "rules": rules}
        for kind, rules in found
        if rules
    ]


def _rules(wanted: Iterable[Access]) -> list[Object]:
    """Join what may be done: a rule for each group and set of verbs."""
    verbs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for access in wanted:
        verbs[access.group, access.resource].add(access.verb)
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), several in sorted(verbs.items()):
        alike[group, tuple(sorted(several))].append(resource)
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(several)}
        for (group, several), resources in alike.items()
    ]


def printed(stages: Sequence[str], *, least: bool = False, namespace: str | None = None) -> str:
    """Return the roles for stages as YAML; the Role names the namespace if one is given.

    Raises:
        KeyError: there is no such stage.
    """
    found = roles(stages, least=least)
    for role in found:
        if namespace is not None and role["kind"] == "Role":
            role["metadata"]["namespace"] = namespace
    return yaml.safe_dump_all(found, sort_keys=False)


def main() -> None:
    """Print roles for stages."""
    parser = argparse.ArgumentParser(
        prog="python -m openab_sop.rights",
        description="Print the roles that stages take, for: kubectl -n NAMESPACE create -f -",
    )
    parser.add_argument("stages", nargs="+", metavar="STAGE", choices=sorted(NEEDED), help=", ".join(sorted(NEEDED)))
    parser.add_argument("--least", action="store_true", help="leave out what a stage can do without")
    arguments = parser.parse_args()
    print(printed(arguments.stages, least=arguments.least), end="")


if __name__ == "__main__":
    main()
