"""Exit statuses beyond pytest's own: people and agents script against them (README.md lists all)."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of the release when a run did not pass."""

    UNCHANGED = 1
    """A gate failed, and nothing on the cluster was changed."""
    WAITING = 10
    """A human's answer is awaited; the same command with ``--answer`` goes on."""
    BACK = 11
    """A gate failed after a change; the release is as it was before, verified."""
    RETURNED = 12
    """The same, because a human said ROLLBACK."""
    STUCK = 13
    """Data are neither as before nor as the backup says: a human is needed, the report says what is known."""
    HELD = 14
    """Another maintenance run holds the release."""
    LEFT = 15
    """Changed and left as it is: as asked for, or since the run was cut short; all data are whole."""
