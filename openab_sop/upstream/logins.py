"""Where the programs in a home keep their logins: one catalogue for backup, restore and rehearsal.

Many are refreshed while they are used, and the one from before is dead then: the newer one is the one that works.

Sources: the page of each agent below https://github.com/openabdev/openab/tree/main/docs, and the programs' own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate


@dataclass(frozen=True)
class Login:
    """A program's login.

    Attributes:
        what: whose it is, for a report.
        patterns: as fnmatch has them, of the path with a slash before it: "*" takes slashes too.
    """

    what: str
    patterns: tuple[str, ...]


GH = Login("gh", ("/.config/gh/hosts.yml",))
KIRO = Login("Kiro", ("/.local/share/kiro-cli/*.json", "/.aws/sso/cache/*.json"))
CLAUDE = Login("Claude Code", ("/.claude/.credentials.json", "/.config/anthropic/*"))
CODEX = Login("Codex", ("/.codex/auth.json",))
GEMINI = Login("Gemini CLI", ("/.gemini/oauth_creds.json", "/.gemini/*oauth*.json"))
COPILOT = Login("Copilot", ("/.config/github-copilot/*.json",))
CURSOR = Login("Cursor", ("/.cursor/auth.json", "/.config/cursor/auth.json"))
OPENCODE = Login("OpenCode", ("/.local/share/opencode/*auth.json",))
GROK = Login("Grok", ("/.grok/auth.json",))
HERMES = Login("Hermes", ("/.hermes/auth*.json", "/.hermes/.env"))
KIMI = Login("Kimi", ("/.kimi-code/*auth*.json", "/.kimi-code/credentials*"))
MIMOCODE = Login("MiMo Code", ("/.local/share/mimocode/*auth.json",))
PI = Login("Pi", ("/.pi/agent/auth.json",))
ANTIGRAVITY = Login("Antigravity", ("/.gemini/antigravity-cli/*oauth*", "/.gemini/antigravity-cli/*token*"))
DEVIN = Login("Devin", ("/.local/share/devin/*credentials*", "/.local/share/devin/*auth*"))
NATIVE = Login("OpenAB's own agent", ("/.openab/agent/auth.json",))
AUTH_PROXY = Login("OpenAB's auth proxy", ("/.openab-auth-proxy/*/tokens.json",))
TAILSCALE = Login("Tailscale", ("/.local/share/tailscale/tailscaled.state",))
AWS = Login("AWS", ("/.aws/credentials", "/.aws/cli/cache/*.json"))
GOOGLE = Login("Google Cloud", ("/.config/gcloud/*.json", "/.config/gcloud/legacy_credentials/*"))
AZURE = Login("Azure", ("/.azure/*.json",))
KUBERNETES = Login("Kubernetes", ("/.kube/config",))
DOCKER = Login("Docker", ("/.docker/config.json", "/.config/containers/auth.json", "/.dockercfg"))
RCLONE = Login("rclone", ("/.config/rclone/rclone.conf",))
CARGO = Login("Cargo", ("/.cargo/credentials*",))
NETRC = Login("netrc", ("*/.netrc", "*/_netrc"))
GIT = Login("git", ("*/.git-credentials", "/.config/git/credentials"))
TOKENS = Login("token files", ("/.vault-token", "/.huggingface/token", "/.cache/huggingface/token", "*/.pgpass"))
SSH = Login("SSH", ("/.ssh/id_*", "/.ssh/*.pem", "/.ssh/*.ppk"))

LOGINS = (
    *(GH, KIRO, CLAUDE, CODEX, GEMINI, COPILOT, CURSOR, OPENCODE, AWS, GOOGLE, AZURE, KUBERNETES, DOCKER, RCLONE),
    *(GROK, HERMES, KIMI, MIMOCODE, PI, ANTIGRAVITY, DEVIN, NATIVE, AUTH_PROXY, TAILSCALE),
    *(CARGO, NETRC, GIT, TOKENS, SSH),
)
IN_DATABASES = (".local/share/kiro-cli/data.sqlite3", ".local/share/mimocode/mimocode.db")
"""Databases that hold a login beside all else: it comes and goes with them."""

_PATTERN = re.compile("|".join(translate(pattern) for login in LOGINS for pattern in login.patterns))


def is_login(path: str) -> bool:
    """Tell whether a path of a home is a file of logins and of nothing else."""
    return _PATTERN.match(f"/{path}") is not None
