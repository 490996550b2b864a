"""A terminal that can be looked at: a program writes to it through a real pseudo-terminal, pyte keeps what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyte

from tests import warm

LINES = 500
"""Lines of the screen: more than a program writes, so that nothing scrolls away."""
DEADLINE = 10
"""Seconds in which a program ends that has closed its terminal."""


@dataclass
class Screen:
    """What a program left on the screen.

    Attributes:
        status: the program's exit status.
        rows: the screen at the end, a string for each line, without trailing blanks.
        seen: the line that the cursor was on, after each piece of output: what was shown and replaced later.
    """

    status: int = -1
    rows: list[str] = field(default_factory=list[str])
    seen: list[str] = field(default_factory=list[str])


def play(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int) -> Screen:
    """Run pytest on a terminal of this many columns, to its end.

    Raises:
        OSError: the terminal cannot be had.
        subprocess.TimeoutExpired: it does not end.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    words = {"TERM": "xterm", **{name: value for name, value in env.items() if name not in ("COLUMNS", "LINES", "CI")}}
    process = warm.start(arguments, cwd, words, theirs, stdin=theirs)
    os.close(theirs)
    shown = pyte.Screen(columns, LINES)
    stream, screen = pyte.ByteStream(shown), Screen()
    while piece := _read(ours):
        stream.feed(piece)
        screen.seen.append(shown.display[shown.cursor.y].rstrip())
    os.close(ours)
    screen.status = process.wait(DEADLINE)
    rows = [row.rstrip() for row in shown.display]
    while rows and not rows[-1]:
        rows.pop()
    screen.rows = rows
    return screen


def _read(terminal: int) -> bytes:
    """Read what was written; empty when nobody has the terminal any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: how Linux says that the other side is closed
        return b""
