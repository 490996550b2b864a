"""Whether the target could do more than the release does: in the cluster, by rights, on the node (issue 14)."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.plans.plan import Plan
from openab_sop.releases import authority
from openab_sop.rule import blocks
from openab_sop.verdict import Finding

_ASK = "read it in the chart, and ask its authors what it is for, before you accept it"


@blocks(authority.BEYOND, "What others rely on changes with a release of yours, and a rollback need not mend it.")
def beyond_namespace(plan: Plan) -> Iterator[Finding]:
    """The target makes what no namespace holds, or something in another namespace, and the release does not."""
    yield from _added(plan, authority.BEYOND, "objects of the release's own namespace")


@blocks(authority.GRANTS, "Who gets these rights may read Secrets, or act as somebody else, from now on.")
def grants_rights(plan: Plan) -> Iterator[Finding]:
    """The target gives rights, takes part in the API's work, or acts as another account, and the release does not."""
    yield from _added(plan, authority.GRANTS, "the rights that the release has")


@blocks(authority.HOST, "From there a bot reaches the node, and with it everything that runs on it.")
def host_access(plan: Plan) -> Iterator[Finding]:
    """The target's pods have access to the node that the release's have not."""
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
