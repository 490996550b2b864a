"""What objects could do beyond their release, compared by what it amounts to; odd shapes are no crash (issue 14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openab_sop.objects import Object
from openab_sop.releases.authority import BEYOND, GRANTS, HOST, beyond, powers
from openab_sop.releases.manifest import ReleaseManifest


def made(
    kind: str, name: str = "x", *, namespace: str | None = None, notes: Object | None = None, **body: Any
) -> Object:
    metadata: Object = {"name": name, "annotations": notes or {}}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata | ({"namespace": namespace} if namespace else {}),
        **body,
    }


def pod(kind: str = "Deployment", **spec: Any) -> Object:
    template = {"template": {"spec": spec}}
    wrapped: dict[str, Object] = {"Pod": spec, "CronJob": {"jobTemplate": {"spec": template}}}
    return made(kind, spec=wrapped.get(kind, template))


def container(**fields: Any) -> Object:
    return pod(containers=[{"name": "a", **fields}])


def found(*bodies: Object, old: tuple[Object, ...] = (), wide: tuple[tuple[str, str], ...] = ()) -> list[str]:
    new, before = (
        powers(ReleaseManifest.parse("\n---\n".join(map(json.dumps, side))).objects, "chat", wide)
        for side in (bodies, old)
    )
    return [f"{rule}:{subject}" for rule, subject in beyond(new, before)]


READ = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
WRITE = {**READ, "verbs": ["create"]}
ME = {"kind": "ServiceAccount", "name": "default", "namespace": "chat"}
YOU = {**ME, "name": "other"}
HOOK = "helm.sh/hook"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (made("ConfigMap"), []),
        (made("ConfigMap", namespace="chat"), []),
        (made("ConfigMap", namespace="kube-system"), [f"{BEYOND}:ConfigMap/x@kube-system"]),
        (made("Namespace"), [f"{BEYOND}:Namespace/x"]),
        (made("PriorityClass"), [f"{BEYOND}:PriorityClass/x"]),
        (made("Widget"), []),
        (made("ConfigMap", namespace="kube-system", notes={HOOK: "test"}), []),
        (
            made("ConfigMap", namespace="kube-system", notes={HOOK: "test,pre-delete"}),
            [f"{BEYOND}:ConfigMap/x@kube-system"],
        ),
        (made("ClusterRole", rules=[READ]), [f"{BEYOND}:ClusterRole/x", f"{GRANTS}:ClusterRole/x"]),
        (made("Role", rules=[READ]), [f"{GRANTS}:Role/x"]),
        (made("Role", rules=[]), []),
        (made("RoleBinding", roleRef={"name": "admin"}, subjects=[ME]), [f"{GRANTS}:RoleBinding/x"]),
        (
            made("ValidatingWebhookConfiguration", webhooks=[{"name": "a"}]),
            [f"{BEYOND}:ValidatingWebhookConfiguration/x", f"{GRANTS}:ValidatingWebhookConfiguration/x"],
        ),
        (
            made("APIService", "v1.apps", spec={"group": "apps"}),
            [f"{BEYOND}:APIService/v1.apps", f"{GRANTS}:APIService/v1.apps"],
        ),
        (
            made(
                "Secret",
                type="kubernetes.io/service-account-token",
                notes={"kubernetes.io/service-account.name": "admin"},
            ),
            [f"{GRANTS}:Secret/x"],
        ),
        (made("Secret", type="Opaque"), []),
        (pod(serviceAccountName="admin"), [f"{GRANTS}:Deployment/x.serviceAccountName"]),
        (pod(serviceAccountName="default"), []),
        (
            pod(hostNetwork=True, hostPID=True, hostIPC=True),
            [f"{HOST}:Deployment/x.{w}" for w in ("hostNetwork", "hostPID", "hostIPC")],
        ),
        (pod(hostNetwork=False), []),
        (pod(volumes=[{"name": "a", "hostPath": {"path": "/a,b"}}]), [f"{HOST}:Deployment/x.hostPath=/a%2Cb"]),
        (pod(volumes=[{"name": "a", "emptyDir": {}}]), []),
        (container(securityContext={"privileged": True}), [f"{HOST}:Deployment/x.privileged"]),
        (
            container(securityContext={"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}),
            [f"{HOST}:Deployment/x.capability=SYS_ADMIN"],
        ),
        (
            container(
                securityContext={"capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
            ),
            [],
        ),
        (
            container(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            [f"{HOST}:Deployment/x.seccompProfile"],
        ),
        (container(securityContext={"procMount": "Unmasked"}), [f"{HOST}:Deployment/x.procMount"]),
        (container(ports=[{"hostPort": 80}, {"containerPort": 81}]), [f"{HOST}:Deployment/x.hostPort=80"]),
        (
            pod(initContainers=[{"name": "a", "securityContext": {"privileged": True}}]),
            [f"{HOST}:Deployment/x.privileged"],
        ),
        (pod("CronJob", hostPID=True), [f"{HOST}:CronJob/x.hostPID"]),
        (pod("Pod", hostPID=True), [f"{HOST}:Pod/x.hostPID"]),
        (pod("Job", hostPID=True), [f"{HOST}:Job/x.hostPID"]),
        (pod("Rollout", hostPID=True), [f"{HOST}:Rollout/x.hostPID"]),
        ({**made("List"), "items": [made("ConfigMap", namespace="other")]}, [f"{BEYOND}:ConfigMap/x@other"]),
        (
            {"apiVersion": "v1", "kind": "RoleList", "items": [{"metadata": {"name": "x"}, "rules": [READ]}]},
            [f"{GRANTS}:Role/x"],
        ),
    ],
)
def test_what_is_new(body: Object, told: list[str]) -> None:
    assert found(body) == told
    assert found(body, old=(body,)) == []


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [
        (made("Role", rules=[READ]), made("Role", rules=[READ, WRITE]), True),
        (made("Role", rules=[READ, WRITE]), made("Role", rules=[WRITE]), False),
        (
            made("RoleBinding", roleRef={"name": "view"}, subjects=[ME]),
            made("RoleBinding", roleRef={"name": "admin"}, subjects=[ME]),
            True,
        ),
        (
            made("RoleBinding", roleRef={"name": "view"}, subjects=[ME]),
            made("RoleBinding", roleRef={"name": "view"}, subjects=[ME, YOU]),
            True,
        ),
        (
            made("RoleBinding", roleRef={"name": "view"}, subjects=[ME, YOU]),
            made("RoleBinding", roleRef={"name": "view"}, subjects=[YOU]),
            False,
        ),
        (
            pod(volumes=[{"name": "a", "hostPath": {"path": "/a"}}]),
            pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
            True,
        ),
        (pod(hostPID=True), pod(hostPID=True, containers=[{"name": "a"}]), False),
        (made("ConfigMap", namespace="a"), made("ConfigMap", namespace="b"), True),
        (pod(serviceAccountName="a"), pod(serviceAccountName="b"), True),
    ],
)
def test_what_is_more_than_before(old: Object, new: Object, more: bool) -> None:
    assert bool(found(new, old=(old,))) == more


def test_the_cluster_tells_what_no_namespace_holds() -> None:
    assert found(made("Widget"), wide=(("v1", "Widget"),)) == [f"{BEYOND}:Widget/x"]


def test_an_account_of_the_charts_own_has_what_its_bindings_give() -> None:
    assert found(pod(serviceAccountName="own"), made("ServiceAccount", "own")) == []


def test_a_label_that_adds_rules_to_others() -> None:
    role = made("ClusterRole")
    role["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    assert f"{GRANTS}:ClusterRole/x" in found(role)


def test_a_definition_may_change_its_schema_and_not_who_converts_it() -> None:
    def defined(**more: Any) -> Object:
        return made("CustomResourceDefinition", spec={"group": "x.test", "names": {"kind": "Widget"}, **more})

    assert found(defined(versions=[2]), old=(defined(versions=[1]),)) == []
    assert found(defined(conversion={"strategy": "Webhook"}), old=(defined(),))


@pytest.mark.parametrize("value", [5, "a", [1], [[1]], {"a": 1}, None, True])
@pytest.mark.parametrize("word", ["spec", "rules", "subjects", "webhooks", "type"])
@pytest.mark.parametrize("kind", ["Role", "RoleBinding", "Secret", "Pod", "ValidatingWebhookConfiguration"])
def test_other_shapes_end_nothing(kind: str, word: str, value: Any) -> None:
    found(made(kind, **{word: value}))


@pytest.mark.parametrize("value", [5, "a", [1], {"a": 1}, None])
@pytest.mark.parametrize("word", ["containers", "volumes", "securityContext", "initContainers", "serviceAccountName"])
def test_other_shapes_of_a_pod_end_nothing(word: str, value: object) -> None:
    found(pod("Job", **{word: value}), pod("Job", containers=[{"name": "a", "ports": value, "securityContext": value}]))
