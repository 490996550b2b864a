"""The lock of a release: a Lease in its namespace, so that two runs never maintain one release at once (SOP 3.0).

It is renewed for as long as its run lives, and given back at the end. One whose holder is known to be dead, or has not
renewed it in time, is taken over.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.cluster.owner import is_dead, owner
from openab_sop.errors import ClusterError, Conflict, Forbidden, Held, Unreachable
from openab_sop.objects import Object, at

DURATION = 60
"""Seconds after its last renewal at which anybody may take it over."""
RENEWAL = DURATION / 4
"""Seconds between two renewals."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Lease:
    """The lock of one release, as this run holds it.

    Args:
        release: name of the Helm release; the Lease is called after it.

    Attributes:
        refused: whether another run has it.
    """

    def __init__(self, cluster: Cluster, release: str) -> None:
        self.name = f"{MANAGER}-{release}"
        self.holder = owner()
        self._cluster = cluster
        self.refused = False
        self._lost = ""
        self._ended = threading.Event()
        self._renewed = 0.0
        self._keeper: threading.Thread | None = None

    def acquire(self) -> str:
        """Take the lock, and keep it renewed until ``release`` is called; returns in words how it was had.

        Raises:
            Held: another run has it.
        """
        if self._keeper:
            return f"{self.name} is held by this run, {self.holder}"
        had = self._taken()
        self._renewed = time.monotonic()
        self._keeper = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._keeper.start()
        return had

    def require_free(self) -> None:
        """Stop if another run has the lock, and take it not: what it changes meanwhile is no state to judge.

        A caller who may not look at Leases goes on.

        Raises:
            Held: another run has it.
        """
        with suppress(Forbidden):
            if found := self._cluster.find("Lease", self.name):
                self._require_takeable(found)

    def require(self) -> None:
        """Stop unless the lock is still ours: to be called before each change.

        Raises:
            Held: another run has taken it over, or it is gone.
        """
        if not self._lost and self._keeper and time.monotonic() - self._renewed > DURATION:
            self._renew()  # the line was broken for so long that another run may have taken it for dead
        if self._lost:
            raise self._held(self._lost)

    def release(self) -> None:
        """Give it back; one that was taken over is its new holder's."""
        if self._keeper is None:
            return
        self._ended.set()
        self._keeper.join(timeout=DURATION)
        with suppress(ClusterError, Unreachable):
            if at(self._cluster.get("Lease", self.name), "spec", "holderIdentity") == self.holder:
                self._cluster.delete("Lease", self.name)

    def _keep(self) -> None:
        """Renew it until ``release`` is called; what goes wrong is kept for ``require``."""
        while not self._lost and not self._ended.wait(RENEWAL):
            with suppress(Unreachable):  # whoever is about to change something asks again
                self._renew()

    def _renew(self) -> None:
        """Renew it if it is ours; not by its name alone, since another run may have it by now."""
        while not self._lost:
            try:
                found = self._cluster.get("Lease", self.name)
                if (holder := str(at(found, "spec", "holderIdentity"))) != self.holder:
                    self._lost = f"it was taken over by {holder}"
                    return
                change = {
                    "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                    "spec": {"renewTime": _now()},
                }
                self._cluster.merge("Lease", self.name, change)
                self._renewed = time.monotonic()
                return
            except Conflict:
                continue  # two renewals of ours, or another run that takes it over: the next look tells
            except ClusterError as error:
                self._lost = f"it could not be renewed: {error.problem}"

    def _taken(self) -> str:
        try:
            self._cluster.create("Lease", self._body())
        except Conflict:
            return self._take_over()
        return f"{self.name} is held by this run, {self.holder}"

    def _take_over(self) -> str:
        found = self._cluster.get("Lease", self.name)
        holder = self._require_takeable(found)
        change = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": self._body()["spec"]}
        try:
            self._cluster.merge("Lease", self.name, change)
        except Conflict as lost:
            raise self._held("another run has just taken it over") from lost
        return f"{self.name} was taken over from {holder}, which is gone"

    def _require_takeable(self, found: Object) -> str:
        """Stop if a live run has the lock; returns the one that had it."""
        holder = str(at(found, "spec", "holderIdentity"))
        if not (is_dead(holder) or _is_stale(found) or holder == self.holder):
            raise self._held(f"{holder} holds it, renewed {at(found, 'spec', 'renewTime')}")
        return holder

    def _held(self, seen: str) -> Held:
        self.refused = True
        return Held(
            f"another maintenance run holds the release: Lease {self.name}: {seen}",
            f"wait until it has ended; kubectl -n {self._cluster.namespace} get lease {self.name} shows who it is",
        )

    def _body(self) -> Object:
        spec = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": DURATION,
            "acquireTime": _now(),
            "renewTime": _now(),
        }
        metadata = {"name": self.name, "labels": {"app.kubernetes.io/managed-by": MANAGER}}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _now() -> str:
    return datetime.now(UTC).strftime(_TIME)


def _is_stale(lease: Object) -> bool:
    renewed = at(lease, "spec", "renewTime")
    if not isinstance(renewed, str):
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(renewed)
    return age > timedelta(seconds=int(at(lease, "spec", "leaseDurationSeconds") or DURATION))
