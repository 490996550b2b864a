"""Shells in a container that run one script after another: starting kubectl takes longer than most scripts do.

A script comes down the shell's standard input behind its length, and what it reads follows. The shell ends when its
standard input does, that is with us.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock

from openab_sop.process import Stream, stream

LOOP = 'while read -r size; do eval "$(head -c "$size")"; done'
"""What the shell in the container runs. Neither read nor head takes more from a pipe than it was told to."""
IDLE = 15
"""Seconds for which a shell without work is trusted: what lies between us and the pod may drop a silent connection."""
FINISH = 2
"""Seconds that kubectl gets to end after its last script did."""


@dataclass
class Lent:
    """A shell while a script runs in it; ``ended``: whether the script has, so that the next one may follow."""

    process: Stream
    ended: bool = False


class Shells:
    """The shells of one container: as many as there are scripts at once, each started when it is needed."""

    def __init__(self) -> None:
        self._idle: list[tuple[Mapping[str, str], Stream, ExitStack, float]] = []
        self._lock = Lock()

    @contextmanager
    def lend(self, argv: Sequence[str], env: Mapping[str, str], script: str, *words: str) -> Generator[Lent]:
        """Start a script in a shell; what it reads is to be written by the caller.

        Args:
            argv: the command that starts a command in the container, which follows.
            env: its variables; shells that were started with others are left alone.
            words: the script's positional parameters.

        Raises:
            ToolError: kubectl is missing.
        """
        process, stack = self._taken(env) or _started([*argv, "sh", "-c", LOOP], env)
        lent = Lent(process)
        try:
            text = os.fsencode(f"set -- {shlex.join(words)}\n{script}")
            process.write(b"%d\n%s" % (len(text), text))
            yield lent
        finally:
            if lent.ended:
                with self._lock:
                    self._idle.append((env, process, stack, time.monotonic()))
            else:
                stack.close()

    def close(self) -> None:
        """End the shells that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, process, stack, _ in idle:
            _end(process, stack)

    def _taken(self, env: Mapping[str, str]) -> tuple[Stream, ExitStack] | None:
        """Take a shell that is idle; those that were for too long are ended."""
        trusted = time.monotonic() - IDLE
        with self._lock:
            late = [found for found in self._idle if found[3] < trusted]
            self._idle = [found for found in self._idle if found[3] >= trusted]
            own = next((found for found in self._idle if found[0] == env), None)
            if own:
                self._idle.remove(own)
        for _, process, stack, _ in late:
            _end(process, stack)
        if own is None:
            return None
        _, process, stack, _ = own
        process.forget_errors()
        return process, stack


def _started(argv: Sequence[str], env: Mapping[str, str]) -> tuple[Stream, ExitStack]:
    stack = ExitStack()
    return stack.enter_context(stream(argv, env=env)), stack


def _end(process: Stream, stack: ExitStack) -> None:
    """Let the shell in the pod end before its kubectl does: nothing of it lingers there."""
    process.finish(FINISH)
    stack.close()
