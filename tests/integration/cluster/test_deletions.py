"""Anybody may label an object as ours: what is cleared away is called as we call it, and is what was looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from openab_sop.agents.agent import Companion
from openab_sop.agents.helper_pod import remove_finished
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.owner import owner
from openab_sop.rehearsals import scratch
from sandbox import Status
from world import World

DEAD = "/".join((*owner().split("/")[:2], "1999999999", "1"))
LONG_AGO = "2020-01-01T00:00:00+00:00"
RUN = "0badcafe"


@pytest.fixture
def cluster(status: Status, namespace: str) -> Cluster:
    return Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace))


@pytest.fixture
def marked(world: World, namespace: str) -> Iterator[tuple[str, str]]:
    """A namespace that somebody else has and that is labelled as a rehearsal's, and one that a dead rehearsal left."""
    foreign, ours = f"t-production-{token_hex(4)}", f"{namespace}-rehearsal-{RUN}"
    for name in (foreign, ours):
        world.kubectl("create", "namespace", name)
        world.kubectl("label", "namespace", name, f"openab-sop/rehearsal={RUN}", f"openab-sop/rehearsal-of={namespace}")
        notes = (f"openab-sop/owner={DEAD}", f"openab-sop/expires={LONG_AGO}")
        world.kubectl("annotate", "namespace", name, *notes)
    yield foreign, ours
    world.kubectl("delete", "namespace", foreign, ours, "--wait=false", "--ignore-not-found")


def test_a_namespace_that_somebody_labelled_as_a_rehearsals_stays(
    world: World, cluster: Cluster, marked: tuple[str, str]
) -> None:
    foreign, ours = marked
    (told,) = scratch.sweep(cluster)
    assert ours in told
    assert world.kubectl("get", "namespace", foreign, "--output=jsonpath={.status.phase}") == "Active"
    assert world.kubectl("get", "namespace", ours, "--ignore-not-found") == ""


@pytest.mark.parametrize(
    ("notes", "label"),
    [
        ({}, RUN),
        ({"openab-sop/owner": "nobody", "openab-sop/expires": LONG_AGO}, RUN),
        ({"openab-sop/owner": DEAD}, RUN),
        ({"openab-sop/owner": DEAD, "openab-sop/expires": "soon"}, RUN),
        ({"openab-sop/owner": DEAD, "openab-sop/expires": "2020-01-01T00:00:00"}, "x"),
    ],
)
def test_what_names_no_run_of_ours_stays(
    world: World, cluster: Cluster, namespace: str, notes: dict[str, str], label: str
) -> None:
    make(world, namespace, "ConfigMap", f"rehearsal-{RUN}-a", {"openab-sop/rehearsal": label}, notes)
    assert scratch.sweep(cluster) == []
    assert world.kubectl("-n", namespace, "get", "configmap", f"rehearsal-{RUN}-a", "--output=name")


def test_beside_a_release_only_what_is_called_as_a_copy_goes(world: World, cluster: Cluster, namespace: str) -> None:
    notes = {"openab-sop/owner": DEAD, "openab-sop/expires": LONG_AGO}
    for name in ("precious", f"rehearsal-{RUN}-config", f"rehearsal-{RUN}"):
        make(world, namespace, "ConfigMap", name, {"openab-sop/rehearsal": RUN}, notes)
        make(world, namespace, "Secret", name, {"openab-sop/rehearsal": RUN}, notes)
    assert len(scratch.sweep(cluster)) == 1
    left = world.kubectl("-n", namespace, "get", "configmaps,secrets", "-l", "openab-sop/rehearsal", "--output=name")
    assert left.split() == [
        *(f"configmap/{name}" for name in ("precious", f"rehearsal-{RUN}")),
        *(f"secret/{name}" for name in ("precious", f"rehearsal-{RUN}")),
    ]


def test_a_pod_that_somebody_labelled_as_a_helper_stays(world: World, cluster: Cluster, namespace: str) -> None:
    """Both have ended, or their run has; only one is called as ours are."""
    labels = {"app.kubernetes.io/managed-by": "openab-sop", "openab-sop/agent": "openab-kiro"}
    pod = {"containers": [{"name": "a", "image": "openab.local/openab:0.8.1", "command": ["true"]}]}
    for name in ("production-db", "openab-sop-openab-kiro-0badcafe"):
        make(world, namespace, "Pod", name, labels, {"openab-sop/owner": DEAD}, spec={**pod, "restartPolicy": "Never"})
    gone = remove_finished(cluster, Companion("openab-kiro", "openab", "", 1, "Deployment", "openab-kiro"))
    assert gone == ["openab-sop-openab-kiro-0badcafe"]
    assert world.kubectl("-n", namespace, "get", "pods", "--output=name").split() == ["pod/production-db"]


def test_another_object_that_has_taken_the_name_stays(world: World, cluster: Cluster, namespace: str) -> None:
    make(world, namespace, "ConfigMap", "a", {}, {})
    uid = str(cluster.get("ConfigMap", "a")["metadata"]["uid"])
    world.kubectl("-n", namespace, "delete", "configmap", "a")
    make(world, namespace, "ConfigMap", "a", {}, {})
    cluster.delete("ConfigMap", "a", uid)
    found = json.loads(world.kubectl("-n", namespace, "get", "configmap", "a", "--output=json"))
    assert found["metadata"]["uid"] != uid
    cluster.delete("ConfigMap", "a", found["metadata"]["uid"])
    assert world.kubectl("-n", namespace, "get", "configmap", "a", "--ignore-not-found") == ""


def make(
    world: World,
    namespace: str,
    kind: str,
    name: str,
    labels: dict[str, str],
    notes: dict[str, str],
    **body: Any,
) -> None:
    """Make an object as anybody may."""
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": notes}
    with TemporaryDirectory() as directory:
        path = Path(directory, "object.json")
        path.write_text(json.dumps({"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}))
        world.kubectl("create", "--filename", path)
