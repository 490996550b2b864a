"""Exit statuses beyond pytest's own: people and agents script against them (README.md lists all)."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of the release when a run did not pass."""

    UNCHANGED = 1
    """A gate failed, and nothing on the cluster was changed."""
    BACK = 11
    """A gate failed after a change; the release is as it was before, verified."""
    STUCK = 13
    """It could not be brought back: a human is needed, the report says what is known."""
    LEFT = 15
    """Changed and left as it is, on purpose: the run was interrupted."""
