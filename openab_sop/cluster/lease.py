"""The lock of a release: a Lease in its namespace, so that two runs never maintain one release at once (SOP 3.0).

It is renewed for as long as its run lives, and given back at the end. One whose holder is known to be dead, or has not
renewed it in time, is taken over. What is under way is written on it: so any machine and any caller sees it, and can go
on.
"""

from __future__ import annotations

import lzma
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from openab_sop import bounded
from openab_sop.cluster.kube import MANAGER, Cluster
from openab_sop.cluster.owner import is_dead, owner
from openab_sop.errors import ClusterError, Conflict, Forbidden, InvalidDocument, NotFound, ReleaseLocked, Unreachable
from openab_sop.escape import command
from openab_sop.objects import Object, at, part

DURATION = 60
"""Seconds after its last renewal at which anybody may take it over."""
RENEWAL = DURATION / 4
"""Seconds between two renewals."""

_DOING = f"{MANAGER}/doing"
"""Annotation: what its holder does, or has begun, in words."""
_ROOM = 200_000
"""Characters that a record may take: annotations of an object have 256 KiB together."""
_RECORD = f"{MANAGER}/record"
"""Annotation: the record of what is under way, as ``Board`` packs it."""


class Board:
    """What is under way with a release, on its Lease: it stays there when nobody holds the lock.

    Args:
        release: name of the Helm release.
    """

    def __init__(self, cluster: Cluster, release: str) -> None:
        self.name = name_of(release)
        self._cluster = cluster

    def read(self) -> str | None:
        """Return the record; None if nothing is under way.

        Raises:
            Forbidden: this caller may not look.
            ClusterError: it is there and cannot be read.
        """
        packed = part(self._cluster.find("Lease", self.name) or {}, "metadata", "annotations").get(_RECORD)
        try:
            return bounded.unxz(b64decode(packed), f"the record on Lease {self.name}").decode() if packed else None
        except (ValueError, TypeError) as error:
            why = error.problem if isinstance(error, InvalidDocument) else error
            take_away = ("annotate", "lease", self.name, f"{_RECORD}-")
            raise ClusterError(
                f"what Lease {self.name} has on record cannot be read: {why}",
                f"take it away: {command('kubectl', '-n', self._cluster.namespace, *take_away)}; "
                "then the session file counts",
            ) from error

    def doing(self) -> str:
        """Return what is under way, or did not end, in words; empty if nothing is, or this caller may not look."""
        with suppress(Forbidden):
            return str(part(self._cluster.find("Lease", self.name) or {}, "metadata", "annotations").get(_DOING) or "")
        return ""

    def write(self, record: str, doing: str) -> bool:
        """Put a record on the lock that this run holds, and what is done in words.

        Returns:
            False if it is too large to be kept there.

        Raises:
            ReleaseLocked: the lock is gone, or another run's.
        """
        packed = b64encode(lzma.compress(record.encode())).decode()
        if len(packed) > _ROOM:
            return False
        while True:
            found = self._cluster.find("Lease", self.name)
            if found is None or at(found, "spec", "holderIdentity") != owner():
                by = at(found or {}, "spec", "holderIdentity") or "nobody"
                raise ReleaseLocked(
                    f"Lease {self.name}, the lock of the release, is not this run's any more: it is held by {by}",
                    "see what it did, then run the same command again",
                )
            known: Object = {"resourceVersion": found["metadata"]["resourceVersion"]}
            known["annotations"] = {_RECORD: packed, _DOING: doing}
            try:
                self._cluster.merge("Lease", self.name, {"metadata": known})
            except Conflict:
                continue  # our own renewal, or another run: the next look tells
            return True

    def clear(self) -> None:
        """Take the record away; the Lease goes with it, unless somebody holds it."""
        with suppress(Forbidden):
            while found := self._cluster.find("Lease", self.name):
                if _RECORD not in part(found, "metadata", "annotations"):
                    return
                known: Object = {"resourceVersion": found["metadata"]["resourceVersion"]}
                known["annotations"] = {_RECORD: None, _DOING: None}
                try:
                    cleared = self._cluster.merge("Lease", self.name, {"metadata": known})
                except Conflict:
                    continue  # a renewal, or a run that takes it over: what is over must not stay for it to go on with
                if not at(cleared, "spec", "holderIdentity"):
                    self._cluster.delete("Lease", self.name, cleared["metadata"]["uid"])
                return


