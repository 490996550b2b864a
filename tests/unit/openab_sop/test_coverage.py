"""Which volumes an agent has beside its home, and what of a release's data no backup has."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.agents.workload import Workload
from openab_sop.backups.coverage import uncovered

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
            [("the-data.x.y", "/a", ()), ("the-data.z", "/b", ())],
        ),
        (
            [AT_HOME, mount("data", "/data"), mount("more", "/data/more")],
            [("the-data", "/data", ("more",)), ("the-more", "/data/more", ())],
        ),
        (
            [mount("home", HOME, subPath="home"), mount("home", "/data", subPath="data")],
            [("the-home.data", "/data", ())],
        ),
        ([mount("work", f"{HOME}/work")], [("the-work", f"{HOME}/work", ())]),
    ],
)
def test_every_claim_that_it_writes_to_is_a_volume(
    mounts: list[dict[str, Any]], further: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    agent = Agent.of(workload(*mounts))
    assert [(v.volume, v.home, v.foreign) for v in agent.further] == further
    assert [v.key for v in agent.volumes] == ["bot", *(f"bot/volumes/{name}" for name, *_ in further)]
    assert {v.deployment for v in agent.volumes} == {"bot"}
    assert all(v.volumes == (v,) for v in agent.further)


def told(*bodies: dict[str, Any], pods: tuple[dict[str, Any], ...] = ()) -> list[str]:
    return list(uncovered(map(Workload, bodies), pods))


def test_what_agents_write_to_claims_is_covered() -> None:
    nothing = ({"name": "tmp", "emptyDir": {}}, {"name": "config", "configMap": {"name": "x"}})
    assert told(workload(AT_HOME, mount("data", "/data"), volumes=nothing)) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (workload(AT_HOME, mount("m", "/m", readOnly=True)), "bot: claim the-m, which the agent only reads"),
        (workload(AT_HOME, volumes=(claim("x"),)), "bot: claim the-x, which another container of the pod has"),
        (workload(AT_HOME, volumes=({"name": "h", "hostPath": {"path": "/"}},)), "bot: volume h (hostPath), which"),
        (workload(AT_HOME, volumes=({"name": "e", "ephemeral": {}},)), "bot: volume e (ephemeral), which is no"),
        (workload(mount("d", "/d"), container="web"), "bot: claim the-d, which is no agent's"),
        (workload(), f"bot: {HOME} is on no claim"),
        (
            {**workload(container="web", volumeClaimTemplates=[{"metadata": {"name": "log"}}]), "kind": "StatefulSet"},
            "bot: the claims of log, which each of its pods has",
        ),
    ],
)
def test_everything_else_is_said(body: dict[str, Any], said: str) -> None:
    (line,) = told(body)
    assert line.startswith(said)


def test_a_claim_that_others_use_is_said() -> None:
    def pod(name: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": labels}, "spec": {"volumes": [claim("home")]}}

    ours = {"app.kubernetes.io/managed-by": "openab-sop"}
    pods = (
        pod("bot-1", app="bot"),
        pod("other", app="x"),
        {**pod("helper"), "metadata": {"name": "h", "labels": ours}},
    )
    assert told(workload(AT_HOME), pods=pods) == ["claim the-home is used by pod other too, which no restore stops"]
