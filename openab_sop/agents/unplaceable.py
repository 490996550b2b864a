"""A pod that no node takes: whether that may pass by itself (SOP 3.2, 5.2).

Room, a node that is down, a taint, a volume that is being made: these may. A claim that is not there, and labels that
no node has, do not, unless something adds nodes: an autoscaler says in events of the pod what it does about it. Decided
from objects, never from the scheduler's words; these are quoted.
"""

from __future__ import annotations

import time
from contextlib import suppress

from openab_sop.agents.placement import selects
from openab_sop.agents.workload import claims_of
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import Forbidden
from openab_sop.objects import Object, at, part

LATE = 20
"""Seconds that a claim may come later than its pod."""
SILENT = 45
"""Seconds in which an autoscaler has said something of a pod without a node: it looks every 10 s, some every 30 s."""
_EVERY = 5
"""Seconds between two looks at what does not change often."""
_SCHEDULER = "default-scheduler"
_GIVES_UP = "NotTriggerScaleUp"
"""The reason of the cluster autoscaler's event of a pod for which no node that it can add would do."""


class Unplaced:
    """Watches one wait for a pod without a node."""

    def __init__(self) -> None:
        self._uid = ""
        self._since = 0.0
        self._looked = 0.0

    def hopeless(self, cluster: Cluster, pod: Object | None) -> str:
        """Return why a pod gets no node however long one waits; empty if it has one, or may get one.

        Args:
            pod: as it is now; None if there is none.
        """
        uid = str(at(pod or {}, "metadata", "uid") or "")
        if pod is None or at(pod, "spec", "nodeName"):
            self._uid = ""
            return ""
        now = time.monotonic()
        if uid != self._uid:
            self._uid, self._since, self._looked = uid, now, now
        if now - self._since < LATE or now - self._looked < _EVERY:
            return ""
        self._looked = now
        return lacking_claims(cluster, pod) or (no_such_node(cluster, pod) if now - self._since > SILENT else "")


def lacking_claims(cluster: Cluster, pod: Object) -> str:
    """Say which claims of a pod are not there; nothing makes them but whoever has made the pod."""
    with suppress(Forbidden):
        claims = dict.fromkeys(claims_of(part(pod, "spec")).values())
        if lacking := [claim for claim in claims if cluster.find("PersistentVolumeClaim", claim) is None]:
            return f"claim {', '.join(lacking)} is not there"
    return ""


def no_such_node(cluster: Cluster, pod: Object) -> str:
    """Say that no node has the labels that a pod asks for, if nothing is seen that could add one."""
    with suppress(Forbidden):
        nodes = cluster.all("Node")
        if not nodes or any(selects(part(pod, "spec"), node) for node in nodes):
            return ""
        if adds_nodes(pod, cluster.events(str(at(pod, "metadata", "uid")))):
            return ""
        return f"none of {len(nodes)} nodes matches its node selector and node affinity, and nothing is seen to add one"
    return ""


def adds_nodes(pod: Object, events: list[Object]) -> bool:
    """Tell whether somebody but its scheduler has said something of a pod, and has not given it up: an autoscaler."""
    scheduler = str(at(pod, "spec", "schedulerName") or _SCHEDULER)
    others = [event for event in events if _by(event) not in (scheduler, "")]
    return bool(others) and max(others, key=_time).get("reason") != _GIVES_UP


def _by(event: Object) -> str:
    return str(event.get("reportingComponent") or at(event, "source", "component") or "")


def _time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
