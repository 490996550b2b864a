"""The record on the release's lock, against the real API server."""

from __future__ import annotations

from typing import Any

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board, Lease
from openab_sop.errors import Forbidden
from sandbox import Status
from world import World


class Overtaken(Cluster):
    """A cluster on which somebody renews the lock between a look and the change that follows it, once."""

    overtaken = False

    def merge(self, kind: str, name: str, change: Any) -> Any:
        if not Overtaken.overtaken:
            Overtaken.overtaken = True
            super().merge(kind, name, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})
        return super().merge(kind, name, change)


def test_a_record_goes_although_the_lock_is_renewed_meanwhile(world: World, status: Status, namespace: str) -> None:
    """1.9 What is over stays on no lock: a run on another machine would take it for under way."""
    access = kubeconfig.resolve(str(status.kubeconfig), None, namespace)
    lock = Lease(Cluster(access), "openab")
    lock.acquire("a test")
    try:
        board = Board(Overtaken(access), "openab")
        Board(Cluster(access), "openab").write("{}", "an upgrade")
        assert board.read() == "{}"
        board.clear()
        assert Overtaken.overtaken
        assert board.read() is None
    finally:
        lock.release()
    assert world.kubectl("--namespace", namespace, "get", "leases", "--output=name") == ""


class Undeletable(Cluster):
    """A cluster whose caller may not delete the lock (a Role that somebody has narrowed meanwhile)."""

    def delete(self, kind: str, name: str, uid: str, *, grace: int | None = None) -> None:
        raise Forbidden(f"DELETE {kind} {name} is forbidden", "ask for this right")


def test_a_lock_that_may_not_be_deleted_is_given_back_all_the_same(
    world: World, status: Status, namespace: str
) -> None:
    """3.0 A lock that stays in the name of a run that has ended would hold up everybody for a minute."""
    lock = Lease(Undeletable(kubeconfig.resolve(str(status.kubeconfig), None, namespace)), "openab")
    lock.acquire("a test")
    lock.release()
    left = ("get", "leases", "--output=jsonpath={range .items[*]}{.spec.holderIdentity}{.metadata.annotations}{end}")
    assert world.kubectl("--namespace", namespace, *left) == ""
    assert "openab-sop-openab" in world.kubectl("--namespace", namespace, "get", "leases", "--output=name")
