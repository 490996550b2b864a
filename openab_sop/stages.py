"""The stages of the procedure, and which of them bring others along."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of the SOP.

    Attributes:
        about: what it does, in one line.
        brings: names of the stages that always run before it.
        alone: whether it runs only when it is named, and is no part of ``pytest suites``.
        followed_by: names of the stages that always run after it, such as the one that leads back if it fails.
    """

    name: str
    about: str
    brings: tuple[str, ...] = ()
    alone: bool = False
    followed_by: tuple[str, ...] = ()


STAGES = (
    Stage("readiness", "check what must be true before anything else (SOP 0)"),
    Stage("preparation", "find the release, its agents and its version (SOP 1)", brings=("readiness",)),
    Stage(
        "target",
        "choose version, pre-release and values; check that the nodes have room (SOP 1)",
        brings=("readiness", "preparation"),
    ),
    Stage(
        "backup",
        "store everything that restores the release with its data (SOP 2)",
        brings=("readiness", "preparation"),
    ),
    Stage("verify", "prove a backup at any later time, without a cluster (SOP 2.9)", alone=True),
    Stage(
        "plan",
        "judge what the upgrade would do, and change nothing (SOP 3.1)",
        brings=("readiness", "preparation", "target"),
    ),
    Stage(
        "values",
        "propose the values that a version of another shape needs, and prove them (SOP 3.2)",
        brings=("readiness", "preparation"),
        alone=True,
    ),
    Stage(
        "rehearsal",
        "run the upgrade on an isolated copy of the backup (SOP 3.2)",
        brings=("readiness", "preparation", "target"),
        alone=True,
    ),
    Stage(
        "upgrade",
        "upgrade to the pre-release and the target; judge each, ask for confirmation (SOP 3)",
        brings=("readiness", "preparation", "target", "plan"),
        followed_by=("rollback",),
    ),
    Stage(
        "rollback",
        "roll back the release, and the data that the old version needs (SOP 4)",
        brings=("readiness", "preparation"),
        alone=True,
    ),
    Stage(
        "restore",
        "restore what a backup holds, while the agents are stopped (SOP 5)",
        brings=("readiness", "preparation"),
        alone=True,
    ),
    Stage(
        "reinstall",
        "uninstall and rebuild a release that Helm cannot roll back (SOP 4.5)",
        brings=("readiness",),
        alone=True,
        followed_by=("rebuild",),
    ),
    Stage("rebuild", "rebuild a lost release from a backup alone (SOP 5)", brings=("readiness",), alone=True),
    Stage("cleanup", "list backups, and delete those that are named or outside the retention (SOP 6)", alone=True),
)
"""In the SOP's order: the one place that says it."""
