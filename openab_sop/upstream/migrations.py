"""What changed for operators from version to version, beside what a chart itself shows."""

from __future__ import annotations

from dataclasses import dataclass


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
