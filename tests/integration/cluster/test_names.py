"""Names that lead out of the namespace, against the real API server: nothing there is read, changed or deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import InvalidName
from sandbox import Status
from tests.integration.conftest import new_namespace
from world import World

VALUE = "of-somebody-else"


@pytest.fixture
def theirs(world: World) -> Iterator[str]:
    """Another namespace, with a Secret ``x``."""
    with new_namespace(world) as other:
        world.kubectl("--namespace", other, "create", "secret", "generic", "x", f"--from-literal=key={VALUE}")
        yield other


def secret(world: World, namespace: str) -> tuple[str, Any]:
    """UID and content of the Secret there."""
    found = json.loads(world.kubectl("--namespace", namespace, "get", "secret", "x", "--output=json"))
    return str(found["metadata"]["uid"]), found["data"]


ACTS: list[Callable[[Cluster, str], object]] = [
    lambda c, name: c.get("Secret", name),
    lambda c, name: c.merge("Secret", name, {"data": {"key": None}}),
    lambda c, name: c.delete("Secret", name, ""),
    lambda c, name: c.look_up({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}),
]


@pytest.mark.parametrize("name", ["../../{}/secrets/x", "..%2f..%2f{}%2fsecrets%2fx"])
@pytest.mark.parametrize("act", ACTS, ids=["get", "merge", "delete", "look up"])
def test_a_name_does_not_lead_into_another_namespace(
    world: World, status: Status, namespace: str, theirs: str, act: Callable[[Cluster, str], object], name: str
) -> None:
    cluster = Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace))
    before = secret(world, theirs)
    with pytest.raises(InvalidName, match="cannot be the name of a Secret"):
        act(cluster, name.format(theirs))
    assert secret(world, theirs) == before


def test_a_name_that_looks_odd_leads_where_it_says(world: World, status: Status, namespace: str) -> None:
    """RBAC's names are one part of a path, and no DNS names."""
    cluster = Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace))
    name = "of:some body?#é"
    world.kubectl("--namespace", namespace, "create", "role", name, "--verb=get", "--resource=pods")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}}
    assert cluster.look_up(role)["metadata"]["name"] == name
