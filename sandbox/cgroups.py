"""The cgroup that is the parent of the node's pods, in version 1 and in version 2 hierarchies."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import wait
from sandbox.errors import SandboxError

CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
"""What kubelet and runc use of version 2, in the order of upstream's documentation."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup file system."""

    root: Path
    unified: bool


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """The cgroup file systems in `mountinfo` (the text of /proc/self/mountinfo)."""
    found = list[Hierarchy]()
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind = right.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.append(Hierarchy(Path(left.split()[4]), kind == "cgroup2"))
    return found


def create(name: str) -> None:
    """Make the cgroup `name` in each hierarchy. Raises SandboxError if the machine has none, or forbids it."""
    mounted = _mounted()
    if not mounted:
        raise SandboxError(
            "no cgroup file system is mounted", "mount one at /sys/fs/cgroup (a container needs --privileged)"
        )
    for hierarchy in mounted:
        try:
            _make(hierarchy, name)
        except OSError as error:
            raise SandboxError(
                f"cannot make a cgroup below {hierarchy.root}: {error.strerror}",
                "the machine must let root make cgroups (a container needs --privileged)",
            ) from error


def _make(hierarchy: Hierarchy, name: str) -> None:
    directory = hierarchy.root / name
    if hierarchy.unified:
        _delegate(hierarchy.root)
        directory.mkdir(exist_ok=True)
        _delegate(directory)
    else:
        directory.mkdir(exist_ok=True)
        _inherit_cpuset(hierarchy.root, directory)


def remove(name: str) -> None:
    """Remove the cgroup `name` and all below it; their processes must have been ended."""
    for hierarchy in _mounted():
        top = hierarchy.root / name
        wait.until(
            f"the removal of {top}",
            lambda top=top: _removed(top),
            timeout=60,
            next_step=f"see which processes are left: `cat {top}/cgroup.procs`",
        )


def _removed(top: Path) -> bool:
    for directory in _bottom_up(top):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # busy: the kernel is still ending its last process
            return False
    return True


def _bottom_up(top: Path) -> Iterator[Path]:
    if top.is_dir():
        for child in top.iterdir():
            if child.is_dir():
                yield from _bottom_up(child)
        yield top


def _delegate(directory: Path) -> None:
    """Let the children of a version 2 cgroup have controllers."""
    offered = (directory / "cgroup.controllers").read_text().split()
    for controller in (name for name in CONTROLLERS if name in offered):
        try:
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _vacate(directory)
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _vacate(directory: Path) -> None:
    """Version 2 allows processes only in leaves: in a container, those at its root move into one."""
    leaf = directory / "init"
    leaf.mkdir(exist_ok=True)
    for pid in (directory / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """A new version 1 cpuset is empty, and no process can join it so."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (child / name).exists() and not (child / name).read_text().strip():
            (child / name).write_text((parent / name).read_text())


def _mounted() -> list[Hierarchy]:
    return hierarchies(Path("/proc/self/mountinfo").read_text())
