"""The node's own mount and pid namespaces, so that the kernel itself cleans up after it.

Everything of the node runs in there: when the first process dies, the kernel ends all others (shims and pods too),
and with the last one go the mounts, the pods' network namespaces, and with these their veths. No list of what to
undo can do it as surely. Directories that upstream's parts name without asking are the sandbox's own in there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import wait
from sandbox.command import run
from sandbox.processes import Process, Records

NAME = "enclosure"
PRIVATE = ("/var/log", "/var/lib/cni")
"""kubelet's links to container logs and the CNI library's cache: at fixed places, so bound to ours in there."""


@dataclass(frozen=True)
class Enclosure:
    """The namespaces that `process` opened; `pid` is the first process inside, as the host counts."""

    process: Process
    pid: int

    def enter(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs `argv` inside."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--", *(str(word) for word in argv)]


def find(records: Records) -> Enclosure | None:
    """The enclosure that is up, if one is."""
    process = records.find(NAME)
    child = process and _child(process)
    return Enclosure(process, child) if process and child else None


def open_new(records: Records, first: Path, state: Path, log: Path) -> Enclosure:
    """Make new namespaces held by the program `first`, with private directories below `state`.

    Raises SandboxError if the machine does not allow it.
    """
    argv = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation=slave",
        "--mount-proc",
        first,
    ]
    process = records.start(NAME, argv, log)
    wait.until(
        "the node's namespaces",
        lambda: _runs(process, first),
        timeout=10,
        check=process.require_alive,
        next_step="check that this machine lets root make namespaces (a container needs --privileged)",
    )
    enclosure = Enclosure(process, _child(process) or 0)
    _mount_inside(enclosure, state)
    return enclosure


def _mount_inside(enclosure: Enclosure, state: Path) -> None:
    run(enclosure.enter(["mount", "--make-rshared", "/"]))
    run(enclosure.enter(["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"]))
    for path in PRIVATE:
        Path(path).mkdir(parents=True, exist_ok=True)
        ours = state / path.lstrip("/").replace("/", "-")
        ours.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(enclosure.enter(["mount", "--bind", ours, path]))


def _child(process: Process) -> int | None:
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def _runs(process: Process, program: Path) -> bool:
    child = _child(process)
    try:
        return child is not None and Path(f"/proc/{child}/exe").readlink() == program
    except OSError:
        return False
