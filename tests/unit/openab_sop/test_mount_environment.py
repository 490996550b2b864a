"""Which variables a mount's expression takes, what they are, and which of them no other pod can have."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.agents.mount_environment import MountEnvironment
from openab_sop.agents.workload import Workload
from openab_sop.backups.coverage import uncovered

HOME = "/home/agent"


def plain(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def key(name: str, kind: str = "secret", **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {f"{kind}KeyRef": {"name": "it", "key": "k", **more}}}


def environment(*env: dict[str, Any], source: list[dict[str, Any]] | None = None, **spec: Any) -> MountEnvironment:
    metadata = {
        "labels": {"team": "red", "pod-template-hash": "x"},
        "annotations": {"example.com/part": "a$(B)"},
    }
    return MountEnvironment({"env": list(env), "envFrom": source or []}, {"metadata": metadata, "spec": spec})


CHAIN = (plain("TOKEN", "secret"), plain("A", "a"), plain("B", "$(A)/b"), plain("PART", "$(B)/c"))


@pytest.mark.parametrize(
    ("env", "expression", "names", "expanded"),
    [
        ((plain("PART", "of-kiro"), plain("TOKEN", "t")), "$(PART)", ["PART"], "of-kiro"),
        (CHAIN, "x/$(PART)", ["A", "B", "PART"], "x/a/b/c"),
        # a value refers only to variables before it; what it cannot refer to stays as it is written
        ((plain("PART", "$(LATER)"), plain("LATER", "l")), "$(PART)", ["PART"], "$(LATER)"),
        ((plain("PART", "$(PART)"),), "$(PART)", ["PART"], "$(PART)"),
        # the last of a name counts, and a reference sees the one before
        ((plain("A", "1"), plain("B", "$(A)"), plain("A", "2")), "$(A)$(B)", ["A", "B", "A"], "21"),
        # escapes and signs that begin nothing
        ((plain("A", "a"),), "$$(A)", [], "$(A)"),
        ((plain("A", "a"),), "$$$(A)", ["A"], "$a"),
        ((plain("A", "a"), plain("PART", "$$(A)")), "$(PART)", ["PART"], "$(A)"),
        ((plain("A", "a"),), "$A$(A", [], "$A$(A"),
        ((plain("A", "a"),), "costs$", [], "costs$"),
        # what nothing sets, and what is empty, kubelet refuses
        ((plain("A", "a"),), "$(MISSING)", [], None),
        ((plain("A", ""),), "$(A)", ["A"], None),
        ((), "of-all", [], "of-all"),
        # elsewhere
        ((key("PART"), plain("TOKEN", "t")), "$(PART)", ["PART"], None),
        ((key("A", "configMap"), plain("PART", "x-$(A)")), "$(PART)", ["A", "PART"], None),
        # an optional key may set nothing: then the one before counts
        ((plain("A", "1"), key("A", optional=True)), "$(A)", ["A", "A"], None),
        ((plain("A", "1"), key("A")), "$(A)", ["A"], None),
        ((field("NS", "metadata.namespace"),), "$(NS)", ["NS"], None),
        # variables of services are kubelet's own
        ((), "$(KUBERNETES_SERVICE_HOST)", [], None),
    ],
)
def test_what_an_expression_takes(
    env: tuple[dict[str, Any], ...], expression: str, names: list[str], expanded: str | None
) -> None:
    its = environment(*env)
    assert [entry["name"] for entry in its.kept([expression])] == names
    assert [entry for entry in env if entry in its.kept([expression])] == its.kept([expression])
    assert its.expanded(expression) == expanded
    assert its.cannot_be_met(expression) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels['team']", "red"),
        ("metadata.annotations['example.com/part']", "a$$(B)"),
        ("spec.serviceAccountName", "bots"),
        ("spec.nodeName", "n1"),
    ],
)
def test_what_the_template_fixes_is_a_plain_value(path: str, value: str) -> None:
    its = environment(field("F", path), serviceAccountName="bots", nodeName="n1")
    assert its.kept(["$(F)"]) == [plain("F", value)]
    assert its.expanded("x/$(F)") == "x/" + value.replace("$$", "$")
    assert its.cannot_be_met("$(F)") == []


@pytest.mark.parametrize(
    "path",
    [
        "metadata.name",
        "metadata.uid",
        "metadata.labels['other']",
        "metadata.labels['pod-template-hash']",
        "metadata.annotations['other']",
        "spec.nodeName",
        "status.podIP",
        "status.podIPs",
        "status.hostIP",
    ],
)
def test_what_each_pod_has_of_its_own(path: str) -> None:
    its = environment(plain("A", "a"), field("F", path), plain("PART", "$(A)-$(F)"))
    assert its.cannot_be_met("$(PART)") == [f"F ({path})"]
    assert its.expanded("$(PART)") is None
    assert its.cannot_be_met("$(A)") == []


def test_a_value_of_the_containers_resources_or_of_a_file() -> None:
    its = environment(
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "FILE", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}},
    )
    assert its.cannot_be_met("$(FILE)/$(CPU)") == ["CPU (limits.cpu)", "FILE (fileKeyRef)"]


def test_a_name_that_a_whole_source_may_bring() -> None:
    source = [{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c", "optional": True}}]
    its = environment(plain("TOKEN", "t"), source=source)
    secret = {"name": "s", "key": "P_PART", "optional": True}
    mapped = {"name": "c", "key": "PART", "optional": True}
    assert its.kept(["$(P_PART)"]) == [
        {"name": "P_PART", "valueFrom": {"secretKeyRef": secret}},
        {"name": "P_PART", "valueFrom": {"configMapKeyRef": mapped}},
    ]
    assert its.expanded("$(P_PART)") is None
    assert its.kept(["plain"]) == []


def deployment(*mounts: dict[str, Any], env: list[dict[str, Any]]) -> dict[str, Any]:
    own = {"name": "openab", "env": [plain("HOME", HOME), *env], "volumeMounts": list(mounts)}
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": f"the-{name}"}} for name in ("home", "data")]
    return {
        "kind": "Deployment",
        "metadata": {"name": "bot"},
        "spec": {
            "selector": {"matchLabels": {"app": "bot"}},
            "template": {"spec": {"containers": [own], "volumes": claims}},
        },
    }


def by(expression: str, path: str = HOME, name: str = "home") -> dict[str, Any]:
    return {"name": name, "mountPath": path, "subPathExpr": expression}


def test_a_part_is_what_its_expression_means() -> None:
    agent = Agent.of(deployment(by("$(A)"), by("$(A)/in", "/in"), by("b", "/b"), env=[plain("A", "a")]))
    assert (agent.part, agent.unmet) == ("a", "")
    assert [(v.volume, v.part) for v in agent.further] == [("the-home@b", "b")]
    data = Agent.of(deployment(by("$(A)"), by("$(A)", "/data", "data"), env=[plain("A", "x/y")]))
    assert [v.key for v in data.volumes] == ["bot", "bot/volumes/the-data@x=2Fy"]


def test_a_part_that_is_elsewhere_is_kept_as_the_home_alone() -> None:
    """Whether it holds another part of its claim, nobody knows: that is named."""
    body = deployment(by("$(A)"), by("b", "/b"), by("$(A)", "/data", "data"), env=[key("A")])
    agent = Agent.of(body)
    assert (agent.part, agent.unmet, agent.further) == ("$(A)", "", ())
    assert list(uncovered([Workload(body)], {"the-home", "the-data"})) == [
        "bot: /b, a part of claim the-home that is no directory of its own",
        "bot: /data, a part of claim the-data that is named when a pod starts ($(A))",
    ]


def test_a_home_that_no_other_pod_can_mount_is_said() -> None:
    body = deployment(by("$(POD)"), env=[field("POD", "metadata.name")])
    said = Agent.of(body).unmet
    assert "/home/agent is the part $(POD) of claim the-home" in said
    assert "POD (metadata.name)" in said
    (told,) = uncovered([Workload(body)], {"the-home", "the-data"})
    assert "cannot be restored into place" in told
    assert said in told
