"""Whether there is a way back, and how far: what is rolled back, the decision table, the revision (SOP 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from secrets import token_hex

from openab_sop.agents import scaling
from openab_sop.backups.backup import Backup
from openab_sop.backups.remote import RemoteBackup
from openab_sop.errors import BackupError, Broken, ReleaseError, SopError, StepSkipped
from openab_sop.escape import command
from openab_sop.releases import identity
from openab_sop.releases.upgrade_state import End, UpgradeState, now
from openab_sop.upgrades.decision_table import Action, Decision, Situation, decide
from openab_sop.upgrades.maintenance import Maintenance

_OVER = (End.BACK, End.RETURNED, End.UNTOUCHED, End.CLOSED)
_GOES_BACK = (Action.ROLL_BACK, Action.ROLL_BACK_AND_RESTORE)


class RollbackDecision:
    """The way back of one upgrade, until it is gone.

    Args:
        situation: returns what was seen, when the decision is due.
        by_hand: whether somebody asks for it, whatever was seen.
    """

    def __init__(self, maintenance: Maintenance, situation: Callable[[], Situation], *, by_hand: bool) -> None:
        self._m = maintenance
        self._situation = situation
        self.by_hand = by_hand
        self._found: str | None = None
        self._previous: UpgradeState | None = None

    def take_up(self, named: Backup | RemoteBackup | None) -> str:
        """Hold the release, and take up what is to be rolled back (SOP 4.1); returns it in words.

        Args:
            named: value of ``--backup``: go back to what it was taken from, whoever has changed the release since.

        Raises:
            StepSkipped: this run has both already.
            ReleaseLocked: another run maintains the release.
            ReleaseError: no upgrade is known that could be rolled back.
        """
        if not self.by_hand:
            raise StepSkipped("as the upgrade of this run has it")
        lock = self._m.hold("pytest suites/rollback")
        state, self._previous = self._looked_up(named), self._m.file.read()
        if state.ended:
            self._m.file.write(state)  # the last one that came to anything, or what was named
        self._m.entered = True
        return f"{lock}; upgrade {state.id} from {state.version} to {state.target}, baseline {state.backup}"

    def intent(self, named: Backup | RemoteBackup | None) -> str:
        """Return in words what a rollback by hand will do; nothing is taken up yet.

        Args, Raises: as ``take_up``.
        """
        if not self.by_hand:
            raise StepSkipped("as the upgrade of this run has it")
        state = self._looked_up(named)
        return (
            f"roll {self._m.name} back from {state.target} to {state.version}, revision {state.revision}; stop its "
            f"agents meanwhile, and bring back from {state.backup} what the old version cannot read"
        )

    def _looked_up(self, named: Backup | RemoteBackup | None) -> UpgradeState:
        """Return what is to be rolled back; nothing is written."""
        state = self._m.file.before() if named is None else None
        state = state or self._m.file.read()
        if named and (state is None or state.ended or not state.changed):  # one that has only begun is in no way
            state = replace(self._since(named), ended=End.LEFT)
        elif named and state and named.name != state.backup:
            raise ReleaseError(
                f"an upgrade to {state.target} is under way, from backup {state.backup}",
                "leave out --backup; or close that upgrade first: --abandon --reason=TEXT",
            )
        if state is None or not state.changed or state.ended in _OVER:
            raise ReleaseError(
                f"no upgrade of {self._m.name} is known that could be rolled back",
                "name the backup to go back to: --backup=DIR; pytest suites/cleanup lists them",
            )
        return state

    def abandon(self, reason: str) -> str:
        """Close what is under way as it is: nothing leads on or back from it any more; returns that in words.

        The agents run again, but for those whose data are half written.

        Args:
            reason: why, for the report.

        Raises:
            ReleaseError: nothing is under way.
        """
        self._m.hold("pytest suites/rollback --abandon")
        state = self._m.file.read()
        if state is None or state.ended:
            raise ReleaseError(f"no upgrade or rollback of {self._m.name} is under way", "leave out --abandon")
        every = self._m.release().agents
        half = identity.holders(every, state.writing)
        agents = [agent for agent in every if agent.deployment not in half]
        started = [a.deployment for a in agents if scaling.let_start(self._m.helm.cluster, a)]
        ended = End.CLOSED if state.changed else End.UNTOUCHED
        self._m.file.update(ended=ended, in_progress="", awaiting="", decision="")
        if half:
            self._m.notes["standing still"] = (
                f"WARNING: {', '.join(sorted(half))}: data are half written; "
                f"{command('pytest', 'suites/restore', f'--backup={state.backup}')} brings them back"
            )
        message = f"upgrade {state.id} from {state.version} to {state.target} is closed as it is: {reason}"
        return message + (f"; started: {', '.join(started)}" if started else "")

    def decide(self) -> Decision:
        """Choose by the decision table; the choice is taken down and holds, also for a later run (SOP 4.1).

        Raises:
            StepSkipped: nothing was changed, or all went well.
        """
        self._m.lease.require()
        state = self._m.file.read()
        if state is None or not state.changed:
            raise StepSkipped("nothing was changed: there is nothing to roll back")
        if not self._m.entered:
            raise StepSkipped("this run has not taken the upgrade up: it leads nowhere")
        if not self.by_hand and self._m.line_broke() and not (state.decision or state.ended):
            raise StepSkipped(f"the line to the cluster broke: nothing is known, and nothing decided; {state.doing}")
        if not (self.by_hand or self._m.at_work or state.in_progress or state.decision or state.ended):
            raise StepSkipped(f"this run has neither changed nor judged anything; as before: {state.doing}")
        if state.ended in _OVER or (state.ended and not self.by_hand):
            raise StepSkipped(f"upgrade {state.id} has ended: {state.ended}; there is nothing to roll back")
        if self._never_began(state):
            self._m.file.update(in_progress="", ended=End.UNTOUCHED)
            raise StepSkipped("helm never began the change: there is nothing to roll back")
        if state.decision and not state.ended:  # one that ended since, from elsewhere, is asked for anew
            raise StepSkipped(f"decided by an earlier run: {state.decision}; it goes on")
        decision = decide(self._situation())
        if self._m.without_baseline:
            self._m.notes["nothing leads back"] = f"WARNING: {self._m.without_baseline}"
        if (
            self._m.without_baseline
            or decision.action not in _GOES_BACK
            or not (self._m.policy.roll_back or self.by_hand)
        ):
            self._m.file.update(ended=End.LEFT)
        else:
            self._found = state.ended
            self._m.file.update(decision=decision.rule.id, ended="", awaiting="")
        return decision

    @contextmanager
    def unless_refused(self) -> Generator[None]:
        """Take the choice of this run back if the block fails: nothing was done for it yet.

        The release, and what is known of its upgrade, are then as this run has found them; one that was decided by an
        earlier run stays so.
        """
        try:
            yield
        except Broken:
            raise
        except SopError:
            if self.by_hand and self._found is not None:
                self._m.file.update(decision="", ended=self._found)
                if self._previous:
                    self._m.file.write(self._previous)
                self._m.entered = False
            raise

    def target(self) -> str:
        """Return what is gone back to: the last revision that was deployed when the baseline was taken (SOP 4.2).

        Where Helm has lost that revision, it is the chart and the values that the baseline keeps of it.

        Raises:
            StepSkipped: nothing leads back, or Helm never began the change.
            ReleaseError: revisions of somebody else came after the upgrade's own.
        """
        state = self.require()
        with self.unless_refused():
            return self._target(state)

    def _target(self, state: UpgradeState) -> str:
        known = {entry.revision: entry for entry in self._m.helm.history(self._m.name)}
        if foreign := [number for number in known if number > state.revision and number not in state.own]:
            raise ReleaseError(
                f"revisions {', '.join(map(str, foreign))} of {self._m.name} are none of upgrade {state.id}",
                "somebody has changed the release since; --backup=DIR goes back to what that backup was taken from, "
                "whoever has",
            )
        deployed = self._m.baseline().deployed()
        if deployed[-1:] != [state.revision]:
            raise BackupError(
                f"backup {state.backup} says that revision {deployed[-1:]} was deployed last, not {state.revision}",
                "look at helm-history.txt in it, and go back by hand",
            )
        if (entry := known.get(state.revision)) and not entry.chart.endswith(f"-{state.version}"):
            raise ReleaseError(
                f"revision {state.revision} of {self._m.name} is {entry.chart}, not {state.version}: the release was "
                "installed anew since",
                "name the backup to go back to: --backup=DIR",
            )
        if state.revision not in known:
            return f"Helm has no revision {state.revision} any more: chart {state.version} and values of {state.backup}"
        return f"revision {state.revision}"

    def require(self) -> UpgradeState:
        """Return the state, if the way back was chosen and is not at its end.

        Raises:
            StepSkipped: nothing leads back.
        """
        state = self._m.file.read()
        if state is None or not state.decision or state.ended or not self._m.entered:
            raise StepSkipped("nothing leads back: see the decision")
        return state

    def _never_began(self, state: UpgradeState) -> bool:
        """Whether Helm failed, or was killed, before it made a revision."""
        listed = self._m.listed()
        return not state.revisions and (listed.revision, listed.status) == (state.revision, "deployed")

    def _since(self, named: Backup | RemoteBackup) -> UpgradeState:
        """Return the state of whatever has happened to the release since a backup was taken."""
        manifest = named.manifest
        later = [entry.revision for entry in self._m.helm.history(self._m.name) if entry.revision > manifest.revision]
        return UpgradeState(
            id=token_hex(4),
            begun=now(),
            revision=manifest.revision,
            version=manifest.version,
            target=self._m.listed().version,
            digest="",
            backup=named.name,
            claims=manifest.claims,
            revisions=tuple(later),
        )
