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
    # docs/messaging.md at chart 0.8.5-beta.12; for Discord the default is the program's own
    Migration(
        "0.8.5-beta.12",
        "who may talk in a thread without a mention: allowUserMessages is multibot-mentions now where nothing is "
        "said (it was involved): set it if the bot has to answer as before",
    ),
    # docs/adr/identity-trust-none.md at chart 0.9.0-beta.7
    Migration(
        "0.9.0-beta.7",
        "the platforms of a gateway deny every user where no allow-list is written: name allowed_users, or set "
        "allow_all_users = true, in [gateway]",
    ),
    # docs/adr/first-class-platform-config.md at chart 0.9.0-beta.10
    Migration(
        "0.9.0-beta.10",
        "a platform's own section overrides the allow-lists of [gateway]; Codex calls its modes by other ids",
    ),
    # docs/browser-mcp-agent-setup.md at chart 0.10.0-beta.3
    Migration("0.10.0-beta.3", "browser control needs a section [mcp] in config.toml"),
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


@blocks("not-validated", "The stable version would be the first of its kind that this release meets.")
def not_validated(plan: Plan) -> Iterator[Finding]:
    """No pre-release of the target was or will be tried, and its notes do not say that one was (SOP 1.5)."""
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
    """A version with known steps by hand lies between; what the target itself asks for, its own notes say."""
    for migration in MIGRATIONS:
        version = Version.parse(migration.version)
        if plan.current.version.is_older_than(version) and version.is_older_than(plan.target.version):
            yield Finding(migration.version, migration.what, "it was done", "read the release notes of that version")


RULES = (downgrade, not_validated, migration_skipped)
