"""Names from elsewhere: what Kubernetes allows passes however odd it looks, what leads away does not (issue 14)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openab_sop import names
from openab_sop.agents.naming import check_pod
from openab_sop.cluster import records
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.kubeconfig import KubeConfig
from openab_sop.errors import InvalidName, ReleaseError, SettingsError
from openab_sop.objects import Object
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.session import Session, directory_of
from openab_sop.releases.upgrade_state import UpgradeStateFile

LEAD_AWAY = (
    "../../kube-system/secrets/x",
    "..",
    ".",
    "",
    "a/b",
    "a%2fb",
    "%2e%2e",
    "a?b=c",
    "a#b",
    "a\n",
    "\u2024\u2024",
    "a b",
    "A",
    "-a",
    "--all",
    "a_b",
    "a..b",
    "a:b",
    "é",
    "a" * 254,
)


class Api:
    """Stands in the client's place: what is asked is a failure of the test, for nothing may be asked."""

    def param_serialize(self, *request: Any, **_: Any) -> tuple[Any, ...]:
        raise AssertionError(f"the API was asked: {request[:2]}")


def cluster(namespace: str = "chat") -> Cluster:
    return Cluster(KubeConfig((), "", "here", "https://cluster.test", namespace, ""), api=Api())


ACTS: list[Callable[[Cluster, str], object]] = [
    lambda c, name: c.get("Secret", name),
    lambda c, name: c.find("Deployment", name),
    lambda c, name: c.merge("Secret", name, {}),
    lambda c, name: c.delete("Deployment", name, "uid"),
    lambda c, name: c.log(name, "openab", limit=1),
    lambda c, name: c.look_up({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}),
    lambda c, name: c.try_apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}, "x", force=True),
    lambda c, name: c.elsewhere(name).get("Secret", "x"),
    lambda c, name: c.elsewhere(name).all("Secret"),
    lambda c, name: c.elsewhere(name).namespace_phase(),
    lambda c, name: records.record(c, name, 1),
    lambda c, name: list(records.newest(c, name)),
    lambda c, name: Helm(c).uninstall(name),
    lambda c, name: Helm(c).rollback(name, 1, {}),
    lambda c, name: Helm(c).values(name, 1),
    lambda c, name: Helm(c).template(name, Path("x.tgz"), ""),
    lambda c, name: Helm(c).upgrade(name, Path("x.tgz"), Path("y"), {}),
    lambda c, name: Helm(c).install(name, Path("x.tgz"), Path("y"), ("a", "b")),
    lambda c, name: directory_of(Path("/backups"), "cluster", name, "openab"),
    lambda c, name: directory_of(Path("/backups"), "cluster", "chat", name),
]
"""What asks for something by a name, or runs helm with it."""


@pytest.mark.parametrize("name", LEAD_AWAY)
@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_asked_for_by_a_name_that_leads_away(act: Callable[[Cluster, str], object], name: str) -> None:
    with pytest.raises(InvalidName, match="cannot be the name of"):
        act(cluster(), name)


def test_no_name_at_all_does_not_mean_all_objects() -> None:
    with pytest.raises(InvalidName):
        cluster().delete("Secret", None, "uid")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("version", ["../../x", "v1/..", "/v1", "a/b/v1", "apps/", "", "v1?x", "V1", "apps/v1%2f"])
def test_a_version_of_the_api_that_leads_away(version: str) -> None:
    body: Object = {"apiVersion": version, "kind": "Secret", "metadata": {"name": "x"}}
    with pytest.raises(InvalidName, match="cannot be the apiVersion"):
        cluster().look_up(body)
    with pytest.raises(InvalidName, match="cannot be the apiVersion"):
        cluster().served(body)
    with pytest.raises(InvalidName, match=r"the chart: .*cannot be the apiVersion"):
        ReleaseManifest.parse(json.dumps(body), "the chart")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ClusterRole", "system:controller:job-controller"),
        ("ClusterRole", "Prom Reader"),
        ("RoleBinding", "a@b.example"),
        ("APIService", "v1.apps"),
        ("CustomResourceDefinition", "widgets.example.com"),
        ("ClusterTrustBundle", "example.com:ca:1"),
        ("Widget", "UPPER_case.1"),
        ("Secret", "sh.helm.release.v1.openab.v12"),
        ("Secret", "1"),
        ("Secret", "a" * 253),
        ("Pod", "openab-kiro-7c5d8d9b8f-x2x9z"),
        ("PersistentVolumeClaim", "data.home-0"),
        ("Namespace", "1-2-3"),
    ],
)
def test_names_that_look_odd_and_are_good(kind: str, name: str) -> None:
    assert names.of(kind, name) == name
    assert "/" not in names.in_path(kind, name)
    (found,) = ReleaseManifest.parse(json.dumps({"kind": kind, "metadata": {"name": name}})).objects
    assert found.name == name


