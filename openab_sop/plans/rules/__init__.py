"""Known ways in which an upgrade hurts, a file for each kind; pure: a plan in, findings out."""

from __future__ import annotations

from openab_sop.plans.plan import Plan
from openab_sop.plans.rules import (
    authority,
    cluster,
    configuration,
    data,
    drift,
    images,
    path,
    restarts,
    volumes,
    workloads,
)
from openab_sop.rule import Rule

SUBJECTS: dict[str, tuple[Rule[Plan], ...]] = {
    "volumes": volumes.RULES,
    "workloads": workloads.RULES,
    "images": images.RULES,
    "configuration": configuration.RULES,
    "restarts": restarts.RULES,
    "drift": drift.RULES,
    "cluster": cluster.RULES,
    "authority": authority.RULES,
    "data": data.RULES,
    "path": path.RULES,
}
"""Every rule, by what it looks at, in the order in which a report has them."""
