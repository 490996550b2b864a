"""Which volumes an agent has beside its home, and what of a release's data no backup has."""

from __future__ import annotations

from typing import Any, cast

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.agents.workload import Workload
from openab_sop.backups.coverage import elsewhere, shared, uncovered
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.releases.release import Release

HOME = "/home/agent"


def claim(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": f"the-{name}"}}


def workload(
    *mounts: dict[str, Any], volumes: tuple[dict[str, Any], ...] = (), container: str = "openab", **spec: Any
) -> dict[str, Any]:
    """A Deployment whose container mounts volumes; a claim for each mount that none is given for."""
    given = {volume["name"] for volume in volumes}
    claims = [claim(name) for name in dict.fromkeys(m["name"] for m in mounts) if name not in given]
    own = {"name": container, "env": [{"name": "HOME", "value": HOME}], "volumeMounts": list(mounts)}
    pod = {"containers": [own], "volumes": [*claims, *volumes]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "bot"},
        "spec": {"selector": {"matchLabels": {"app": "bot"}}, "template": {"spec": pod}, **spec},
    }


def mount(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


AT_HOME = mount("home", HOME)


@pytest.mark.parametrize(
    ("mounts", "further"),
    [
        ([AT_HOME], []),
        ([AT_HOME, mount("work", f"{HOME}/work")], [("the-work", f"{HOME}/work", ())]),
        ([AT_HOME, mount("data", "/data", readOnly=True)], []),
        ([AT_HOME, mount("data", "/data"), mount("data", "/again")], [("the-data", "/data", ())]),
        (
            [AT_HOME, mount("data", "/a", subPath="x/y"), mount("data", "/b", subPath="z")],
            [("the-data@z", "/b", ()), ("the-data@x=2Fy", "/a", ())],
        ),
        (
            [AT_HOME, mount("data", "/data"), mount("more", "/data/more")],
            [("the-data", "/data", ("more",)), ("the-more", "/data/more", ())],
        ),
        (
            [mount("home", HOME, subPath="home"), mount("home", "/data", subPath="data")],
            [("the-home@data", "/data", ())],
        ),
        ([mount("work", f"{HOME}/work")], [("the-work", f"{HOME}/work", ())]),
        # of one claim, what another mount holds already
        ([AT_HOME, mount("home", "/part", subPath="part")], []),
        ([mount("home", HOME, subPath="home"), mount("home", "/whole")], []),
        ([AT_HOME, mount("data", "/part", subPath="part"), mount("data", "/whole")], [("the-data", "/whole", ())]),
        # what is named at the start
        ([AT_HOME, mount("data", "/data", subPathExpr="$(NAME)")], []),
        (
            [AT_HOME, mount("data", "/a", subPath="x.y"), mount("data", "/b", subPath="x/y")],
            [("the-data@x.y", "/a", ()), ("the-data@x=2Fy", "/b", ())],
        ),
    ],
)
def test_every_claim_that_it_writes_to_is_a_volume(
    mounts: list[dict[str, Any]], further: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    agent = Agent.of(workload(*mounts))
    assert [(v.volume, v.home, v.excluded_mounts) for v in agent.further] == further
    assert [v.key for v in agent.volumes] == ["bot", *(f"bot/volumes/{name}" for name, *_ in further)]
    assert {v.deployment for v in agent.volumes} == {"bot"}
    assert all(v.volumes == (v,) for v in agent.further)


def test_a_part_of_the_homes_claim_at_its_own_place_is_nothing_else() -> None:
    agent = Agent.of(workload(AT_HOME, mount("home", f"{HOME}/.codex", subPath=".codex"), mount("x", f"{HOME}/x")))
    assert agent.excluded_mounts == ("x",)
    moved = Agent.of(workload(AT_HOME, mount("home", f"{HOME}/.codex", subPath="elsewhere")))
    assert moved.excluded_mounts == (".codex",)


def named(name: str, body: dict[str, Any]) -> Agent:
    return Agent.of({**body, "metadata": {"name": name}})


def release(*agents: Agent, others: frozenset[str] = frozenset()) -> list[str]:
    """The keys of the volumes that a release's backup has."""
    return [v.key for v in Release(cast(Helm, None), "r", 1, "", "", "", agents, (), (), (), others).volumes]


def test_each_volume_of_a_release_is_taken_once() -> None:
    one, two = (named(n, workload(mount(n, HOME), mount("data", "/data"))) for n in "ab")
    assert release(one, two) == ["a", "b", "a/volumes/the-data"]
    assert release(one, two, others=frozenset({"the-data"})) == ["a", "b"]
    parts = [named(n, workload(mount(n, HOME), mount("data", "/data", subPath=n))) for n in "ab"]
    assert release(*parts) == ["a", "b", "a/volumes/the-data@a", "b/volumes/the-data@b"]
    whole = named("c", workload(mount("data", HOME)))
    assert release(whole, *parts) == ["c", "a", "b"]


def told(*bodies: dict[str, Any]) -> list[str]:
    workloads = [Workload(body) for body in bodies]
    kept = {v.claim for w in workloads if w.is_agent for v in Agent.of(w.body).volumes if v.claim}
    return list(uncovered(workloads, kept))


def test_what_agents_write_to_claims_is_covered() -> None:
    nothing: tuple[dict[str, Any], ...] = ({"name": "tmp", "emptyDir": {}}, {"name": "config", "configMap": {}})
    assert told(workload(AT_HOME, mount("data", "/data"), volumes=nothing)) == []


READ_ONLY: dict[str, Any] = {"name": "m", "persistentVolumeClaim": {"claimName": "the-m", "readOnly": True}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (workload(AT_HOME, mount("m", "/m", readOnly=True)), "bot: claim the-m, which the agent only reads"),
        (workload(AT_HOME, mount("m", "/m"), volumes=(READ_ONLY,)), "bot: claim the-m, which the agent only reads"),
        (workload(AT_HOME, volumes=(claim("x"),)), "bot: claim the-x, which another container of the pod has"),
        (workload(AT_HOME, volumes=({"name": "h", "hostPath": {"path": "/"}},)), "bot: volume h (hostPath), which"),
        (workload(AT_HOME, volumes=({"name": "e", "ephemeral": {}},)), "bot: volume e (ephemeral), which is no"),
        (workload(mount("d", "/d"), container="web"), "bot: claim the-d, which is no agent's"),
        (workload(), f"bot: {HOME} is on no claim"),
        (
            workload(mount("home", HOME, subPath="home"), mount("home", "/whole")),
            "bot: /whole, a part of claim the-home",
        ),
        (
            {**workload(container="web", volumeClaimTemplates=[{"metadata": {"name": "log"}}]), "kind": "StatefulSet"},
            "bot: the claims of log, which each of its pods has",
        ),
    ],
)
def test_everything_else_is_said(body: dict[str, Any], said: str) -> None:
    (line,) = told(body)
    assert line.startswith(said)


def test_what_others_write_to_is_said() -> None:
    both = workload(AT_HOME, mount("data", "/data"))
    assert list(uncovered([Workload(both)], {"the-home"})) == ["bot: claim the-data, which others write to as well"]


def test_a_claim_that_others_use_is_said() -> None:
    def pod(name: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": labels}, "spec": {"volumes": [claim("home")]}}

    ours = {"app.kubernetes.io/managed-by": "openab-sop"}
    ended = {**pod("ended", app="x"), "status": {"phase": "Succeeded"}}
    helper = {**pod("helper"), "metadata": {"name": "helper", "labels": ours}}
    pods = (pod("bot-1", app="bot"), pod("other", app="x"), ended, helper)
    said = list(shared([Workload(workload(AT_HOME))], {"the-home"}, pods))
    assert said == ["claim the-home is used by pod other too, which no restore stops"]


class Holding(Cluster):
    """A cluster that has one ConfigMap."""

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        return {"data": {"config.toml": getattr(self, "text"), "AGENTS.md": "x"}}  # noqa: B009


@pytest.mark.parametrize(
    ("text", "names"),
    [("[hooks.pre_seed]\nsources = ['s3://b/x.zip']\n", ["hooks.pre_seed"]), ("[agent]\n", []), ("= no TOML", [])],
)
def test_what_an_agent_loads_from_elsewhere_is_in_no_backup(text: str, names: list[str]) -> None:
    body = workload(mount("data", HOME), volumes=({"name": "config", "configMap": {"name": "c"}}, claim("data")))
    found = elsewhere(Holding(text), Workload(body))
    assert [told.split(":")[1].strip() for told in found] == names
