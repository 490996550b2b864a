"""Which run made something on the cluster, and whether that run is dead: a later one clears up after it."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def owner() -> str:
    """Return what tells this process from every other: host, pid, and when it began."""
    return f"{socket.gethostname()}/{os.getpid()}/{_begun(os.getpid())}"


def is_dead(name: str) -> bool:
    """Tell whether the process that ``owner`` named is known to be gone: one of this host, that no longer runs."""
    host, _, process = name.rpartition("/")[0].rpartition("/")
    begun = name.rpartition("/")[2]
    return host == socket.gethostname() and process.isdigit() and begun != _begun(int(process))


def _begun(pid: int) -> str:
    """When a process began, in the kernel's clock ticks; empty if it is gone, or where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    except OSError:
        return "" if not _lives(pid) else "-"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
