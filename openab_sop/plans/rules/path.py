"""The way from version to version: backwards, or past one that data has to go through."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.plans.plan import Plan
from openab_sop.rule import blocks, warns
from openab_sop.targets.version import Version
from openab_sop.upstream.migrations import MIGRATIONS
from openab_sop.verdict import Finding


@blocks("downgrade", "The older version may not be able to read what the newer one wrote.")
def downgrade(plan: Plan) -> Iterator[Finding]:
    """The target is older than the current version; a stable version counts as newer than its pre-releases."""
    if plan.target.version.is_older_than(plan.current.version):
        yield Finding(
            plan.release,
            f"{plan.target.version} is older than {plan.current.version}, which runs",
            "a newer version",
            "to undo an upgrade: pytest suites/rollback, which brings the data back too",
        )


@blocks("not-validated", "The stable version would be the first of its kind on this release.")
def not_validated(plan: Plan) -> Iterator[Finding]:
    """No pre-release of the target was or will be tried, and the release notes do not say that one was (SOP 1.5)."""
    if plan.unvalidated:
        version = plan.target.version
        yield Finding(
            str(version),
            plan.unvalidated,
            "a pre-release that is validated first",
            f"one of four: have {version}-beta.1 published; name another with --prerelease-version=...; have the "
            "release notes say pre-release-validated: true (--notes-url); or go in one step: "
            "--prerelease=none --reason=TEXT",
        )


@warns("migration-skipped", "A version in between asked operators to do something by hand.")
def migration_skipped(plan: Plan) -> Iterator[Finding]:
    """The upgrade skips a version that needs manual steps. The release notes tell those of the target itself."""
    for migration in MIGRATIONS:
        version = Version.parse(migration.version)
        if plan.current.openab.is_older_than(version) and version.is_older_than(plan.target.openab):
            yield Finding(migration.version, migration.what, "it was done", "read the release notes of that version")


RULES = (downgrade, not_validated, migration_skipped)
