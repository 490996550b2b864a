"""How much memory a run's processes hold at most."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path


def peaks(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Watch a pytest run to its end; returns by name of process the most bytes of memory that one of them held.

    Of pytest everything that is resident counts (VmHWM); of kubectl and helm, whose program files the kernel shares and
    may drop at any time, what is their own (RssAnon).
    """
    most: dict[str, int] = {}
    while process.poll() is None:
        held = [("pytest", _status(process.pid, "VmHWM"))]
        held += [(name, _status(pid, "RssAnon")) for name, pid in _children(process.pid) if name in ("kubectl", "helm")]
        for name, size in held:
            most[name] = max(size, most.get(name, 0))
        time.sleep(0.05)
    return most


def _status(pid: int, field: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        held = re.search(rf"{field}:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(held[1]) << 10 if held else 0  # a process that has just ended holds nothing
    return 0


def _children(pid: int) -> list[tuple[str, int]]:
    """Names and ids of the processes that a process has started, and they in turn."""
    found: list[tuple[str, int]] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found.append((Path(f"/proc/{child}/comm").read_text().strip(), int(child)))
                found += _children(int(child))
    return found
