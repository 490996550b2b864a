"""The one place that runs a command to its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.errors import SandboxError

TAIL_LINES = 12
"""How much of a log is shown in an error: enough for the cause, not a screenful."""


def search_path() -> str:
    """PATH for the host's tools: the caller's, and the system directories that a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])


def tail(text: str) -> str:
    """The last lines of `text`, indented for an error message."""
    return "".join(f"\n    {line}" for line in text.strip().splitlines()[-TAIL_LINES:])


def tail_of(log: Path) -> str:
    """The last lines of the file `log`, or nothing if it cannot be read."""
    try:
        return tail(log.read_text(errors="replace"))
    except OSError:
        return ""


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
    log: Path | None = None,
    next_step: str = "run the command by hand to see more",
) -> str:
    """Run `argv`, at most `timeout` seconds, and return its standard output.

    Raises SandboxError with the command and the end of its error output; all of that is kept in `log` if one is given.
    """
    words = [str(word) for word in argv]
    surroundings = env or os.environ | {"PATH": search_path()}
    shown = " ".join(words[:8])
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=surroundings,
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise SandboxError(f"cannot run {words[0]}: {error.strerror}", next_step) from error
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"`{shown}` did not end within {timeout:.0f} s", next_step) from error
    if done.returncode != 0:
        output = done.stderr or done.stdout
        place = ""
        if log:
            log.write_text(output)
            place = f", all of its output is in {log}"
        raise SandboxError(f"`{shown}` ended with status {done.returncode}{place}{tail(output)}", next_step)
    return done.stdout
