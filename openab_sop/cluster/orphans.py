"""Helm processes of runs that were killed: they may still be at work, so they are waited for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.owner import is_dead, owner
from openab_sop.wait import wait

WAIT = 600
"""Seconds that an orphan gets to end."""
_OWNER = "OPENAB_SOP_HELM_OWNER"


def mark() -> Mapping[str, str]:
    """Return the variables that mark a helm as this run's."""
    return {_OWNER: owner()}


def wait_for_orphans(cluster: Cluster) -> list[int]:
    """Wait until no helm of a dead run works in the namespace any more; returns the process ids of those that did.

    Only this machine is seen; Helm's own pending status tells of others.

    Raises:
        SopError: one does not end.
    """
    found = _orphans(cluster)
    wait(
        lambda: ", ".join(f"process {pid}" for pid in _orphans(cluster)) or None,
        what="the end of a helm that a killed run has left",
        timeout=WAIT,
        next_step="look at it with: ps -fp PID; end it only if it hangs, then run the same command again",
    )
    return found


def _orphans(cluster: Cluster) -> list[int]:
    """Process ids; zombies have no environment any more, and others' processes cannot be ours.

    A container's process, which root sees too, may have any variables: only one of our own pid namespace counts.
    """
    import psutil  # only here: it takes a tenth of a second

    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid() or not _is_here(process.pid):
                continue
            variables = process.environ()
        except psutil.Error:
            continue
        if is_dead(variables.get(_OWNER, "")) and variables.get("HELM_NAMESPACE") == cluster.namespace:
            found.append(process.pid)
    return found


def _is_here(pid: int) -> bool:
    """Tell whether a process is in our pid namespace, or there is no telling."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except OSError:
        return not Path("/proc/self/ns/pid").is_symlink()
