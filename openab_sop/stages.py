"""The stages of the procedure, and which of them bring others along."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of the SOP.

    Attributes:
        brings: names of the stages that always run before it.
        alone: whether it runs only when it is named, and is no part of ``pytest suites``.
        followed_by: names of the stages that always run after it, such as the one that leads back if it fails.
    """

    name: str
    brings: tuple[str, ...] = ()
    alone: bool = False
    followed_by: tuple[str, ...] = ()


STAGES = (
    Stage("readiness"),
    Stage("preparation", brings=("readiness",)),
    Stage("target", brings=("readiness", "preparation")),
    Stage("backup", brings=("readiness", "preparation")),
    Stage("verify", alone=True),
    Stage("plan", brings=("readiness", "preparation", "target")),
    Stage("values", brings=("readiness", "preparation"), alone=True),
    Stage("rehearsal", brings=("readiness", "preparation", "target"), alone=True),
    Stage("upgrade", brings=("readiness", "preparation", "target", "plan"), followed_by=("rollback",)),
    Stage("rollback", brings=("readiness", "preparation"), alone=True),
    Stage("restore", brings=("readiness", "preparation"), alone=True),
    Stage("reinstall", brings=("readiness",), alone=True, followed_by=("rebuild",)),
    Stage("rebuild", brings=("readiness",), alone=True),
    Stage("cleanup", alone=True),
)
"""In the SOP's order: the one place that says it."""
