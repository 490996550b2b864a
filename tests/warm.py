"""A Python with its imports behind it: pytest runs in forks of it, each a process of its own, in a fifth of the time.

Most of what a short run of a suite costs is importing the client library, pytest and the product, and the tests make a
thousand of them. A fork has its own pid, environment, directory, arguments and files, as a fresh process has; it
differs in what was imported before, and in a list of the installed packages that was read before. What must be tried on
a fresh process (signals that it handles, terminals, memory, flags of Python's own) starts one.

``serve`` is the process that forks: one request a message on its socket, answered with pid and exit status on the
socket that came with it.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.metadata
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INHERITED = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Settings of the caller's Python that a run of a suite does not get: each would compile all modules anew."""
ROOT = Path(__file__).resolve().parents[1]
PRELOADED = ("pytest", "_pytest.pytester", "jinja2", "execnet", "pdb")
"""Beside the product's own modules and what they import. No pytest plugin: pytest rewrites these as it imports them."""
LONGEST = 1 << 20
"""Bytes of a request: arguments and environment."""


@dataclass(frozen=True)
class Done:
    """A run that has ended: its exit status, minus the signal's number if one ended it, and what it printed."""

    returncode: int
    stdout: str


class Process:
    """A pytest that runs in a fork."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end = end
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        if self._status is None and select.select([self._end], [], [], 0)[0]:
            self._status = int(self._end.recv(64))
        return self._status

    def wait(self, timeout: float) -> int:
        """Wait for its end, in seconds; returns its exit status.

        Raises:
            subprocess.TimeoutExpired: it did not end in time, and was killed.
        """
        select.select([self._end], [], [], timeout)
        if (status := self.poll()) is None:
            self.kill()
            raise subprocess.TimeoutExpired("pytest", timeout)
        return status

    def kill(self, *, group: bool = False) -> None:
        """Kill it if it still runs; with ``group``, all that it has started in its session too."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended in this moment
                (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)


def run(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
    """Run ``python -m pytest`` with arguments, to its end; in a fresh process if ``env`` has settings of Python's own.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    with tempfile.TemporaryFile() as output:
        if any(name.startswith("PYTHON") for name in env):
            command = [sys.executable, "-m", "pytest", *arguments]
            fresh = subprocess.run(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT, timeout=timeout)
            status = fresh.returncode
        else:
            status = start(arguments, cwd, env, output.fileno()).wait(timeout)
        output.seek(0)
        return Done(status, output.read().decode(errors="replace"))


def start(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    output: int,
    stdin: int | None = None,
    *,
    session: bool = False,
) -> Process:
    """Start pytest in a fork that writes to this file, and reads from the other one if there is one.

    With ``session`` it has a session of its own, as a fresh process gets by ``start_new_session``.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, Path(os.devnull).open() as nothing:
        request = json.dumps([list(arguments), str(cwd), dict(env), session]).encode()
        files = [theirs.fileno(), nothing.fileno() if stdin is None else stdin, output]
        _server.ask(request, files)
    return Process(int(ours.recv(64)), ours)


def environment(*foreign: str) -> dict[str, str]:
    """Return this process's environment as a run of a suite gets it, without variables of a foreign prefix."""
    return {n: value for n, value in os.environ.items() if n not in INHERITED and not n.startswith(foreign)}


class _Server:
    """This process's own server, started when it is first needed; it ends when this process does."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def ask(self, request: bytes, files: list[int]) -> None:
        """Send a request, from any thread."""
        with self._lock:
            if self._socket is None:
                self._socket = self._started()
            socket.send_fds(self._socket, [request], files)

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        with theirs:
            subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                cwd=ROOT,
                env=environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        return ours


_server = _Server()


def serve(requests: socket.socket) -> tuple[list[str], str, dict[str, str]]:
    """Fork for each request until nobody can ask any more; returns in the fork, with what it has to run."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is not requests:
                    _tell_end(waiting, key)
                    continue
                message, files, _, _ = socket.recv_fds(requests, LONGEST, 3)
                if not message:
                    sys.exit()
                reply, stdin, output = files
                pid = os.fork()
                if pid == 0:
                    for number, file in enumerate((stdin, output, output)):
                        os.dup2(file, number)
                    for file in files:
                        os.close(file)
                    requests.close()
                    arguments, directory, environment, session = json.loads(message)
                    if session:
                        os.setsid()
                    return arguments, directory, environment
                os.close(stdin)
                os.close(output)
                told = socket.socket(fileno=reply)
                with suppress(OSError):  # who asked is gone
                    told.send(str(pid).encode())
                waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))


def _tell_end(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, told = key.data
    waiting.unregister(key.fileobj)
    os.close(key.fd)
    with told, suppress(OSError):
        told.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _import_all() -> None:
    import openab_sop

    for module in pkgutil.walk_packages(openab_sop.__path__, "openab_sop."):
        importlib.import_module(module.name)
    for name in PRELOADED:
        importlib.import_module(name)
    _know_packages()
    gc.collect()
    gc.freeze()  # so that the forks' collections do not copy these pages


def _know_packages() -> None:
    """Read what is installed once; pytest reads each package's plugins again for each plugin that is named to it.

    Without hypothesis, which an operator has not, and which takes its time in each run.
    """
    for name in ("entry_points", "files"):
        known = functools.cached_property(vars(importlib.metadata.Distribution)[name].fget)
        known.__set_name__(importlib.metadata.Distribution, name)
        setattr(importlib.metadata.Distribution, name, known)
    every = importlib.metadata.distributions()
    installed = [package for package in every if package.metadata["Name"] != "hypothesis"]
    for package in installed:
        if any(point.group == "pytest11" for point in package.entry_points):
            _ = package.files
    importlib.metadata.distributions = lambda: installed


def main() -> None:
    """Serve; in a fork, be the pytest that was asked for."""
    _import_all()
    arguments, directory, environment = serve(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[0] = directory
    sys.path_importer_cache.clear()
    sys.argv[1:] = arguments
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
