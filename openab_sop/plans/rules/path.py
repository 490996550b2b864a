"""The way from version to version: backwards, or past one that data has to go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openab_sop.plans.plan import Plan
from openab_sop.rule import blocks, warns
from openab_sop.targets.version import Version
from openab_sop.verdict import Finding


@dataclass(frozen=True)
class Migration:
    """What changed for operators in a version, so that going past it leaves something undone."""

    version: str
    what: str


MIGRATIONS: tuple[Migration, ...] = (
    # commit 349d687 (#670): src/acp/connection.rs and config.toml.example at v0.8.2-beta.7
    Migration(
        "0.8.2-beta.7",
        "the agent's own program no longer gets the container's variables, only HOME, PATH, USER and those of "
        "agents.NAME.env: what came by envFrom has to be named there",
    ),
)
"""By documents and sources of github.com/openabdev/openab; what a chart itself shows, other rules find."""


@blocks(
    "downgrade", "What the newer version wrote, the older one may not read; charts are not tried in this direction."
)
def downgrade(plan: Plan) -> Iterator[Finding]:
    """The target is older than what runs, also where a pre-release goes back to the stable version before it."""
    if plan.target.version.is_older_than(plan.current.version):
        yield Finding(
            plan.release,
            f"{plan.target.version} is older than {plan.current.version}, which runs",
            "a newer version",
            "to undo an upgrade: pytest suites/rollback, which brings the data back too",
        )


@warns("migration-skipped", "A version in between asked operators to do something by hand.")
def migration_skipped(plan: Plan) -> Iterator[Finding]:
    """A version with known steps by hand lies between."""
    for migration in MIGRATIONS:
        version = Version.parse(migration.version)
        if plan.current.version.is_older_than(version) and version.is_older_than(plan.target.version):
            yield Finding(migration.version, migration.what, "it was done", "read the release notes of that version")


RULES = (downgrade, migration_skipped)
