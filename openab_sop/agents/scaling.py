"""Stop an agent and start it again, leaving no trace that Helm would stumble over (SOP 5.1).

How many replicas it had stands on the Deployment itself while it is stopped, so that a later run can start it again
after this one was killed. Scaling takes ``spec.replicas`` from Helm's field manager; once it is back, our own entry is
taken out of the managed fields, so that Helm 4's server-side apply meets no conflict.
"""

from __future__ import annotations

import re

from openab_sop.agents import ownership
from openab_sop.agents.agent import Agent
from openab_sop.cluster import fields
from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.errors import Broken, Disturbed
from openab_sop.escape import command
from openab_sop.objects import Object, at, part
from openab_sop.wait import insist, wait

STOPPED = f"{MANAGER}/replicas"
"""Annotation of a Deployment that we have stopped: the replicas that it had."""
_REPLICAS = re.compile(r"[0-9]{1,3}")
STOP = 120
"""Seconds that an agent gets to end, beyond its own grace period."""


def stop(cluster: Cluster, agent: Agent) -> int:
    """Scale an agent to nothing and wait until its pods are gone; returns the replicas that it had.

    One without a Deployment has none.

    Raises:
        Disturbed: somebody gives it replicas again.
        SopError: a pod does not end.
    """
    deployment = cluster.find("Deployment", agent.deployment)
    if deployment is None:  # the version that runs has it under another name, or not at all
        return 0
    now = int(at(deployment, "spec", "replicas") or 0)
    noted = noted_replicas(deployment) if not now else None  # where it runs, nobody has stopped it since
    replicas = now if noted is None else noted
    change = {"metadata": {"annotations": {STOPPED: str(replicas)}}, "spec": {"replicas": 0}}
    cluster.merge("Deployment", agent.deployment, change)
    grace = at(deployment, "spec", "template", "spec", "terminationGracePeriodSeconds") or 30

    def left() -> str | None:
        names = [str(pod["metadata"]["name"]) for pod in cluster.list("Pod", agent.selector)]
        if names and (seen := scaled(cluster, agent)):
            raise Disturbed(f"{seen} while it was being stopped")
        return ", ".join(names) or None

    wait(
        left,
        what=f"the end of the pods of {agent.deployment}",
        timeout=grace + STOP,
        next_step=command("kubectl", "-n", cluster.namespace, "describe", "pods", "-l", agent.selector),
    )
    return replicas


def noted_replicas(deployment: Object) -> int | None:
    """Return the replicas that a Deployment had when we stopped it, as is noted there; None if we have not.

    Anybody who may change it may write there: of what is no number of replicas one is left, the only one that a volume
    with one writer allows (issue 14).
    """
    said = part(deployment, "metadata", "annotations").get(STOPPED)
    if said is None:
        return None
    return int(said) if _REPLICAS.fullmatch(str(said)) else 1


def scaled(cluster: Cluster, agent: Agent) -> str:
    """Tell who has given replicas to an agent that we have stopped; empty if nobody has."""
    deployment = cluster.find("Deployment", agent.deployment)
    if deployment is None or not (replicas := at(deployment, "spec", "replicas")):
        return ""
    by = next(iter(ownership.scalers(deployment, also_by_hand=True)), "somebody")
    return f"{agent.deployment} was scaled to {replicas} by {by}"


def let_start(cluster: Cluster, agent: Agent, wanted: int = 0) -> bool:
    """Give an agent that we stopped its replicas back, and do not wait; False if we had not stopped it.

    What refuses it is asked again for a while: an agent that stands still for a webhook's hiccup stands still for ever.

    Args:
        wanted: how many it gets if it had none: somebody had scaled it down, to protect its data for instance.
    """
    return insist(lambda: _let_start(cluster, agent, wanted))


def _let_start(cluster: Cluster, agent: Agent, wanted: int) -> bool:
    deployment = cluster.find("Deployment", agent.deployment)
    if deployment is None:
        return False
    noted = noted_replicas(deployment)
    if noted is None:
        fields.give_back(cluster, "Deployment", agent.deployment)  # a try before this one may have come so far
        return False
    change = {"metadata": {"annotations": {STOPPED: None}}, "spec": {"replicas": noted or wanted}}
    cluster.merge("Deployment", agent.deployment, change)
    try:
        fields.give_back(cluster, "Deployment", agent.deployment)
    except Broken:
        fields.give_back(cluster, "Deployment", agent.deployment)
    return True
