"""What a record has beyond its chart's rendering is named by its place; what charts make anew each time is not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from openab_sop.errors import ToolError
from openab_sop.releases.manifest import ManifestObject, ReleaseManifest
from openab_sop.releases.provenance import additions, findings

DEPLOYMENT: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "bot", "labels": {"app": "bot"}},
    "spec": {
        "template": {
            "metadata": {"annotations": {"checksum/config": "a"}},
            "spec": {
                "containers": [{"name": "openab", "image": "a:1", "args": ["run", "-v"]}],
                "imagePullSecrets": None,
            },
        }
    },
}
SECRET: dict[str, Any] = {"kind": "Secret", "metadata": {"name": "bot"}, "data": {"password": "MQ=="}}


def manifest(*bodies: dict[str, Any]) -> ReleaseManifest:
    return ReleaseManifest(tuple(ManifestObject(body["kind"], body["metadata"]["name"], body) for body in bodies))


def pod_with(**fields: Any) -> dict[str, Any]:
    """The Deployment with more in its pod's spec."""
    body = deepcopy(DEPLOYMENT)
    body["spec"]["template"]["spec"] |= fields
    return body


def container_with(**fields: Any) -> dict[str, Any]:
    """The Deployment with more in its container."""
    (container,) = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
    return pod_with(containers=[{**container, **fields}])


def metadata_with(**fields: Any) -> dict[str, Any]:
    """The Deployment with more in its metadata."""
    return {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], **fields}}


SIDECAR = [*DEPLOYMENT["spec"]["template"]["spec"]["containers"], {"name": "sidecar", "image": "s:1"}]
CONTAINERS = "spec.template.spec.containers"


@pytest.mark.parametrize(
    ("recorded", "place"),
    [
        (pod_with(containers=SIDECAR), f"{CONTAINERS}[sidecar]"),
        (pod_with(imagePullSecrets=[{"name": "pull"}]), "spec.template.spec.imagePullSecrets"),
        (container_with(image="mirror/a:1"), f"{CONTAINERS}[openab].image"),
        (container_with(args=["run", "-q"]), f"{CONTAINERS}[openab].args"),
        (pod_with(serviceAccountName="own"), "spec.template.spec.serviceAccountName"),
        (metadata_with(labels={"app": "bot", "team": "ours"}), "metadata.labels.team"),
    ],
)
def test_what_was_added_is_named_by_its_place(recorded: dict[str, Any], place: str) -> None:
    assert additions(manifest(recorded), lambda: manifest(DEPLOYMENT)) == {("Deployment", "bot"): (place,)}


def test_a_volume_that_is_mounted_several_times() -> None:
    mounts = [{"name": "config", "mountPath": "/etc/openab"}, {"name": "config", "mountPath": "/a", "subPath": "x"}]
    recorded, rendered = container_with(volumeMounts=mounts), container_with(volumeMounts=mounts[::-1])
    assert additions(manifest(recorded), lambda: manifest(rendered)) == {}
    other = container_with(volumeMounts=[*mounts, {"name": "config", "mountPath": "/b"}])
    place = f"{CONTAINERS}[openab].volumeMounts"
    assert additions(manifest(other), lambda: manifest(rendered)) == {("Deployment", "bot"): (place,)}


def test_nothing_and_checksums_are_no_additions() -> None:
    other = deepcopy(DEPLOYMENT)
    other["spec"]["template"]["metadata"]["annotations"] = {"checksum/config": "b"}
    for recorded in (container_with(resources={}), pod_with(nodeSelector=None), other):
        assert additions(manifest(recorded), lambda: manifest(DEPLOYMENT)) == {}


def test_what_the_rendering_has_more_is_none() -> None:
    richer = pod_with(containers=SIDECAR)
    assert additions(manifest(DEPLOYMENT), lambda: manifest(richer, SECRET)) == {}


def test_a_password_that_the_chart_makes_up_is_none() -> None:
    other = {**SECRET, "data": {"password": "Mg=="}}
    assert additions(manifest(other), lambda: manifest(SECRET)) == {}
    labelled = {**SECRET, "metadata": {"name": "bot", "labels": {"a": "b"}}}
    assert additions(manifest(labelled), lambda: manifest(SECRET)) == {("Secret", "bot"): ("metadata.labels",)}


def test_an_object_of_nobodys_is_named_as_a_whole() -> None:
    added = additions(manifest(DEPLOYMENT, SECRET), lambda: manifest(DEPLOYMENT))
    assert added == {("Secret", "bot"): ()}
    (finding,) = findings(added)
    assert (finding.subject, finding.observed) == ("Secret/bot", "chart and values do not make it")


def test_a_later_rendering_is_asked_only_about_what_is_left() -> None:
    asked: list[str] = []

    def rendering(name: str, *bodies: dict[str, Any]) -> Callable[[], ReleaseManifest]:
        def render() -> ReleaseManifest:
            asked.append(name)
            return manifest(*bodies)

        return render

    def refused() -> ReleaseManifest:
        asked.append("refused")
        raise ToolError("no", "no")

    whole = rendering("whole", DEPLOYMENT, SECRET)
    assert additions(manifest(DEPLOYMENT, SECRET), rendering("plain", DEPLOYMENT), whole) == {}
    assert additions(manifest(DEPLOYMENT), rendering("enough", DEPLOYMENT), whole) == {}
    assert additions(manifest(DEPLOYMENT), refused, rendering("after", DEPLOYMENT)) == {}
    assert asked == ["plain", "whole", "enough", "refused", "after"]
