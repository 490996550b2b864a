"""Whether the target could do more than the release does: in the cluster, by rights, on the node (issue 14)."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.plans.plan import Plan
from openab_sop.releases import authority
from openab_sop.rule import blocks
from openab_sop.verdict import Finding

_ASK = "read it in the chart, and ask its authors what it is for, before you accept it"


@blocks(authority.BEYOND, "It changes what others rely on, and a rollback may not undo that.")
def beyond_namespace(plan: Plan) -> Iterator[Finding]:
    """The target creates objects outside the namespace that the release does not have."""
    yield from _added(plan, authority.BEYOND, "objects of the release's own namespace")


@blocks(authority.GRANTS, "Whoever gets these rights may read Secrets or act as somebody else.")
def grants_rights(plan: Plan) -> Iterator[Finding]:
    """The target grants rights, extends the API, or uses another service account, and the release does not."""
    yield from _added(plan, authority.GRANTS, "the rights that the release has")


@blocks(authority.HOST, "A bot with access to the node reaches everything that runs on it.")
def host_access(plan: Plan) -> Iterator[Finding]:
    """The target's pods have access to the node that the release's pods do not have."""
    yield from _added(plan, authority.HOST, "pods as far from the node as they are")


RULES = (beyond_namespace, grants_rights, host_access)


def _added(plan: Plan, rule: str, expected: str) -> Iterator[Finding]:
    old, new = (
        authority.powers((*side.objects, *hooks.objects), plan.namespace, plan.wide)
        for side, hooks in ((plan.before, plan.hooks_before), (plan.after, plan.hooks))
    )
    for (name, subject), told in authority.beyond(new, old).items():
        if name == rule:
            yield Finding(subject, f"the target adds: {told}", expected, _ASK)
