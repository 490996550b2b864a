"""Which of Helm's acts are asked for, there and back, or one way."""

from __future__ import annotations

from typing import Any, cast

import pytest

from openab_sop.cluster.kube import Access, Cluster, Served
from openab_sop.objects import Object
from openab_sop.plans.permissions import missing


class Refuses:
    """Allows nothing; serves Services and Deployments."""

    namespace = "chat"

    def served(self, body: Object) -> Served:
        return Served("", f"{str(body['kind']).lower()}s", True)

    def allowed(self, access: Access) -> bool:
        return False


def thing(kind: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", **more.pop("metadata", {})}, **more}


KEPT = {"annotations": {"helm.sh/resource-policy": "keep"}}
CASES: dict[str, tuple[Object | None, Object | None, list[str], list[str]]] = {
    "comes": (None, thing("Service"), ["get", "create", "delete"], ["get", "create"]),
    "goes": (thing("Service"), None, ["get", "create", "delete"], ["get", "delete"]),
    "goes and is kept": (thing("Service", metadata=KEPT), None, ["get"], []),
    "comes and is kept": (None, thing("Service", metadata=KEPT), ["get", "create"], ["get", "create"]),
    "changes": (thing("Service"), thing("Service", spec={}), ["get", "patch"], ["get", "patch"]),
    "stays": (thing("Service"), thing("Service"), [], []),
    "stays and runs pods": (thing("Deployment"), thing("Deployment"), ["get"], ["get"]),
    "is elsewhere": (None, thing("Service", metadata={"namespace": "other"}), [], []),
}


@pytest.mark.parametrize(("old", "new", "both", "there"), CASES.values(), ids=CASES)
def test_what_is_asked_for(old: Object | None, new: Object | None, both: list[str], there: list[str]) -> None:
    key: tuple[str, str] = (str((old or new or {})["kind"]), "x")
    olds: dict[tuple[str, str], Object] = {key: old} if old else {}
    news: dict[tuple[str, str], Object] = {key: new} if new else {}
    for one_way, verbs in ((False, both), (True, there)):
        found = dict(missing(cast(Cluster, Refuses()), olds, news, one_way=one_way))
        assert [text.split()[0] for text in found.get(key, ())] == verbs
