"""The one place that starts a process: an argument list, a deadline, a typed error."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from openab_sop.errors import ToolError
from openab_sop.redact import mask

SHOWN = 6000
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
            f"{_named(argv)} ended with status {done.returncode}: {last_words(stderr or stdout)}",
            "run the command by hand to see the whole of it",
        )
    return Completed(tuple(argv), stdout, stderr)


@dataclass
class Stream:
    """A running command whose output is read as it comes."""

    process: subprocess.Popen[bytes]
    _errors: int

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """Return what has arrived, at most ``size`` bytes; empty at the end of the stream.

        Raises:
            TimeoutError: nothing did within so many seconds.
        """
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        if timeout is not None and not _ready(output, select.POLLIN, timeout):
            raise TimeoutError
        return os.read(output, size)

    def write(self, data: bytes, timeout: float | None = None) -> bytes:
        """Send ``data`` to the command; a command that is gone shows at the next read.

        Returns:
            What it has not taken, since for so many seconds it took nothing; empty if it took all.
        """
        assert self.process.stdin is not None
        left, given = memoryview(data), self.process.stdin.fileno()
        with suppress(BrokenPipeError):
            while left and _ready(given, select.POLLOUT, timeout):
                with suppress(BlockingIOError):
                    left = left[os.write(given, left) :]
            return bytes(left)
        return b""

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
        return last_words(os.pread(self._errors, LOOKED_AT, max(since, self.said() - LOOKED_AT)))


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
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        try:
            yield Stream(process, errors.fileno())
        finally:
            process.kill()


def _named(argv: Sequence[str]) -> str:
    return mask(" ".join(argv[:6]) + (" ..." if len(argv) > 6 else ""))


@dataclass
class Tied:
    """A command that lives as long as we do.

    Attributes:
        first: its first line of output; empty if it ended without one.
        errors: the last of what it had said on its standard error by then.
    """

    first: str
    errors: str
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, argv: Sequence[str], home: Path, *, env: Mapping[str, str] | None = None) -> Tied:
        """Start one, and wait for its first line.

        It is in a session of its own, so that an interrupt at the terminal is ours to handle.

        Args:
            home: a directory of its own, which goes when it does.

        Raises:
            ToolError: the command is missing.
        """
        find(argv[0])
        with TemporaryFile() as errors:
            process = subprocess.Popen(
                ["sh", "-c", _TIED, "sh", str(home), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**UNHURRIED, **os.environ, **(env or {})},
                start_new_session=True,
            )
            assert process.stdout is not None
            first = _text(process.stdout.readline()).strip()
            return cls(first, last_words(os.pread(errors.fileno(), LOOKED_AT, 0)), process)

    def end(self) -> None:
        """End it now."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=ENDS)


_TIED = """
home=$1; shift; "$@" & child=$!
trap 'kill "$child"; rm -rf -- "$home"' EXIT
trap exit HUP INT TERM
exec >&- 2>&-; read -r _
"""
"""Ends its command when its standard input does, that is with us however we end, and removes its directory.

So it does when somebody ends it by a signal; only what kills it at once leaves its command behind.
"""
ENDS = 5
"""Seconds that it gets for that."""


def last_words(said: bytes | str) -> str:
    """Return the end of what a command said; masked first, since a secret that is cut in two is not known again."""
    text = said if isinstance(said, str) else _text(said)
    return mask(text[-LOOKED_AT:]).strip()[-SHOWN:]


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _ready(descriptor: int, event: int, timeout: float | None) -> bool:
    """Wait until a pipe can be read or written, or has ended."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
