"""What every change of a release needs at hand: the release itself, the lock, the state, the baseline, who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openab_sop.agents.agent import Agent
from openab_sop.backups import remote, signing
from openab_sop.backups.backup import Backup, BackupManifest
from openab_sop.backups.remote import RemoteBackup
from openab_sop.backups.signing import Signer
from openab_sop.backups.store import Store
from openab_sop.cluster.helm import Helm, Listed
from openab_sop.cluster.lease import Lease
from openab_sop.errors import BackupError, ReleaseError
from openab_sop.escape import command
from openab_sop.journal import Journal
from openab_sop.releases import identity
from openab_sop.releases import release as releases
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState, UpgradeStateFile
from openab_sop.restores.rebuild_spec import RebuildSpec
from openab_sop.rollouts.logs import Patterns
from openab_sop.rollouts.problem import Limits
from openab_sop.status import Status
from openab_sop.targets.announce import Announcer
from openab_sop.targets.values import TargetValues
from openab_sop.upgrades.settled import Settled

Progress = Callable[[str, int, int], None]
STOPPED = "way back: agents stopped"
"""The mark of a rollback that has stopped agents."""


@dataclass(frozen=True)
class Policy:
    """How the operator wants a release to be maintained.

    Attributes:
        prerelease: where the pre-release is validated: "live" or "rehearse" (on a copy).
        roll_back: whether a failed gate after a change leads back (``--on-failure``).
        limits, patterns: how health is judged.
        may_vanish: patterns of names in a home that may be gone after an upgrade.
        keep_logins: whether logins that are newer on a volume stay where a whole home is restored (``--logins``).
        backup_root, store, identity, recipients, snapshot_above, signer: as for a backup.
        signers: file of those who may have signed the baseline; None if it need not be signed.
        options: what of this is kept with an upgrade, by the option's name.
        accepted, reason: ids of findings that are let pass, and why.
    """

    prerelease: str
    roll_back: bool
    limits: Limits
    patterns: Patterns
    may_vanish: Sequence[str]
    keep_logins: bool
    backup_root: Path
    store: Store | None
    identity: str | None
    recipients: Mapping[str, Any]
    snapshot_above: int
    signer: Signer | None = None
    signers: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    accepted: Collection[str] = ()
    reason: str = ""


@dataclass
class Maintenance:
    """One release under maintenance by this run.

    Attributes:
        file: the state of its upgrade, on disk.
        lease: the lock.
        line_broke: tells whether the line broke in the step that closed the run: then nothing is known.
        runs_again: whether every agent runs that a way back had stopped which was cut short.
        values: what the target is rendered with; None for the baseline's own.
        notes: what the summary must not leave out, by what it is.
        entered: whether this run has taken up the state: only then may it lead back.
        at_work: whether it has begun to change or to judge a version: what fails before is no version's fault.
        without_baseline: why the baseline cannot be read, where an answer is taken without it; empty if it can.
    """

    helm: Helm
    name: str
    file: UpgradeStateFile
    lease: Lease
    policy: Policy
    journal: Journal
    announcer: Announcer
    notes: dict[str, str] = field(default_factory=dict[str, str])
    values: TargetValues | None = None
    entered: bool = False
    at_work: bool = False
    without_baseline: str = ""
    line_broke: Callable[[], bool] = lambda: False
    runs_again: bool = False
    _opened: dict[str, Backup] = field(default_factory=dict[str, Backup])
    _rebuild_specs: dict[str, RebuildSpec] = field(default_factory=dict[str, RebuildSpec])
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def state(self) -> UpgradeState:
        """The state as it is on disk now."""
        return self.file.state

    @property
    def settled(self) -> Settled:
        """How the volumes were when the present version had settled."""
        return Settled(self.file.path.parent / "settled")

    def hold(self, doing: str) -> str:
        """Take the lock of the release, and look again at what is under way; returns in words how it was had.

        Raises:
            ReleaseLocked: another run has it.
        """
        had = self.lease.acquire(doing)
        self.file.look_again()
        return had

    def listed(self) -> Listed:
        """Return what Helm says of the release now.

        Raises:
            ReleaseError: it is gone.
        """
        if found := self.helm.find(self.name):
            return found
        raise ReleaseError(f"release {self.name} is gone", "pytest suites/rebuild --backup=DIR brings it back")

    def require_unchanged(self) -> Listed:
        """Return what runs, which must be what the upgrade has left (SOP 3.0).

        Raises:
            ReleaseError: somebody else has changed it since.
        """
        listed, state = self.listed(), self.state
        if (listed.revision, listed.status) != (state.last, "deployed"):
            raise ReleaseError(
                f"release {listed.name} is at revision {listed.revision}, {listed.status}; "
                f"upgrade {state.id} has left it at revision {state.last}, deployed",
                f"find out who changed it: {command('helm', 'history', listed.name)}",
            )
        return listed

    def release(self) -> Release:
        """Return the release with its agents as they are now, each known as the upgrade's baseline has it."""
        found = releases.resolve(self.helm, self.listed())
        return replace(found, agents=self.identified(found.agents))

    def identified(self, agents: Sequence[Agent]) -> tuple[Agent, ...]:
        """Return agents of the release, of whatever revision, known as the upgrade's baseline has them."""
        state = self.file.read()
        claims = state.claims if state else {}
        return identity.identified(self.helm.cluster, agents, claims, lambda: self.rebuild_spec().parts)

    def stored(self) -> Backup | RemoteBackup:
        """Return the backup that the upgrade stands on, as it is: it may be encrypted, and elsewhere.

        Raises:
            BackupError: it is gone.
        """
        return remote.find(self.policy.backup_root, self.policy.store, self.state.backup)

    def baseline(self) -> Backup:
        """Return the backup that the upgrade stands on, readable also if it is encrypted, fetched if it is elsewhere.

        Raises:
            BackupError, SettingsError: it is gone, or no key for it was named; or it is of something else.
        """
        name = self.state.backup
        if name not in self._opened:
            policy = self.policy
            stored = signing.checked(self.stored(), policy.signers)
            self._require_ours(stored.manifest)
            readable = remote.readable(stored, policy.backup_root, policy.identity, self.journal)
            self._opened[name] = self._stack.enter_context(readable)
        return self._opened[name]

    def _require_ours(self, manifest: BackupManifest) -> None:
        """Stop if the backup is of another release: the record on a lock may name any."""
        theirs, ours = (manifest.namespace, manifest.release), (self.helm.cluster.namespace, self.name)
        if theirs != ours:
            raise BackupError(
                f"the record of upgrade {self.state.id} names backup {manifest.name}, which is of release "
                f"{'/'.join(theirs)}, and not of {'/'.join(ours)}",
                "find out who has written the record: kubectl get leases --output=yaml --show-managed-fields; or name "
                "the backup to go back to: pytest suites/rollback --backup=DIR",
            )

    def rebuild_spec(self) -> RebuildSpec:
        """Return the baseline as the plan of the release that it was taken from; read once a run.

        Raises:
            BackupError, SettingsError: as ``baseline``.
        """
        name = self.state.backup
        if name not in self._rebuild_specs:
            self._rebuild_specs[name] = RebuildSpec(self.baseline())
        return self._rebuild_specs[name]

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        if self.lease.refused:
            return Status.HELD
        state = self.file.read()
        if state is None or not state.changed or not self.entered:
            return Status.UNCHANGED
        if not (self.at_work or state.in_progress or state.decision or state.ended):
            return Status.UNCHANGED  # it is under way as it was before this run
        if state.awaiting and not state.decision and not state.ended:
            return Status.WAITING
        if not state.ended and (self.runs_again or (self.line_broke() and not state.writing)):
            return Status.LEFT
        touched = state.writing or state.when(STOPPED) or state.when("rolled back")
        return _STATUS.get(state.ended, Status.STUCK if touched else Status.LEFT)

    @property
    def where_backups_are(self) -> str:
        """Where backups are kept, as ``--backup-root`` takes it."""
        return self.policy.store.url if self.policy.store else str(self.policy.backup_root)

    def values_for_target(self) -> Path:
        """Return the file of values that a version of the target is rendered with and sent."""
        if self.values and self.values.given:
            return self.values.store(self.file.path.parent)
        return self.baseline().file("values.yaml")

    def known(self) -> Collection[str]:
        """Return what of the release kept pods running before the upgrade, by what it is called; nothing where the
        baseline is gone.
        """
        return () if self.without_baseline else self.rebuild_spec().runners

    def until_closed(self, held: AbstractContextManager[object]) -> None:
        """Leave a context at the end of the run at the latest."""
        self._stack.push(held)

    def close(self) -> None:
        """Remove the private copies of the baseline, and end what else lasts until now."""
        self._stack.close()


_STATUS: dict[str, Status] = {
    End.BACK: Status.BACK,
    End.RETURNED: Status.RETURNED,
    End.LEFT: Status.LEFT,
    End.DONE: Status.LEFT,
    End.UNTOUCHED: Status.UNCHANGED,
}