class Lease:
    """The lock of one release, as this run holds it.

    Args:
        release: name of the Helm release; the Lease is called after it.

    Attributes:
        refused: whether another run has it.
        from_elsewhere: whether it was taken over from a run on another machine, of which nothing is known: what that
            has started may still be at work.
    """

    def __init__(self, cluster: Cluster, release: str) -> None:
        self.name = name_of(release)
        self.holder = owner()
        self._cluster = cluster
        self.refused = False
        self.from_elsewhere = False
        self._lost = ""
        self._ended = threading.Event()
        self._renewed = 0.0
        self._keeper: threading.Thread | None = None

    def acquire(self, doing: str) -> str:
        """Take the lock, and keep it renewed until ``release`` is called; returns in words how it was had.

        Args:
            doing: what for, in words: it stays on the lock of a run that is killed.

        Raises:
            ReleaseLocked: another run has it.
        """
        if self._keeper:
            return f"{self.name} is held by this run, {self.holder}"
        had = self._taken(doing)
        self._renewed = time.monotonic()
        self._keeper = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._keeper.start()
        return had

    def require_free(self) -> None:
        """Stop if another run has the lock, and take it not: what it changes meanwhile is no state to judge.

        A caller who may not look at Leases goes on.

        Raises:
            ReleaseLocked: another run has it.
        """
        with suppress(Forbidden):
            if found := self._cluster.find("Lease", self.name):
                self._require_takeable(found)

    def require(self) -> None:
        """Stop unless the lock is still ours: to be called before each change.

        Raises:
            ReleaseLocked: another run has taken it over, or it is gone.
        """
        if not self._lost and self._keeper and time.monotonic() - self._renewed > DURATION:
            self._renew()  # the line was broken for so long that another run may have taken it for dead
        if self._lost:
            raise self._held(self._lost)

    @property
    def is_held(self) -> bool:
        """Whether this run has it."""
        return self._keeper is not None and not self._lost

    def release(self, *, keep: bool = False) -> None:
        """Give it back; one that was taken over is its new holder's, and one with a record stays without a holder.

        Args:
            keep: whether what was done did not end: whoever looks is to see it.
        """
        if self._keeper is None:
            return
        self._ended.set()
        self._keeper.join(timeout=DURATION)
        with suppress(ClusterError, Unreachable):
            found = self._cluster.get("Lease", self.name)
            if at(found, "spec", "holderIdentity") != self.holder:
                return
            nobody: Object = {"spec": {"holderIdentity": None}}
            if not keep and _RECORD not in part(found, "metadata", "annotations"):
                with suppress(Forbidden):
                    self._cluster.delete("Lease", self.name, found["metadata"]["uid"])
                    return
                nobody["metadata"] = {"annotations": {_DOING: None}}  # it stays, and says nothing
            self._cluster.merge("Lease", self.name, nobody)

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
                    "spec": {"renewTime": _written(self._cluster.clock())},
                }
                self._cluster.merge("Lease", self.name, change)
                self._renewed = time.monotonic()
                return
            except Conflict:
                continue  # two renewals of ours, or another run that takes it over: the next look tells
            except ClusterError as error:
                if isinstance(error, NotFound) or time.monotonic() - self._renewed > DURATION:
                    self._lost = f"it could not be renewed: {error.problem}"
                return

    def _taken(self, doing: str) -> str:
        body = _body(self.name, self.holder, _written(self._cluster.clock()), {_DOING: doing})
        try:
            self._cluster.create("Lease", body)
        except Conflict:
            return self._take_over(body, doing)
        return f"{self.name} is held by this run, {self.holder}"

    def _take_over(self, body: Object, doing: str) -> str:
        found = self._cluster.get("Lease", self.name)
        holder, notes = self._require_takeable(found), part(found, "metadata", "annotations")
        known: Object = {"resourceVersion": found["metadata"]["resourceVersion"]}
        if _RECORD not in notes:
            known["annotations"] = {_DOING: doing}
        change = {"metadata": known, "spec": body["spec"]}
        try:
            self._cluster.merge("Lease", self.name, change)
        except Conflict as lost:
            raise self._held("another run has just taken it over") from lost
        self.from_elsewhere = bool(holder) and not is_dead(holder) and holder != self.holder
        if not holder:
            return f"{self.name} is held by this run, {self.holder}; under way: {notes.get(_DOING)}"
        return (
            f"{self.name} was taken over from {holder}, which is gone; it had begun: {notes.get(_DOING) or 'unknown'}"
        )

    def _require_takeable(self, found: Object) -> str:
        """Stop if a live run has the lock; returns the one that had it."""
        holder = str(at(found, "spec", "holderIdentity") or "")
        if not (not holder or is_dead(holder) or self._is_stale(found) or holder == self.holder):
            doing = part(found, "metadata", "annotations").get(_DOING)
            said = f" ({doing})" if doing else ""
            raise self._held(f"{holder} holds it{said}, renewed {at(found, 'spec', 'renewTime')}")
        return holder

    def _is_stale(self, found: Object) -> bool:
        renewed = at(found, "spec", "renewTime")
        if not isinstance(renewed, str):
            return True
        age = self._cluster.clock() - datetime.fromisoformat(renewed)
        return age > timedelta(seconds=int(at(found, "spec", "leaseDurationSeconds") or DURATION))

    def _held(self, seen: str) -> ReleaseLocked:
        self.refused = True
        return ReleaseLocked(
            f"another maintenance run holds the release: Lease {self.name}: {seen}",
            "wait until it has ended; "
            f"{command('kubectl', '-n', self._cluster.namespace, 'get', 'lease', self.name)} shows who it is",
        )


def boards(cluster: Cluster) -> Iterator[Board]:
    """Yield the locks of the namespace that have a record.

    Raises:
        Forbidden: this caller may not look.
    """
    for found in cluster.list("Lease", f"app.kubernetes.io/managed-by={MANAGER}"):
        if _RECORD in part(found, "metadata", "annotations"):
            yield Board(cluster, str(found["metadata"]["name"]).removeprefix(f"{MANAGER}-"))


def name_of(release: str) -> str:
    """Return the name of a release's Lease."""
    return f"{MANAGER}-{release}"


def _body(name: str, holder: str, now: str, notes: Object) -> Object:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "acquireTime": now, "renewTime": now}
    metadata = {"name": name, "labels": {"app.kubernetes.io/managed-by": MANAGER}, "annotations": notes}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _written(time: datetime) -> str:
    """Write a time as a Lease has it, a MicroTime."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
