"""What the pods of a release cannot start without."""

from __future__ import annotations

from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import new_name
from openab_sop.agents.own_pod import create, own_pod
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.kubeconfig import KubeConfig
from openab_sop.objects import Object
from openab_sop.restores import preconditions
from openab_sop.restores.mounted_volume import pods_with
from tests.unit.openab_sop.plans.drawn import AGENT, deployment, variable


def test_what_kubernetes_makes_by_itself_is_not_among_it() -> None:
    body = deployment(token={}, mounts=(), covers=(), pod={"serviceAccountName": "default"})
    assert ("ServiceAccount", "default") not in set(preconditions.needs(Workload(body)))


def test_what_pods_cannot_start_without() -> None:
    """What may be missing is not among it."""
    env = [variable("A", "tokens"), variable("B", "perhaps", optional=True)]
    named = {"serviceAccountName": "bot", "priorityClassName": "high", "runtimeClassName": "strict"}
    body = deployment(env=env, mounts=[("/home/agent", ""), ("/data", "", "shared")], pod=named)
    assert set(preconditions.needs(Workload(body))) == {
        ("Secret", "rel-kiro"),
        ("Secret", "tokens"),
        ("ConfigMap", "rel-kiro"),
        ("PersistentVolumeClaim", "rel-kiro"),
        ("PersistentVolumeClaim", "shared"),
        ("ServiceAccount", "bot"),
        ("PriorityClass", "high"),
        ("RuntimeClass", "strict"),
    }


class Pods(Cluster):
    """A cluster with pods that have a claim; what is made is there."""

    def create(self, kind: str, body: Object) -> Object:
        there.append(body)
        return body

    def all(self, kind: str) -> list[Object]:
        return there


there: list[Object] = []


def test_a_pod_is_ours_if_this_run_has_made_it_whatever_is_noted_on_others() -> None:
    """Who runs now stands on each of our pods: anybody may copy that to another (issue 14)."""
    cluster = Pods(KubeConfig((), "", "here", "https://cluster.test", "chat", ""), api=object())
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": AGENT}}]
    agent = Agent(AGENT, "openab", "a=b", "/home", AGENT, (), (), ())
    template = {"containers": [{"name": "openab", "image": "x"}]}
    ours = own_pod(new_name(agent), agent, template, command=["true"], lifetime=9, volumes=volumes)
    create(cluster, ours)
    assert pods_with(cluster, AGENT) == []
    forged = {**ours, "metadata": {**ours["metadata"], "name": "openab-sop-rel-kiro-0badcafe"}}
    there.append(forged)
    assert pods_with(cluster, AGENT) == [forged]
