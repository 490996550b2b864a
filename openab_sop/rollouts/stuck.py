"""Pods that a StatefulSet waits for in vain: those of a version that was taken back (SOP 4.4).

It replaces a pod only once the one before is Ready, also where that one never can be. Kubernetes' documentation has
whoever brings back an older template delete it by hand ("Forced rollback"):
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""

from __future__ import annotations

from collections.abc import Iterable

from openab_sop.agents.agent import Runner
from openab_sop.cluster.kube import Cluster
from openab_sop.escape import command
from openab_sop.rollouts import rollout
from openab_sop.wait import wait

HEARD = 30
"""Seconds in which the controller must have seen the older template."""


def replace_stuck(cluster: Cluster, runners: Iterable[Runner]) -> list[str]:
    """Delete the pods of another template that are not Ready and that a StatefulSet waits for; returns their names.

    Raises:
        ClusterError: the API did not answer, or refused.
        SopError: the controller is not at work.
    """
    gone: list[str] = []
    for runner in (runner for runner in runners if runner.kind == "StatefulSet"):
        wait(
            lambda runner=runner: (
                None if rollout.observe(cluster, runner).current else "it still has the newer template"
            ),
            what=f"the controller's look at {runner.deployment}",
            timeout=HEARD,
            next_step=command("kubectl", "-n", cluster.namespace, "describe", "statefulset", runner.name),
        )
        for pod in rollout.observe(cluster, runner).others:
            if not pod.ready and not pod.deleting:
                cluster.delete("Pod", pod.name, pod.uid)
                gone.append(pod.name)
    return gone
