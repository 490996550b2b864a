"""Effects that no single object shows: the configuration is another one, and the pod runs on with the old."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.escape import command
from openab_sop.objects import Object, part
from openab_sop.plans.plan import Plan
from openab_sop.rule import warns
from openab_sop.verdict import Finding


@warns("not-restarted", "The pod keeps the old configuration until its next restart, and may break then.")
def not_restarted(plan: Plan) -> Iterator[Finding]:
    """Configuration that the pod reads at its start changes, but its pod template does not."""
    for old, new in plan.staying:
        if old.template != new.template:
            continue
        for kind in ("ConfigMap", "Secret"):
            for name in dict.fromkeys(name for name, *_ in new.references(kind)):
                was, would = plan.old.get((kind, name)), plan.new.get((kind, name))
                if was and would and _data(was) != _data(would):
                    yield Finding(
                        f"{new.name}.{name}",
                        f"{kind} {name} changes, and the pod is not replaced",
                        "a pod that starts with what it was given",
                        "pytest suites/upgrade restarts and judges it; after a plain helm upgrade: "
                        + command("kubectl", "rollout", "restart", f"deployment/{new.name}"),
                    )


RULES = (not_restarted,)


def _data(body: Object) -> list[Object]:
    return [part(body, field) for field in ("data", "stringData", "binaryData")]
