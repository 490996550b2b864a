"""The options of the procedure: the one table that the plugins, the command and the docs have them from."""

from __future__ import annotations

from dataclasses import dataclass

from openab_sop.upstream import charts


@dataclass(frozen=True)
class Option:
    """``--backup-root``, ``OPENAB_BACKUP_ROOT`` and ``backup_root``: one option with its three spellings.

    One that takes ``many`` values may also be given several times on the command line. Of one that may be ``empty``,
    an empty value is a value, also in the environment. The value of a ``secret`` one is never printed.
    """

    name: str
    metavar: str
    help: str
    default: str | None = None
    many: bool = False
    empty: bool = False
    secret: bool = False

    @property
    def flag(self) -> str:
        """The spelling on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The spelling in the environment."""
        return "OPENAB_" + self.name.upper()


MAY_VANISH = "*.tmp,*.lock,*.pid,.cache/*"
HOWS = {
    "approval": ("ask", "pause", "auto"),
    "on_failure": ("rollback", "stop"),
    "prerelease": ("live", "rehearse", "none"),
    "logins": ("newer", "backup"),
}
"""Options that are one of a few words."""

GROUPS: dict[str, tuple[Option, ...]] = {
    "which release": (
        Option("kubeconfig", "FILE", "kubeconfig, or several joined as in KUBECONFIG"),
        Option("context", "NAME", "context of the kubeconfig; default: its current one"),
        Option("namespace", "NAME", "namespace of the release; default: the context's"),
        Option("release", "NAME", "Helm release; default: the only one of the chart in the namespace"),
    ),
    "backups": (
        Option(
            "backup_root", "DIR", "where backups and sessions are kept; or a URL: s3://BUCKET/PATH", "~/openab-backups"
        ),
        Option("staging", "DIR", "local directory where backups for a URL are made", "~/openab-backups/staging"),
        Option(
            "backup",
            "DIR",
            "the backup to restore or to verify: a path, a URL, a name below the backup root, or newest",
        ),
        Option("items", "NAMES", "what to restore: home, secret, agents, steering, skills, ...", "home"),
        Option("logins", "WHICH", "logins that are newer on a volume stay: newer; or give way: backup", "newer"),
        Option("delete", "NAME", "cleanup: a backup to delete; several separated by commas", many=True),
        *(
            Option(f"keep_{name}", "N", f"cleanup: how many backups of a release to keep: {what}")
            for name, what in (
                ("last", "the newest"),
                ("daily", "the newest of each day"),
                ("weekly", "the newest of each week"),
                ("monthly", "the newest of each month"),
            )
        ),
        Option(
            "encrypt_to", "KEYS", "encrypt backups to age or SSH public keys, or files; separated by commas", many=True
        ),
        Option("identity", "FILE", "secret key that opens an encrypted backup"),
        Option("sign_with", "KEY", "sign backups with an SSH key: its file, or the public one's of a key in an agent"),
        Option(
            "require_signature", "FILE", "take only backups that one of these allowed signers (ssh-keygen) has signed"
        ),
        Option("snapshot_above", "SIZE", "read homes above this from a snapshot: 500M, 2G, or never", "500M"),
    ),
    "target": (
        Option("chart", "SOURCE", "the chart: oci://HOST/PATH, https://REPOSITORY, or a path", charts.SOURCE),
        Option("target_version", "VERSION", "version to upgrade to; default: the newest stable one of the source"),
        Option("values", "FILE", "values that the target is rendered with; of several later ones win", many=True),
        Option("out", "FILE", "where suites/values writes to; default: beside the report"),
        Option("prerelease_version", "VERSION", "pre-release to validate first; default: the target's newest beta"),
        Option("prerelease", "HOW", "where the pre-release is validated: live, rehearse (on a copy), or none", "live"),
        Option("post_renderer", "NAME", "what helm passes every rendering through: a program, or a plugin for helm 4"),
        Option("notes_url", "URL", "release notes, in the shape of GitHub's releases API", charts.NOTES),
        Option(
            "announce",
            "URL",
            "tell a Discord webhook, or another service that apprise knows; secret",
            many=True,
            secret=True,
        ),
    ),
    "decisions": (
        Option("answer", "ANSWER", "the answer at a gate: prerelease:CONFIRMED, stable:ROLLBACK, ..."),
        Option(
            "approval", "HOW", "who confirms: ask (at the terminal, else pause), pause; auto, if it is typed", "ask"
        ),
        Option("answer_timeout", "SECONDS", "how long an answer at the terminal may take", "600"),
        Option("on_failure", "HOW", "after a gate that failed: rollback or stop", "rollback"),
        Option("accept", "FINDING", "let a finding of plan or rehearsal pass, by its id (typed only)", many=True),
        Option("reason", "TEXT", "why: kept in the report"),
        Option("may_vanish", "PATTERNS", "further files that may be gone after an upgrade; separated by commas"),
    ),
    "health": (
        Option("settle", "SECONDS", "how long a version must run well before it is called healthy", "60"),
        Option("rollout_timeout", "SECONDS", "how long a new pod may take until it runs", "300"),
        Option("ready_timeout", "SECONDS", "how long it may take from then until it is Ready", "120"),
        Option("connect_timeout", "SECONDS", "how long it may take from then until it is connected", "120"),
        Option("stall_timeout", "SECONDS", "how long a stream from or to a pod may bring nothing", "120"),
        Option("connected_pattern", "REGEX", "log line of an agent that is connected; empty: it logs none", empty=True),
        Option("panic_pattern", "REGEX", "log lines that are a panic or a fatal error"),
    ),
    "report": (
        Option("reports", "DIR", "where each run leaves its report; default: reports/ of the checkout, else here"),
    ),
}
"""Every option, by what it is about: the one table of them."""

OPTIONS = tuple(option for group in GROUPS.values() for option in group)

FLAGS = {
    "--verify": "prove the backup of --backup, and make none",
    "--quick": "with --verify: a sample in place of every file",
    "--full": "read everything from the pods, take nothing from earlier backups",
    "--rehearse": "rehearse the upgrade on a copy before anything is touched",
    "--allow-downgrade": "accept a --target-version older than what runs",
    "--force": "go on although the target runs already; delete a baseline all the same",
    "--abandon": "rollback: close what is under way as it is; with --reason (typed only)",
    "--dry-run": "restore, rollback, reinstall: only show what would be done",
    "--yes": "restore, rollback, reinstall: do not ask; cleanup: delete",
    "--sandbox": "use the project's own one-node Kubernetes; start it if it is not up",
}
"""Options without a value: they are typed, and stand nowhere else."""
