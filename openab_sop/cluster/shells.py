"""Shells in a container that run one script after another: starting kubectl takes longer than most scripts do.

A script comes down the shell's standard input behind a line "KEY BYTES", and what it reads follows. The key is of this
shell alone: what else may come, such as names that a script left unread, is none. The shell ends when its standard
input does, that is with us.
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock

from openab_sop.process import Stream, stream

IDLE = 15
"""Seconds for which a shell without work is trusted: what lies between us and the pod may drop a silent connection."""
FINISH = 2
"""Seconds that kubectl gets to end after its last script did."""

_LOOP = 'known=$1; while read -r key size && [ "$key" = "$known" ]; do eval "$(head -c "$size")"; done'
"""What the shell in the container runs. Neither read nor head takes more from a pipe than it was told to."""


@dataclass
class Shell:
    """One shell.

    Attributes:
        process: the kubectl that leads to it.
        key: what it knows a script by.
        is_free: whether its last script has ended and was acknowledged.
        since: when that was, by the monotonic clock.
    """

    process: Stream
    key: str
    is_free: bool = True
    since: float = field(default_factory=time.monotonic)
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def start(cls, argv: Sequence[str], env: Mapping[str, str]) -> Shell:
        """Start one.

        Args:
            argv: the command that runs a command in the container, which follows.
            env: its variables.

        Raises:
            ToolError: kubectl is missing.
        """
        key, stack = secrets.token_hex(16), ExitStack()
        process = stack.enter_context(stream([*argv, "sh", "-c", _LOOP, "sh", key], env=env))
        return cls(process, key, _stack=stack)

    def ask(self, script: str, *words: str) -> None:
        """Send a script with its positional parameters."""
        text = os.fsencode(f"set -- {shlex.join(words)}; {script}")
        self.is_free = False
        self.process.write(f"{self.key} {len(text)}\n".encode() + text)

    def end(self) -> None:
        """End it; where its script has ended, before its kubectl does: nothing of it lingers in the container."""
        if self.is_free:
            self.process.finish(FINISH)
        self._stack.close()


class Shells:
    """The shells of one container: as many as there are scripts at once, each started when it is needed.

    Args: as ``Shell.start`` has them.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._argv = argv
        self._env = env
        self._idle: list[Shell] = []
        self._lock = Lock()

    @contextmanager
    def lend(self) -> Generator[Shell]:
        """Give a shell for one script; it is ended unless the script was.

        Raises:
            ToolError: kubectl is missing.
        """
        shell = self._taken() or Shell.start(self._argv, self._env)
        try:
            yield shell
        finally:
            if shell.is_free:
                shell.since = time.monotonic()
                with self._lock:
                    self._idle.append(shell)
            else:
                shell.end()

    def close(self) -> None:
        """End the shells that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for shell in idle:
            shell.end()

    def _taken(self) -> Shell | None:
        """Take a shell that is idle and lives; those that were idle for too long are ended."""
        trusted = time.monotonic() - IDLE
        with self._lock:
            late = [shell for shell in self._idle if shell.since < trusted or not shell.process.lives]
            self._idle = [shell for shell in self._idle if shell not in late]
            taken = self._idle.pop() if self._idle else None
        for shell in late:
            shell.end()
        return taken