@pytest.mark.parametrize("name", ["a/b", "..", ".", "%2e%2e", "", "a\0b", "a" * 2000])
def test_names_of_other_kinds_are_one_part_of_a_path(name: str) -> None:
    with pytest.raises(InvalidName):
        names.of("ClusterRole", name)


@pytest.mark.parametrize("name", LEAD_AWAY)
def test_a_manifest_is_named_as_where_it_stands(name: str) -> None:
    body: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    with pytest.raises(InvalidName, match=r"the backup's manifest.yaml: .* cannot be the name of a Secret"):
        ReleaseManifest.parse(json.dumps(body), "the backup's manifest.yaml")


def test_a_manifest_that_writes_into_another_namespace_by_a_path() -> None:
    body: Object = {"kind": "Secret", "metadata": {"name": "x", "namespace": "../../kube-system"}}
    with pytest.raises(InvalidName, match="namespace of a Secret"):
        ReleaseManifest.parse(json.dumps(body))


BAD = "../x"
PODS: dict[str, Object] = {
    "container": {"containers": [{"name": BAD}]},
    "option": {"initContainers": [{"name": "--all"}]},
    "volume": {"volumes": [{"name": BAD}]},
    "claim": {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": BAD}}]},
    "secret": {"volumes": [{"name": "a", "secret": {"secretName": BAD}}]},
    "map": {"volumes": [{"name": "a", "configMap": {"name": BAD}}]},
    "projected": {"volumes": [{"name": "a", "projected": {"sources": [{"secret": {"name": BAD}}]}}]},
    "variable": {"containers": [{"name": "a", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": BAD}}}]}]},
    "variables": {"containers": [{"name": "a", "envFrom": [{"configMapRef": {"name": BAD}}]}]},
    "account": {"serviceAccountName": BAD},
    "class": {"runtimeClassName": BAD},
}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_what_pods_refer_to(pod: Object) -> None:
    with pytest.raises(InvalidName, match="the chart, Deployment web"):
        body = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": pod}}}
        ReleaseManifest.parse(json.dumps(body), "the chart")


def test_a_pod_that_refers_to_nothing_odd() -> None:
    check_pod({"containers": [{"name": "a", "env": [{"name": "X", "value": "../y"}], "envFrom": [{}]}]}, "the chart")


OPTIONAL: dict[str, Object] = {
    "pull": {"imagePullSecrets": [{"name": "Not_A_Name"}]},
    "variables": {"containers": [{"name": "a", "envFrom": [{"secretRef": {"name": "Not_A_Name", "optional": True}}]}]},
    "secret": {"volumes": [{"name": "a", "secret": {"secretName": "Not_A_Name", "optional": True}}]},
}


@pytest.mark.parametrize("pod", OPTIONAL.values(), ids=OPTIONAL)
def test_a_pod_starts_without_what_it_refers_to_in_vain(pod: Object) -> None:
    """Kubernetes takes any text there, and a release that has run so for a year is not to be refused."""
    check_pod(pod, "the chart")


@pytest.mark.parametrize(
    "text", ["- a", "kind: {}\nmetadata: a", "a", "kind: Pod\nmetadata: []", "kind: [a]\nmetadata: {name: a}"]
)
def test_a_manifest_of_other_shapes_is_a_refusal(text: str) -> None:
    with pytest.raises((ReleaseError, InvalidName)):
        ReleaseManifest.parse(text)


@pytest.mark.parametrize(("namespace", "release"), [("../..", "openab"), ("chat", "../../x")])
def test_a_session_that_leads_away(tmp_path: Path, namespace: str, release: str) -> None:
    words = dict.fromkeys(("cluster", "kubeconfig", "context", "chart", "version", "backup_root"), "x")
    told: Object = {**words, "revision": 1, "agents": [], "namespace": namespace, "release": release}
    path = tmp_path / "session.json"
    path.write_text(json.dumps(told))
    with pytest.raises(SettingsError, match="not a session file"):
        Session.load(path)


@pytest.mark.parametrize("backup", ["/tmp/evil", "../evil", "s3://evil/openab-backup-20260101-000000", ".."])
def test_a_record_on_the_lock_names_no_place_of_its_own(backup: str) -> None:
    told = {"id": "x", "begun": "", "revision": 1, "version": "1", "target": "2", "digest": "", "backup": backup}
    with pytest.raises(SettingsError, match=r"record on Lease.*cannot be the name of a backup"):
        UpgradeStateFile.parsed(json.dumps(told), "the record on Lease openab-sop-openab")
