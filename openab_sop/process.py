"""The one place that starts a process: an argument list, a deadline, a typed error."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile

from openab_sop.errors import ToolError
from openab_sop.redact import mask

SHOWN = 2000
"""Characters of a command's error text that a message quotes."""
UNHURRIED = {"GOGC": "400"}
"""How Go's programs, helm and kubectl, keep house: most live for a tenth of a second, a third of which went into
collecting what they leave. Who sets it otherwise is heeded."""
LOOKED_AT = 1 << 16
"""Bytes of it that are searched for secrets; a longer one, such as a whole key file, is known line by line."""


@dataclass(frozen=True)
class Completed:
    """A command that ended with status 0: its standard output, as text."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str


def find(tool: str) -> str:
    """Return the path of ``tool`` on PATH (SOP 0.1).

    Raises:
        ToolError: it is not there.
    """
    path = shutil.which(tool)
    if path is None:
        raise ToolError(f"{tool} is not on PATH", f"install {tool}, or add its directory to PATH")
    return path


def run(
    argv: Sequence[str], *, timeout: float = 60, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Completed:
    """Run a command to its end.

    Args:
        argv: the command and its arguments; no shell reads them. Never holds a secret.
        timeout: seconds until it is killed.
        env: variables set on top of this process's own.
        stdin: what it reads.

    Raises:
        ToolError: it is missing, ended with another status than 0, or did not end in time.
    """
    find(argv[0])
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env={**UNHURRIED, **os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired as late:
        raise ToolError(
            f"{_named(argv)} did not end within {timeout:g} s",
            "check that the cluster answers, then run again",
        ) from late
    stdout, stderr = _text(done.stdout), _text(done.stderr)
    if done.returncode != 0:
        raise ToolError(
            f"{_named(argv)} ended with status {done.returncode}: {_last(stderr or stdout)}",
            "run the command by hand to see the whole of it",
        )
    return Completed(tuple(argv), stdout, stderr)


@dataclass
class Stream:
    """A running command whose output is read as it comes."""

    process: subprocess.Popen[bytes]
    _errors: int

    def read(self, size: int) -> bytes:
        """Return what has arrived, at most ``size`` bytes; empty at the end of the stream."""
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), size)

    def write(self, data: bytes) -> None:
        """Send ``data`` to the command; a command that is gone shows at the next read."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    @property
    def lives(self) -> bool:
        """Whether the command still runs."""
        return self.process.poll() is None

    def finish(self, timeout: float) -> None:
        """Close the command's standard input, and give it so many seconds to end by itself."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)

    def said(self) -> int:
        """Return how many bytes the command has written to its standard error."""
        return os.fstat(self._errors).st_size

    def errors(self, since: int = 0) -> str:
        """Return the last of what the command has written to its standard error, behind so many bytes."""
        return _last(_text(os.pread(self._errors, LOOKED_AT, max(since, self.said() - LOOKED_AT))))


@contextmanager
def stream(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Generator[Stream]:
    """Start a command and read its output piece by piece; it is ended when the block is left.

    Its standard error goes to an anonymous file, so a talkative command can neither block nor fill memory.

    Raises:
        ToolError: the command is missing.
    """
    find(argv[0])
    with (
        TemporaryFile() as errors,
        subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            pipesize=1 << 20,
            env={**UNHURRIED, **os.environ, **(env or {})},
        ) as process,
    ):
        try:
            yield Stream(process, errors.fileno())
        finally:
            process.kill()


def _named(argv: Sequence[str]) -> str:
    return mask(" ".join(argv[:6]) + (" ..." if len(argv) > 6 else ""))


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _last(text: str) -> str:
    """Return the end of a text; masked first, since a secret that is cut in two is not known again."""
    return mask(text[-LOOKED_AT:]).strip()[-SHOWN:]
