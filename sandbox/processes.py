"""Processes that outlive the command that started them, found again by a record of pid and start time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox import wait
from sandbox.command import search_path, tail_of
from sandbox.errors import SandboxError

MARKER = "OPENAB_SANDBOX_RECORDS"
"""Environment variable of everything started here and of its children: finds them when their record is lost."""
GARBAGE = "400"
"""Percent by which a program's heap may grow before it is collected: memory is there, processors are few."""
MARKED = 0.2
"""Seconds after which a process whose mark does not show has ended already."""

KILL_TIMEOUT = 60
"""Seconds for a process to be gone after SIGKILL: a full pid namespace takes a moment to empty."""


@dataclass(frozen=True)
class Process:
    """One started process. `started` is its start time in the kernel's ticks: a pid alone may be somebody else's."""

    name: str
    pid: int
    started: int
    argv: tuple[str, ...]
    log: str

    def alive(self) -> bool:
        """Whether it still runs."""
        return _start_time(self.pid) == self.started

    def require_alive(self) -> None:
        """Raise SandboxError with the end of its log if it has died."""
        if not self.alive():
            raise SandboxError(f"{self.name} has died{tail_of(Path(self.log))}", f"read its log, {self.log}")

    def kill(self) -> None:
        """End it and its process group at once, and wait until it is gone."""
        if self.alive():
            with suppress(ProcessLookupError):
                leads = os.getpgid(self.pid) == self.pid  # what is found without a record may be of another's group
                (os.killpg if leads else os.kill)(self.pid, signal.SIGKILL)
        wait.until(
            f"the end of {self.name} (pid {self.pid})",
            lambda: not self.alive(),
            timeout=KILL_TIMEOUT,
            next_step=f"look at /proc/{self.pid}/stack: it may hang in the kernel",
        )


@dataclass(frozen=True)
class Records:
    """The directory where the records of started processes are."""

    directory: Path

    def load(self) -> list[Process]:
        """Everything recorded, alive or not."""
        return [process for file in sorted(self.directory.glob("*.json")) if (process := _read(file))]

    def find(self, name: str) -> Process | None:
        """The process called `name`, if it is alive."""
        return next((process for process in self.load() if process.name == name and process.alive()), None)

    def kill_all(self, first: str = "") -> None:
        """End all that was started from here, `first` before the others, recorded or not, and forget it."""
        for process in sorted(self.load(), key=lambda process: process.name != first):
            process.kill()
            (self.directory / f"{process.name}.json").unlink(missing_ok=True)
        for process in self._strays():
            process.kill()

    def start(self, name: str, argv: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> Process:
        """Start `argv` in a session and with an environment of its own. Its output is `log`; the one before is kept."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.exists():
            log.rename(log.with_suffix(".before.log"))
        words = tuple(str(word) for word in argv)
        marked = {
            "GOGC": GARBAGE,
            "PATH": search_path(),
            "HOME": str(self.directory),
            **(env or {}),
            MARKER: str(self.directory),
        }
        pid = _spawn(words, log, marked)
        _await_mark(pid, f"{MARKER}={self.directory}".encode())
        process = Process(name, pid, _start_time(pid) or 0, words, str(log))
        record = self.directory / f"{name}.json"
        record.with_suffix(".part").write_text(json.dumps(asdict(process)))
        record.with_suffix(".part").rename(record)
        return process

    def _strays(self) -> list[Process]:
        mark = f"{MARKER}={self.directory}".encode()
        found = list[Process]()
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                marked = mark in (directory / "environ").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            pid = int(directory.name)
            if marked and pid != os.getpid() and (started := _start_time(pid)):
                found.append(Process(f"a leftover of {self.directory}", pid, started, (), ""))
        return found


def _await_mark(pid: int, mark: bytes) -> None:
    """Wait until the mark of a new process can be read: the kernel shows it a moment after the process has begun."""
    deadline = time.monotonic() + MARKED
    with suppress(OSError):  # it has ended already
        while mark not in Path(f"/proc/{pid}/environ").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.001)


def _spawn(argv: tuple[str, ...], log: Path, env: Mapping[str, str]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Python ignores SIGPIPE; an ignored signal is inherited by everything down to the pods' processes. So is the
    # umask: a private one makes the root directory of every container one that only root may enter.
    inherited = os.umask(0o022)
    try:
        return os.posix_spawnp(
            argv[0],
            argv,
            dict(env),
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as error:
        raise SandboxError(
            f"cannot start {argv[0]}: {error.strerror}", "build it again: remove it from the cache"
        ) from error
    finally:
        os.umask(inherited)


def _read(file: Path) -> Process | None:
    try:
        fields = json.loads(file.read_text())
        return Process(**(fields | {"argv": tuple(fields["argv"])}))
    except (ValueError, TypeError, KeyError):
        return None  # cut short by a full disk: what it was is found by its namespaces


def _start_time(pid: int) -> int | None:
    """The start time of `pid`, or None if it is gone (a zombie is: it only waits for its parent's attention)."""
    _reap(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else int(started)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
