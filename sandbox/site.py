"""Where a sandbox lives: its directories, and the network names that keep it apart from every other one.

Everything follows from the checkout's path, so that two checkouts never meet. The network side is one number, the
slot: it selects an address, a pod subnet and a block of ports. Addresses come from 198.18.0.0/15, the range that
RFC 2544 reserves for benchmarks: private ranges are what a developer's machine is likely to be connected to.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from sandbox.command import run
from sandbox.errors import SandboxError

SLOTS = 256
PORTS_PER_SLOT = 32
FIRST_PORT = 20_000  # 20000-28191: below Linux' ephemeral range, above what services usually take
NODE_PORTS = ("apiserver", "etcd", "etcd-peer", "registry")
CHECKOUT = Path(__file__).resolve().parent.parent
STATE_ROOT = Path("/var/lib/openab-sop")
BEFORE_THE_FIRST_UP = ("lock", "services.lock", "services", "log", "ports.json", "ports.lock")
LONGEST_STATE = 50
"""Characters: a unix socket's path ends at 107, and kubelet's longest below the state directory takes the rest."""


def cache_directory() -> Path:
    """Where builds are kept, shared by all checkouts of this user."""
    if chosen := os.environ.get("OPENAB_SANDBOX_CACHE"):
        return Path(chosen).resolve()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "openab-sop"
    return Path.home() / ".cache" / "openab-sop"


def state_directory() -> Path:
    """This checkout's state directory: OPENAB_SANDBOX_STATE, else one that follows from the checkout's path."""
    chosen = os.environ.get("OPENAB_SANDBOX_STATE")
    return Path(chosen).resolve() if chosen else STATE_ROOT / short_hash(str(CHECKOUT))


def require_short(state: Path) -> None:
    """Raise SandboxError if the state directory's path leaves no room for unix sockets below it."""
    if len(str(state)) > LONGEST_STATE:
        raise SandboxError(
            f"the state directory's path is too long for unix sockets: {state}",
            f"set OPENAB_SANDBOX_STATE to a path of at most {LONGEST_STATE} characters",
        )


def short_hash(text: str) -> str:
    """Eight hexadecimal digits that stand for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Site:
    """One sandbox's place on the machine: `state` is its directory, `slot` (0-255) its share of the network."""

    state: Path
    slot: int

    @property
    def id(self) -> str:
        """Names what must carry a name of its own, such as the cgroup."""
        return short_hash(str(self.state))

    @property
    def address(self) -> str:
        """The node's address: pods and the host both reach it, nobody else does."""
        return f"198.18.{self.slot}.1"

    @property
    def pod_subnet(self) -> str:
        """Pods get their addresses from here."""
        return f"198.19.{self.slot}.0/24"

    @property
    def cgroup(self) -> str:
        """The parent of every cgroup of the node and its pods."""
        return f"openab-sop-{self.id}"

    def port(self, name: str) -> int:
        """The port of this sandbox for `name`: the same at every call, also in later runs.

        Raises SandboxError when the slot's ports are all given away.
        """
        first = FIRST_PORT + self.slot * PORTS_PER_SLOT
        if name in NODE_PORTS:
            return first + NODE_PORTS.index(name)
        with locked(self.state / "ports.lock"):
            names = self._service_names()
            if name not in names:
                names.append(name)
                if len(NODE_PORTS) + len(names) > PORTS_PER_SLOT:
                    raise SandboxError(
                        f"no port left for {name}", "use fewer services, or `python -m sandbox down --purge`"
                    )
                (self.state / "ports.json").write_text(json.dumps(names))
        return first + len(NODE_PORTS) + names.index(name)

    def _service_names(self) -> list[str]:
        try:
            return json.loads((self.state / "ports.json").read_text())
        except FileNotFoundError:
            return []


def find(state: Path) -> Site:
    """The sandbox of this state directory as it was last up, or as it would be."""
    try:
        return Site(state, int((state / "slot").read_text()))
    except FileNotFoundError:
        return Site(state, _preferred_slot(state))


def is_ours(state: Path) -> bool:
    """Whether a sandbox was ever up in this directory."""
    return (state / "slot").exists()


def claim(state: Path) -> Site:
    """The sandbox of this state directory with a slot that is free now. Call it while the node is down.

    Raises SandboxError if all slots are in use, or if the directory is somebody else's.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_ours(state) and any(entry.name not in BEFORE_THE_FIRST_UP for entry in state.iterdir()):
        raise SandboxError(
            f"{state} holds files that are not a sandbox's", "set OPENAB_SANDBOX_STATE to an empty directory"
        )
    state.chmod(0o700)
    STATE_ROOT.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(STATE_ROOT / "slots.lock"):
        wanted = find(state).slot
        taken = _slots_of_others(state)
        for slot in ((wanted + step) % SLOTS for step in range(SLOTS)):
            site = Site(state, slot)
            if slot not in taken and _is_free(site):
                (state / "slot").write_text(str(slot))
                return site
    raise SandboxError("no free address and ports for one more sandbox", "take another checkout's down first")


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock file `path`, waiting for whoever holds it now."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a") as file:
        flock(file, LOCK_EX)
        yield


def _preferred_slot(state: Path) -> int:
    return int(short_hash(str(state)), 16) % SLOTS


def _slots_of_others(state: Path) -> set[int]:
    return {int(file.read_text()) for file in STATE_ROOT.glob("*/slot") if file.parent != state}


def _is_free(site: Site) -> bool:
    prefix = f" 198.18.{site.slot}."
    if prefix in run(["ip", "-4", "-o", "addr"]) or f"198.19.{site.slot}." in run(["ip", "-4", "route"]):
        return False
    return all(_can_bind(site.port(name)) for name in NODE_PORTS)


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
