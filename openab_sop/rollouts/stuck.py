"""Pods that a StatefulSet waits for in vain: those of a version that was taken back (SOP 4.4).

It replaces a pod only once the one before is Ready, also where that one never can be. Kubernetes' documentation has
whoever brings back an older template delete it by hand ("Forced rollback"):
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openab_sop.agents.agent import Runner
from openab_sop.cluster.kube import Cluster
from openab_sop.objects import Object, at, parts
from openab_sop.rollouts import rollout
from openab_sop.shown import command
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
            lambda runner=runner: None if rollout.observe(cluster, runner).current else "it has the newer template",
            what=f"the controller's look at {runner.deployment}",
            timeout=HEARD,
            next_step=command("kubectl", "-n", cluster.namespace, "describe", "statefulset", runner.name),
        )
        own = {str(at(pod, "metadata", "uid")) for pod in _pods(cluster, runner)}  # others may bear the same labels
        for pod in rollout.observe(cluster, runner).others:
            if pod.uid in own and not pod.ready and not pod.deleting:
                cluster.delete("Pod", pod.name, pod.uid)
                gone.append(pod.name)
    return gone


def _pods(cluster: Cluster, runner: Runner) -> Iterator[Object]:
    """Yield the pods that a StatefulSet owns."""
    uid = at(cluster.get(runner.kind, runner.name), "metadata", "uid")
    for pod in cluster.list("Pod", runner.selector):
        if any(owner.get("uid") == uid for owner in parts(pod, "metadata", "ownerReferences")):
            yield pod
