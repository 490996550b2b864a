"""Nothing of a copy is the bot: no token, address, service account, host or label; and nothing else is lost."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from copy import deepcopy
from typing import Any

import pytest

from openab_sop.agents.workload import Workload
from openab_sop.objects import Object
from openab_sop.rehearsals import copies
from openab_sop.rehearsals.copies import RenderedVersion
from openab_sop.releases.authority import powers
from openab_sop.releases.manifest import ManifestObject, ReleaseManifest

TOKEN = "MTA5NzI2MTIzNDU2Nzg5MDEy.Gx1yZ2.aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789ab"
ADDRESS = "https://discord.example/api"
LABELS = {"openab-sop/rehearsal": "1"}
POD: dict[str, Any] = {
    "serviceAccountName": "bot",
    "hostNetwork": True,
    "hostnameOverride": "bot",
    "resourceClaims": [{"name": "gpu"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["discord.example"]}],
    "priorityClassName": "high",
    "dnsPolicy": "ClusterFirst",
    "imagePullSecrets": [{"name": "pull"}],
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"nodeAffinity": {"x": 1}, "podAntiAffinity": {"y": 2}},
    "securityContext": {"fsGroup": 1000},
    "containers": [
        {
            "name": "openab",
            "image": "openab:1",
            "args": ["run", "-c", ADDRESS, TOKEN],
            "securityContext": {"privileged": True, "runAsUser": 1000},
            "env": [
                {"name": "BOT_TOKEN", "value": TOKEN},
                {"name": "CHAT_URL", "value": ADDRESS},
                {"name": "NOTE", "value": f"see {ADDRESS} with {TOKEN}"},
                {"name": "LEVEL", "value": "info"},
                {"name": "HTTPS_PROXY", "value": "10.0.0.9:3128"},
                {"name": "SIGNING_KEY", "value": "plain-words"},
                {"name": "HOME", "value": "/home/agent"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "bot", "key": "token"}}},
                {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "envFrom": [{"secretRef": {"name": "bot"}}, {"configMapRef": {"name": "settings"}}],
            "ports": [{"containerPort": 80, "hostPort": 80, "name": "http"}],
            "readinessProbe": {"httpGet": {"host": "discord.example", "port": "http", "path": "/"}},
            "lifecycle": {"postStart": {"httpGet": {"host": "discord.example", "port": 80}}},
            "volumeMounts": [{"name": "data", "mountPath": "/home/agent"}],
        }
    ],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "bot"}},
        {"name": "other", "persistentVolumeClaim": {"claimName": "shared"}},
        {"name": "config", "configMap": {"name": "settings", "items": [{"key": "a", "path": "b"}]}},
        {"name": "secret", "secret": {"secretName": "bot", "defaultMode": 256}},
        {"name": "host", "hostPath": {"path": "/var/run/docker.sock"}},
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        {"name": "api", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {
            "name": "mixed",
            "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": "bot"}}]},
        },
    ],
}
BODY: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "bot", "labels": {"app": "bot"}},
    "spec": {
        "replicas": 1,
        "template": {"metadata": {"labels": {"app": "bot"}, "annotations": {"inject": "yes"}}, "spec": POD},
    },
}


def rename(name: str) -> str:
    return f"copy-{name}"


@pytest.fixture
def copy() -> Object:
    workload = Workload(deepcopy(BODY))
    made = copies.deployment(workload, rename, {"bot": "copy-bot"}, LABELS, "node-1", ["pull"])
    assert workload.body == BODY, "what is copied stays as it is"
    return made


@pytest.fixture
def pod(copy: Object) -> Object:
    return copy["spec"]["template"]["spec"]


def test_nothing_selects_it(copy: Object) -> None:
    template = copy["spec"]["template"]
    assert (copy["metadata"]["name"], copy["metadata"]["labels"]) == ("copy-bot", LABELS)
    assert template["metadata"] == {"labels": LABELS}
    assert copy["spec"]["selector"] == {"matchLabels": LABELS}


def test_it_is_nobody_and_resolves_nothing(pod: Object) -> None:
    assert (
        not {
            "serviceAccountName",
            "hostnameOverride",
            "resourceClaims",
            "hostNetwork",
            "hostAliases",
            "priorityClassName",
        }
        & pod.keys()
    )
    assert pod["automountServiceAccountToken"] is False
    assert (pod["dnsPolicy"], pod["dnsConfig"]) == ("None", {"nameservers": ["127.0.0.1"]})


def test_it_goes_where_the_agent_is_if_there_is_room(pod: Object) -> None:
    (preferred,) = pod["affinity"].pop("nodeAffinity").pop("preferredDuringSchedulingIgnoredDuringExecution")
    assert preferred["preference"]["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
    assert pod["affinity"] == {}, "no pod of the release draws it near or keeps it away"


def test_what_decides_how_it_runs_stays(pod: Object) -> None:
    assert (pod["nodeSelector"], pod["securityContext"]) == ({"disk": "ssd"}, {"fsGroup": 1000})
    assert pod["containers"][0]["image"] == "openab:1"
    assert pod["containers"][0]["args"][:2] == ["run", "-c"]
    assert pod["containers"][0]["securityContext"] == {"runAsUser": 1000}
    assert pod["containers"][0]["volumeMounts"] == POD["containers"][0]["volumeMounts"]


def test_variables_tell_nothing(pod: Object) -> None:
    variables = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
    assert len(variables["BOT_TOKEN"]["value"]) == len(TOKEN)
    assert variables["CHAT_URL"]["value"] == ""
    assert (variables["HTTPS_PROXY"]["value"], len(variables["SIGNING_KEY"]["value"])) == ("", len("plain-words"))
    assert variables["SIGNING_KEY"]["value"] != "plain-words"
    assert (variables["LEVEL"]["value"], variables["HOME"]["value"]) == ("info", "/home/agent")
    assert TOKEN not in json.dumps(pod)
    assert "discord.example" not in json.dumps(pod)


def test_every_reference_is_to_a_copy(pod: Object) -> None:
    container, volumes = pod["containers"][0], {volume["name"]: volume for volume in pod["volumes"]}
    variables = {entry["name"]: entry.get("valueFrom") for entry in container["env"]}
    assert variables["KEY"] == {"secretKeyRef": {"name": "copy-bot", "key": "token"}}
    assert variables["SETTING"] == {"configMapKeyRef": {"name": "copy-settings", "key": "a"}}
    assert container["envFrom"] == [{"secretRef": {"name": "copy-bot"}}, {"configMapRef": {"name": "copy-settings"}}]
    assert pod["imagePullSecrets"] == [{"name": "copy-pull-pull"}]
    assert volumes["config"]["configMap"] == {"name": "copy-settings", "items": [{"key": "a", "path": "b"}]}
    assert volumes["secret"]["secret"] == {"secretName": "copy-bot", "defaultMode": 256}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "copy-bot"}
    assert volumes["mixed"]["projected"]["sources"] == [{"secret": {"name": "copy-bot"}}]


def test_what_has_no_copy_is_empty_and_named(pod: Object) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert [name for name, volume in volumes.items() if volume.get("emptyDir") == {}] == ["other", "host", "api"]
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory"}
    assert copies.emptied(Workload(BODY), {"bot": "copy-bot"}) == ["other", "host", "api"]


def test_kubelet_calls_nobody(pod: Object) -> None:
    container = pod["containers"][0]
    assert container["readinessProbe"] == {"httpGet": {"port": "http", "path": "/"}}
    assert container["ports"] == [{"containerPort": 80, "name": "http"}]


def test_secrets_and_configurations_are_placeholders() -> None:
    live: dict[tuple[str, str], Object] = {
        ("Secret", "bot"): {"type": "kubernetes.io/tls", "data": {"token": b64encode(TOKEN.encode()).decode()}},
        ("ConfigMap", "settings"): {
            "binaryData": {"b": b64encode(f"token = {TOKEN}".encode()).decode()},
            "data": {"a": f'token = "{TOKEN}"\nurl = "{ADDRESS}"\n'},
        },
    }
    workload = Workload(BODY)
    made = {
        (kind, body["metadata"]["name"]): body
        for kind, body in copies.references(workload, lambda kind, name: live.get((kind, name)), rename)
    }
    secret = made["Secret", "copy-bot"]
    assert secret["type"] == "Opaque"
    assert len(b64decode(secret["data"]["token"])) == len(TOKEN)
    assert TOKEN.encode() not in b64decode(secret["data"]["token"])
    text = made["ConfigMap", "copy-settings"]["data"]["a"]
    assert "127.0.0.1:9" in text
    assert TOKEN.encode() not in b64decode(made["ConfigMap", "copy-settings"]["binaryData"]["b"])
    assert TOKEN not in text
    assert "discord.example" not in text


def test_what_pulls_images_is_kept_and_is_the_service_accounts_where_the_pod_has_none() -> None:
    body: Object = {
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "pull", "labels": {"app": "bot"}},
        "data": {".dockerconfigjson": "e30="},
    }
    assert copies.pull_secret(body, rename) == {**body, "metadata": {"name": "copy-pull-pull"}}
    accounts: dict[str, Object] = {"bot": {"imagePullSecrets": [{"name": "of-account"}]}}
    assert copies.pulls(Workload(BODY), accounts.get) == ["pull"]
    bare = deepcopy(BODY)
    del bare["spec"]["template"]["spec"]["imagePullSecrets"]
    assert copies.pulls(Workload(bare), accounts.get) == ["of-account"]
    assert copies.pulls(Workload(bare), lambda name: None) == []


def test_a_version_has_the_agents_that_want_a_pod() -> None:
    off: Object = {**BODY, "metadata": {"name": "off"}, "spec": {**BODY["spec"], "replicas": 0}}
    gateway = deepcopy(BODY)
    gateway["metadata"]["name"] = "gateway"
    gateway["spec"]["template"]["spec"]["containers"][0]["name"] = "gateway"
    items = tuple(ManifestObject("Deployment", str(body["metadata"]["name"]), body) for body in (BODY, off, gateway))
    assert list(RenderedVersion("1", ReleaseManifest(items)).agents) == ["bot"]


def test_it_is_no_nearer_to_the_node_than_any_pod() -> None:
    """Whatever a version adds, its copy does not get it (issue 14)."""
    near = deepcopy(BODY)
    pod = near["spec"]["template"]["spec"]
    pod |= {"hostPID": True, "hostIPC": True, "serviceAccountName": "admin"}
    pod["securityContext"] |= {
        "sysctls": [{"name": "kernel.msgmax", "value": "1"}],
        "windowsOptions": {"hostProcess": True},
        "seccompProfile": {"type": "Unconfined"},
    }
    pod["containers"][0]["securityContext"] |= {
        "procMount": "Unmasked",
        "capabilities": {"add": ["SYS_ADMIN", "CHOWN"], "drop": ["ALL"]},
        "appArmorProfile": {"type": "Unconfined"},
    }
    made = copies.deployment(Workload(near), rename, {}, LABELS, None, [])
    items = [ManifestObject("Deployment", "x", body) for body in (near, made)]
    assert {power.rule for power in powers(items[:1], "chat")} == {"host-access", "grants-rights"}
    assert [power.subject for power in powers(items[1:], "chat")] == ["Deployment/x.capability=CHOWN"]
    assert made["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]["drop"] == ["ALL"]
