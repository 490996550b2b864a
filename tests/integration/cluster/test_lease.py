"""The record on the release's lock, against the real API server."""

from __future__ import annotations

from typing import Any

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board, Lease
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
