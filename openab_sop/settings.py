"""The effective settings of a run: one value for each option, wherever it was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openab_sop.backups.retention import Retention
from openab_sop.rollouts.logs import Patterns
from openab_sop.rollouts.problem import Limits


@dataclass(frozen=True)
class Settings:
    """What the operator asked for; None where nothing was said.

    Attributes:
        kubeconfig, context, namespace, release: how the release is found (SOP 0.2, 0.3, 1.1).
        backup_root: local directory where backups and sessions are kept; with a remote root, where backups are made and
            opened, and sessions kept.
        remote: URL of the root elsewhere where backups are kept; empty if they are kept in ``backup_root``.
        reports: where each run leaves its report.
        backup: the backup to restore or verify, a path or a name below the backup root.
        items: what of it to restore (SOP 5.1).
        logins: which logins a restore leaves on a volume, "newer" or "backup" (SOP 5.1).
        delete: names of the backups that cleanup deletes (SOP 6.1).
        retention: which backups cleanup keeps, of all others (SOP 6.1).
        encrypt_to: recipients of new backups: public keys, or files with some.
        identity: file with the secret key that opens encrypted ones.
        sign_with: file of the SSH key that signs new backups.
        require_signature: file of those who may have signed a backup that is used.
        snapshot_above: bytes above which a home is read from a snapshot (SOP 2.8).
        chart: where charts come from (SOP 1.3).
        target_version, prerelease_version: what to upgrade to, and what to validate first (SOP 1.3, 1.5).
        values: files of values that the target is rendered with; none for the release's own.
        out: file that proposed values are written to; None for one beside the report.
        allow_downgrade: whether the target may be older than what runs.
        force: whether to go on although the target runs already (SOP 1.4), or to delete a baseline (SOP 6.1).
        abandon: whether a rollback only closes what is under way.
        yes: whether nobody is asked before a restore, rollback or reinstall, and whether cleanup deletes
            what the retention does not keep.
        dry_run: whether these only show what they would do.
        prerelease: where the pre-release is validated: "live" or "rehearse" (SOP 3.2).
        rehearse: whether an upgrade is rehearsed on a copy first.
        post_renderer: what helm passes every rendering through; empty for nothing.
        notes_url: where release notes are (SOP 1.6).
        announce: services that are told of an upgrade (SOP 1.8); they hold secrets.
        answer: the answer at a gate, as ``GATE:WORD`` (SOP 3.3).
        approval: who confirms at gates: "ask", "pause" or "auto".
        answer_timeout: seconds that a human at the terminal gets.
        on_failure: what follows a failed gate after a change: "rollback" or "stop".
        accept, reason: ids of findings of plan or rehearsal that are let pass, and why (SOP 3.1).
        may_vanish: patterns of names in a home that may be gone after an upgrade (SOP 3.5).
        limits, patterns: how health is judged (SOP 3.2).
        stall_timeout: seconds for which a stream from or to a pod may bring nothing.
        full: whether to read everything from the pods, although an earlier backup has some of it.
        quick: whether a sample is enough to verify.
        sandbox: run against the project's own one-node Kubernetes.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str | None
    release: str | None
    backup_root: Path
    remote: str
    reports: Path
    backup: str | None
    items: str
    logins: str
    delete: tuple[str, ...]
    retention: Retention
    encrypt_to: tuple[str, ...]
    identity: str | None
    sign_with: str | None
    require_signature: str | None
    snapshot_above: int
    chart: str
    target_version: str | None
    prerelease_version: str | None
    values: tuple[Path, ...]
    out: Path | None
    allow_downgrade: bool
    force: bool
    abandon: bool
    yes: bool
    dry_run: bool
    prerelease: str
    rehearse: bool
    post_renderer: str
    notes_url: str
    announce: tuple[str, ...]
    answer: str | None
    approval: str
    answer_timeout: float
    on_failure: str
    accept: tuple[str, ...]
    reason: str
    may_vanish: tuple[str, ...]
    limits: Limits
    stall_timeout: float
    patterns: Patterns
    full: bool
    quick: bool
    sandbox: bool

    @property
    def kept_in(self) -> str:
        """Where backups are kept, as ``--backup-root`` takes it."""
        return self.remote or str(self.backup_root)
