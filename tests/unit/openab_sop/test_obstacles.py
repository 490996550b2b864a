"""What the pods of a release cannot start without."""

from __future__ import annotations

from openab_sop.agents.workload import Workload
from openab_sop.restores import obstacles
from tests.unit.openab_sop.plans.drawn import deployment, variable


def test_what_kubernetes_makes_by_itself_is_not_among_it() -> None:
    body = deployment(token={}, mounts=(), covers=(), pod={"serviceAccountName": "default"})
    assert ("ServiceAccount", "default") not in set(obstacles.needs(Workload(body)))


def test_what_pods_cannot_start_without() -> None:
    """What may be missing is not among it."""
    env = [variable("A", "tokens"), variable("B", "perhaps", optional=True)]
    named = {"serviceAccountName": "bot", "priorityClassName": "high", "runtimeClassName": "strict"}
    body = deployment(env=env, mounts=[("/home/agent", ""), ("/data", "", "shared")], pod=named)
    assert set(obstacles.needs(Workload(body))) == {
        ("Secret", "rel-kiro"),
        ("Secret", "tokens"),
        ("ConfigMap", "rel-kiro"),
        ("PersistentVolumeClaim", "rel-kiro"),
        ("PersistentVolumeClaim", "shared"),
        ("ServiceAccount", "bot"),
        ("PriorityClass", "high"),
        ("RuntimeClass", "strict"),
    }
