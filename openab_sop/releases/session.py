"""The session file: what was resolved, for later stages, later runs and other shells (SOP 1.9).

Links between runs are facts on disk. Pod names are never among them: they change with each rollout.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from openab_sop import bounded, names, storage
from openab_sop.errors import InvalidName, SettingsError
from openab_sop.releases.release import Release

FILE = "session.json"
SHELL_FILE = "session.env"
VARIABLE = "OPENAB_SESSION"
"""Set by the shell file: whoever sourced it means this session, and may not say otherwise on the command line."""

_BOUND = ("kubeconfig", "context", "namespace", "release", "backup_root")


def directory_of(root: Path, cluster: str, namespace: str, release: str) -> Path:
    """Return where a release's session is kept: below a local backup root, by cluster, namespace and release.

    Raises:
        InvalidName: no namespace, or no release, can be called so: it would lead elsewhere.
    """
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", cluster).strip("-.") or "cluster"
    return root / "sessions" / name / names.label(namespace, "namespace") / names.release(release)


@dataclass(frozen=True)
class SessionAgent:
    """An agent as it was resolved: Deployment, home and claim."""

    deployment: str
    home: str
    claim: str | None


@dataclass(frozen=True)
class Session:
    """What was resolved of one release on one cluster."""

    cluster: str
    kubeconfig: str
    context: str
    namespace: str
    release: str
    chart: str
    version: str
    revision: int
    agents: tuple[SessionAgent, ...]
    backup_root: str

    @classmethod
    def of(cls, release: Release, cluster_id: str, backup_root: str) -> Session:
        """Take down a resolved release, and where its backups are kept, as ``--backup-root`` takes it."""
        access = release.cluster.access
        return cls(
            cluster=cluster_id,
            kubeconfig=access.joined,
            context=access.context,
            namespace=release.namespace,
            release=release.name,
            chart=release.chart,
            version=release.version,
            revision=release.revision,
            agents=tuple(SessionAgent(a.deployment, a.home, a.claim) for a in release.agents),
            backup_root=backup_root,
        )

    @classmethod
    def load(cls, path: Path) -> Session:
        """Read a session file.

        Raises:
            SettingsError: there is none, or it is damaged.
        """
        try:
            session = bounded.load_as(cls, path.read_text(), str(path))
            names.label(session.namespace, "namespace", str(path))
            names.release(session.release, str(path))
            return session
        except (InvalidName, OSError, ValueError) as error:
            raise SettingsError(
                f"{path} (from {VARIABLE}) is not a session file", f"unset {VARIABLE}, then run again"
            ) from error

    def directory(self, root: Path) -> Path:
        """Where its files are."""
        return directory_of(root, self.cluster, self.namespace, self.release)

    def store(self, root: Path) -> Path:
        """Write the session file and its shell form below a local backup root; returns the path of the first.

        Raises:
            BackupError: the root cannot be written.
        """
        directory = self.directory(root)
        storage.private_directory(directory)
        path = directory / FILE
        storage.replace(path, json.dumps(asdict(self), indent=2).encode() + b"\n")
        variables = {VARIABLE: str(path)} | {f"OPENAB_{name.upper()}": str(getattr(self, name)) for name in _BOUND}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        storage.replace(directory / SHELL_FILE, "".join(lines).encode())
        return path

    def contradicted_by(self, options: dict[str, str]) -> list[str]:
        """Return the names of options whose value is not the session's."""
        return [name for name in _BOUND if name in options and options[name] != str(getattr(self, name))]
