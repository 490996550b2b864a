"""What the tests of the sandbox share: a pod to look from, and an inventory of what a sandbox has on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sandbox import Sandbox, Status, site

STATES = Path("/var/lib/openab-sop")
IMAGE = "sandbox.local/debian:test"


def call(*argv: str | Path, stdin: str = "", env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return its output."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=stdin, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def eventually(question: Callable[[], bool], within: float = 60) -> None:
    """Assert that `question()` becomes true."""
    deadline = time.monotonic() + within
    while not question():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.1)


@dataclass(frozen=True)
class Cluster:
    """A sandbox that is up, seen through its commands alone, from one namespace."""

    status: Status
    namespace: str = "default"

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as the administrator."""
        options = (f"--kubeconfig={self.status.kubeconfig}", f"--namespace={self.namespace}")
        return call(self.status.bin / "kubectl", *options, *arguments, stdin=stdin)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def ready(self, pod: str) -> None:
        """Wait until the pod is Ready."""
        self.kubectl("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=60s")

    def sh(self, pod: str, script: str) -> str:
        """Run a script in the pod."""
        return self.kubectl("exec", pod, "--", "sh", "-c", script)


def claim(name: str, snapshot: str = "") -> dict[str, Any]:
    """A claim of the default class, filled from a snapshot if one is named."""
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if snapshot:
        spec["dataSource"] = {
            "apiGroup": "snapshot.storage.k8s.io",
            "kind": "VolumeSnapshot",
            "name": snapshot,
        }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def pod(name: str, claim_name: str, script: str = "exec sleep inf") -> dict[str, Any]:
    """A pod as restricted as a careful chart makes it, with the claim at /home/agent."""
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["tini", "--", "sh", "-c", script],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "home", "mountPath": "/home/agent"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": claim_name}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True)
class Life:
    """One process; its start time tells it from a later one with the same pid."""

    pid: int
    started: str


@dataclass(frozen=True)
class Footprint:
    """What a sandbox has on the machine, found by the kernel's own lists and not by the sandbox's records."""

    processes: frozenset[Life]
    mounts: frozenset[str]
    loops: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    cgroups: frozenset[Path]

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def still_there(self) -> Footprint:
        """Of what was seen, the part that exists now."""
        mounts = _all_mounts()
        return Footprint(
            processes=frozenset(life for life in self.processes if life == _life(life.pid)),
            mounts=frozenset(mount for mount in self.mounts if mount in mounts),
            loops=self.loops & _loops(),
            links=frozenset(link for link in self.links if Path(f"/sys/class/net/{link}").exists()),
            addresses=frozenset(address for address in self.addresses if f" {address}/" in call("ip", "-o", "addr")),
            cgroups=frozenset(path for path in self.cgroups if path.exists()),
        )


def _loops() -> frozenset[str]:
    """Each loop device with its file: a device of that name may be another sandbox's the next moment."""
    listed = call("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE")
    return frozenset(" ".join(line.split()) for line in listed.splitlines())


def footprint(box: Sandbox) -> Footprint:
    """Everything that belongs to `box` now."""
    status = box.status()
    routes = call("ip", "-o", "route", "show", "root", status.address.replace("198.18.", "198.19.")[:-1] + "0/24")
    cgroups = list(Path("/sys/fs/cgroup").glob(f"**/{site.find(status.state).cgroup}"))
    inside = {int(pid) for group in cgroups for file in group.rglob("cgroup.procs") for pid in file.read_text().split()}
    processes = inside | _with_same_mounts({pid for pid in _pids() if _mentions(pid, f"{status.state}/")})
    return Footprint(
        processes=frozenset(life for pid in processes if (life := _life(pid))),
        mounts=frozenset(line for line in _all_mounts().splitlines() if f" {status.state}/" in line),
        loops=frozenset(loop for loop in _loops() if str(status.state) in loop),
        links=frozenset(line.split(" dev ")[1].split()[0] for line in routes.splitlines()),
        addresses=frozenset({status.address} if f" {status.address}/" in call("ip", "-o", "addr") else ()),
        cgroups=frozenset(cgroups),
    )


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _mentions(pid: int, text: str) -> bool:
    try:
        return pid != os.getpid() and text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _with_same_mounts(pids: set[int]) -> set[int]:
    """These processes, and all that share a mount namespace with one of them, if it is not the machine's own."""
    found = {_namespace(pid, "mnt") for pid in pids} - {
        _namespace(1, "mnt"),
        _namespace(os.getpid(), "mnt"),
        "",
    }
    return pids | {pid for pid in _pids() if _namespace(pid, "mnt") in found}


def _life(pid: int) -> Life | None:
    """The process that has this pid now, unless it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Life(pid, fields[19])


def _namespace(pid: int, kind: str) -> str:
    """A namespace of a process, named as /proc and mount tables do."""
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def _all_mounts() -> str:
    """The mounts of every namespace that a process is in."""
    tables = set[str]()
    for entry in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            tables.add(entry.read_text())
        except OSError:
            continue
    return "\n".join(tables)
