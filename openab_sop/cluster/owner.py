"""Which run made something on the cluster, and whether that run is dead: a later one clears up after it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path


def owner() -> str:
    """Return what tells this process from every other: host, where on it process ids count, pid, and when it began."""
    return f"{socket.gethostname()}/{_where()}/{os.getpid()}/{_begun(os.getpid())}"


def is_dead(name: str) -> bool:
    """Tell whether the process that ``owner`` named is known to be gone: one of here, that no longer runs.

    Of one on another machine, in another container, or from before a restart of this machine, nothing is known.
    """
    host, _, rest = name.partition("/")
    where, _, process = rest.partition("/")
    pid, _, begun = process.partition("/")
    here = (host, where) == (socket.gethostname(), _where())
    return here and pid.isdecimal() and len(pid) < 20 and begun != _begun(int(pid))


@cache
def _where() -> str:
    """What tells this kernel and its process ids from others of the same host name: boot and pid namespace."""
    parts: list[str] = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(Path("/proc/self/ns/pid").readlink().name.strip("pid:[]"))
    return "-".join(parts)


def _begun(pid: int) -> str:
    """When a process began, in the kernel's clock ticks; empty if it is gone, or where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    except OSError:
        return "" if not _lives(pid) else "-"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
