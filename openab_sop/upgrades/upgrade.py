"""The upgrade of a release: prepared, then a pre-release and the stable version as two phases alike (SOP 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from secrets import token_hex
from typing import Any

from openab_sop.agents import prepull
from openab_sop.agents.helper_pod import require_mountable, try_helpers
from openab_sop.backups import encryption, proof, remote
from openab_sop.backups.backup import TAKE, Backup
from openab_sop.backups.draft import Draft
from openab_sop.backups.remote import RemoteBackup
from openab_sop.errors import BackupError, Broken, ReleaseError, SopError, StepSkipped
from openab_sop.escape import command
from openab_sop.plans import dryrun
from openab_sop.plans.dryrun import Rendered
from openab_sop.rehearsals import outcome
from openab_sop.rehearsals.outcome import Outcome
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState, now
from openab_sop.targets import target as targets
from openab_sop.targets import values
from openab_sop.targets.target import Target
from openab_sop.upgrades import fingerprint, unfinished
from openab_sop.upgrades.answers import Reply
from openab_sop.upgrades.decision_table import GateAnswer, Situation
from openab_sop.upgrades.maintenance import Maintenance, Progress
from openab_sop.upgrades.phase import Phase
from openab_sop.verdict import Finding, Verdict
from openab_sop.wait import wait

PRERELEASE, STABLE = "prerelease", "stable"
BASELINE_GONE = "baseline-gone"
"""The id by which it is accepted that a version is confirmed although nothing leads back any more."""
PENDING = 600
"""Seconds that a change gets which another machine has begun: helm's own limit."""
HELPERS_TRIED = "helpers tried"
"""The mark of an upgrade before whose first change a helper ran beside each agent."""


class Upgrade:
    """One upgrade, step by step; each step first looks whether an earlier run has done it.

    Args:
        release: as this run found it.
        target: where it leads to.
    """

    def __init__(self, release: Release, target: Target, maintenance: Maintenance) -> None:
        self.release = release
        self.target = target
        self.maintenance = maintenance
        self._rendered: dict[str, Rendered] = {}
        self._said: GateAnswer | None = None
        self.phases = {
            PRERELEASE: Phase(
                PRERELEASE,
                str(target.prerelease or ""),
                target.prerelease_chart,
                maintenance,
                unneeded=target.why_no_prerelease,
                then=STABLE,
            ),
            STABLE: Phase(STABLE, str(target.version), target.chart, maintenance),
        }

    def hold(self) -> str:
        """Take the lock of the release (SOP 3.0); returns in words how it was had."""
        return self.maintenance.hold(f"upgrade to {self.target.version}")

    def begin(self, reply: Reply | None) -> str:
        """Go on with the upgrade that is under way, or begin one (SOP 1.9, 3.0); returns which, in words.

        Args:
            reply: value of ``--answer``: it must be what the upgrade awaits.

        Raises:
            SettingsError: nobody has asked for the answer.
            ReleaseError: another upgrade is under way, somebody else has changed the release, or a change was cut off
                in the middle: then the way back is next.
        """
        state = self.maintenance.file.read()
        if reply:
            reply.require_awaited(state)
        if state and unfinished.closed_elsewhere(state, self.release):
            state = self.maintenance.file.update(ended=End.CLOSED)
        if state is None or state.ended or self._is_stale(state):
            return self._begin()
        if state.target != str(self.target.version):
            raise ReleaseError(
                f"an upgrade to {state.target} is under way since {state.begun} (id {state.id})",
                f"go on with it: {command(f'--target-version={state.target}')}; or back: pytest suites/rollback",
            )
        if reply:
            self._said = reply.word
            self.phases[reply.gate].hear(reply.word)
        return self._resume(state)

    @property
    def path(self) -> str:
        """Where the pre-release is validated, or why none is, in words."""
        why = self.target.why_no_prerelease or self.maintenance.state.skipped_phases.get(PRERELEASE)
        return why or f"{self.target.prerelease} is validated on the release itself"

    def require_backup(self) -> Verdict:
        """Prove the backup that the upgrade stands on: of this release, at the revision that it starts from (SOP 3.0).

        Raises:
            BackupError: there is none.
        """
        m, state = self.maintenance, self.maintenance.state
        if not state.when("baseline taken"):
            state = m.file.update(backup=self._newest().name)
        last = state.awaiting == STABLE and self._said is GateAnswer.CONFIRMED
        try:
            backup = m.baseline()
            findings = list(proof.prove(backup).findings)
        except BackupError as gone:
            if not last:
                raise
            return self._without_baseline(gone.problem)
        if findings and last:
            return self._without_baseline(str(findings[0]))
        if backup.manifest.revision != state.revision:
            stale = f"it is of revision {backup.manifest.revision}"
            runs = f"revision {state.revision}, which this upgrade starts from"
            findings.insert(0, Finding(f"backup {state.backup}", stale, runs, TAKE))
        return Verdict(f"backup {state.backup} of revision {backup.manifest.revision}", tuple(findings))

    def _without_baseline(self, why: str) -> Verdict:
        """Tell that nothing leads back any more; the last answer can be given all the same, if that is accepted."""
        m = self.maintenance
        if BASELINE_GONE not in m.policy.accepted:
            finding = Finding(
                f"backup {m.state.backup}",
                why,
                "the baseline of the upgrade that waits: without it nothing leads back",
                "bring it back, then answer; or answer without it: "
                + command(f"--accept={BASELINE_GONE}", "--reason=TEXT"),
            )
            return Verdict(f"backup {m.state.backup}", (finding,))
        m.without_baseline = why
        m.notes["without the baseline"] = (
            f"WARNING: {why}: files are not compared, and nothing leads back ({m.policy.reason})"
        )
        return Verdict(f"absence of backup {m.state.backup}, accepted ({m.policy.reason})")

    def dry_run(self) -> Verdict:
        """Have Helm render each version and the API judge each object of it; nothing is changed (SOP 3.1)."""
        verdicts = [dryrun.refused(self.release, self._render(phase)) for phase in self._to_come()]
        if not verdicts:
            raise StepSkipped("every version was applied already, by an earlier run of this upgrade")
        findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
        return Verdict("; ".join(verdict.checked for verdict in verdicts), findings)

    def pull_images(self) -> dict[str, str]:
        """Have each node pull the images to come, while the old version serves; returns what came of it by image.

        Raises:
            SopError: one cannot be pulled.
        """
        done: dict[str, str] = {}
        ids: dict[str, str] = {}
        for phase in self._to_come():
            had = [image for image, pulled in ids.items() if pulled]
            for image, pulled in prepull.pull_all(self.release.cluster, self._render(phase).workloads, had).items():
                ids[image], done[image] = pulled.image_id, str(pulled)
        if not done:
            raise StepSkipped("every version was applied already, by an earlier run of this upgrade")
        self.maintenance.file.update(pulled=ids)
        return done

    def try_helpers(self) -> dict[str, str]:
        """Start a helper beside each agent, before the first change: the way back may need it (SOP 4.3).

        Raises:
            StepSkipped: an earlier run of this upgrade has.
            PodError, ClusterError: none starts, or none could mount a volume as a version to come has it.
        """
        state = self.maintenance.state
        if state.changed and (when := state.when(HELPERS_TRIED)):
            raise StepSkipped(f"they started at {when}")
        for phase in self._to_come():
            require_mountable(self._render(phase).workloads)
        agents = [agent for agent in self.release.agents if any(volume.claim for volume in agent.volumes)]
        tried = try_helpers(self.release.cluster, agents)
        self.maintenance.file.mark(HELPERS_TRIED)
        return tried

    def refresh_backup(self, progress: Progress) -> str:
        """Take the baseline: a backup of what changed since the last one, right before the first change (SOP 3.0 +).

        Raises:
            StepSkipped: an earlier run of this upgrade has taken it.
            BackupError: it could not be made.
        """
        m, state = self.maintenance, self.maintenance.state
        if when := state.when("baseline taken"):
            raise StepSkipped(f"backup {state.backup} is the baseline, taken at {when}")
        earlier, policy = m.baseline(), m.policy
        recipients = policy.recipients or encryption.parse_recipients(m.stored().manifest.sealed_to)
        draft = Draft(
            policy.backup_root,
            self.release,
            self.release.cluster.known_as(),
            m.journal,
            earlier,
            policy.store,
            policy.signer,
        )
        backup = draft.take(policy.snapshot_above, progress, recipients)
        if draft.uncovered:
            m.notes["not in the backup"] = f"WARNING: {'; '.join(draft.uncovered)}"
        m.file.mark("baseline taken", backup=backup.name, claims=fingerprint.claims(self.release, backup.manifest))
        m.baseline()  # one that is kept elsewhere is fetched now: whatever follows needs the cluster alone
        return f"{backup.place}, {backup.size} bytes"

    def announce_start(self) -> str:
        """Tell that it begins, once an upgrade (SOP 1.8); returns what was sent, or is to be sent by hand."""
        state = self.maintenance.state
        if when := state.when("start announced"):
            raise StepSkipped(f"announced at {when}")
        self.maintenance.file.mark("start announced")
        return self.maintenance.announcer.send(
            f"OpenAB: upgrade of {self.release.name} begins",
            f"{self.release.name} goes from {state.version} to {state.target}; "
            f"expect {len(list(self._to_come()))} short outages, seconds each.",
        )

    def situation(self) -> Situation:
        """Return what was seen of the phase that failed, for the decision table (SOP 4.1)."""
        state = self.maintenance.state
        if state.in_progress:
            failed = f"helm was cut off or failed while it applied {self.phases[state.in_progress].version}"
            return Situation(changed=True, failed=(failed,))
        phase = self.phases[STABLE if state.when(f"{STABLE} applied") else PRERELEASE]
        return replace(phase.situation, restored=True, restarted=True)  # both had their chance on the way here

    def complete(self) -> str:
        """Tell that it is done, with the outage that was measured (SOP 3.6); the upgrade ends.

        The lock goes first: a run that is killed in here leaves none, and the next one, with nothing to do, takes none.
        """
        self.maintenance.lease.release()
        if (state := self.maintenance.state).ended != End.DONE:  # a second try only tells
            state = self.maintenance.file.mark("completed", ended=End.DONE)
        targets.forget_others(self.target)
        values.forget(self.maintenance.file.path.parent)
        return self.maintenance.announcer.send(
            f"OpenAB: upgrade of {self.release.name} is done",
            f"{self.release.name} runs {state.target}, before {state.version}. Outage: {outages(state)}.",
        )

    def _is_stale(self, state: UpgradeState) -> bool:
        """Whether nothing was changed, and what is asked for or runs now is something else."""
        now_runs = self.maintenance.listed().revision
        return not state.changed and (state.target, state.revision) != (str(self.target.version), now_runs)

    def _begin(self) -> str:
        now_listed = self.maintenance.listed()
        if now_listed.status != "deployed":
            raise ReleaseError(
                f"release {now_listed.name} is {now_listed.status} at revision {now_listed.revision}",
                "bring it back first: pytest suites/rollback --backup=DIR",
            )
        state = UpgradeState(
            id=token_hex(4),
            begun=now(),
            revision=now_listed.revision,
            version=now_listed.version,
            target=str(self.target.version),
            digest=self.target.digest,
            prerelease=str(self.target.prerelease or ""),
            options={**self.maintenance.policy.options, "post_renderer": self.maintenance.helm.post_renderer},
            values=self._values,
            **self._by_rehearsal(),
        )
        self.maintenance.settled.forget()
        self.maintenance.file.begin(state)
        self.maintenance.entered = True
        return f"upgrade {state.id} begins: {state.version} at revision {state.revision} to {state.target}"

    def _resume(self, state: UpgradeState) -> str:
        if state.decision:
            self.maintenance.entered = True
            raise ReleaseError(f"the way back of upgrade {state.id} was cut off", "it goes on below")
        if state.digest != self.target.digest:
            raise ReleaseError(
                f"the chart of {state.target} is another than when upgrade {state.id} began",
                "find out who published it anew; back: pytest suites/rollback",
            )
        if state.changed and state.prerelease != str(self.target.prerelease or ""):
            raise ReleaseError(
                f"upgrade {state.id} goes by way of {state.prerelease or 'no pre-release'}, not of "
                f"{self.target.prerelease or 'none'}",
                f"name it: {command(f'--prerelease-version={state.prerelease}')}"
                if state.prerelease
                else "go on without one",
            )
        if state.options.get("post_renderer", "") != self.maintenance.helm.post_renderer:
            began = state.options.get("post_renderer") or "none"
            raise ReleaseError(
                f"upgrade {state.id} began with the post-renderer {began}", "name the same with --post-renderer"
            )
        if state.in_progress:
            state = self._settle(state)
        if not state.changed:  # the way may be another than when it began
            state = self.maintenance.file.update(values=self._values, **self._by_rehearsal())
        self.maintenance.require_unchanged()
        self.maintenance.entered = True
        return f"upgrade {state.id} to {state.target} goes on, begun {state.begun}: " + (
            ", ".join(f"{mark} {when}" for mark, when in state.milestones.items()) or "nothing done yet"
        )

    @property
    def _values(self) -> str:
        """The digest of the values that were named; empty for the release's own."""
        return self.maintenance.values.digest if self.maintenance.values else ""

    def _by_rehearsal(self) -> dict[str, Any]:
        """Return the fields of a state that a rehearsal of this very way decides, if one passed."""
        found = outcome.last(self.maintenance.file.path.parent)
        way = (self.release.revision, str(self.target.version), self.target.digest, self._values)
        rehearsed = found if found and found.is_of(*way) else None
        return {
            "skipped_phases": self._unneeded(rehearsed),
            "rollback_estimate": rehearsed.rollback_estimate if rehearsed else "",
        }

    def _unneeded(self, rehearsed: Outcome | None) -> dict[str, str]:
        """Tell why phases are left out: the pre-release, if it was to be validated on a copy, and was."""
        target = self.target
        if target.prerelease is None or self.maintenance.policy.prerelease == "live":
            return {}
        way = (self.release.revision, str(target.prerelease), target.prerelease_digest, self._values)
        if rehearsed is None or not rehearsed.is_of(*way):
            raise ReleaseError(
                f"{target.prerelease} was not rehearsed on a copy of this revision", "run the same command again"
            )
        return {PRERELEASE: f"{target.prerelease} was validated on a copy, at {rehearsed.when}"}

    def _settle(self, state: UpgradeState) -> UpgradeState:
        """Find out what became of a change in whose middle a run ended; its helm may work on, on another machine."""
        if self.maintenance.lease.from_elsewhere:
            self._await_other_helm()
        phase, listed = self.phases[state.in_progress], self.maintenance.listed()
        if listed.revision == state.in_progress_from and listed.status == "deployed":
            return self.maintenance.file.update(in_progress="")
        if listed.revision == state.in_progress_from + 1 and listed.version == phase.version:
            if listed.status == "deployed":
                return phase.note_applied(listed.revision)
            self.maintenance.entered = True
            raise ReleaseError(
                f"helm was cut off while it applied {phase.version}: the release is {listed.status}",
                "the way back follows",
            )
        raise ReleaseError(
            f"release {listed.name} is at revision {listed.revision} ({listed.version}, {listed.status}), "
            f"which is none of upgrade {state.id}",
            "find out who changed it: helm history",
        )

    def _await_other_helm(self) -> None:
        try:
            wait(
                lambda: found if (found := self.maintenance.listed().status).startswith("pending") else None,
                what="the end of a helm that may be at work on another machine",
                timeout=PENDING,
                next_step="look there",
            )
        except Broken:
            raise
        except SopError as over:  # it is not, or hangs
            self.maintenance.journal.record("no helm has ended it", seen=over.problem)

    def _newest(self) -> Backup | RemoteBackup:
        policy = self.maintenance.policy
        return remote.latest(policy.backup_root, policy.store, *self.release.key)

    def _to_come(self) -> Iterator[Phase]:
        """Yield the phases that are needed and were not applied yet."""
        return (phase for phase in self.phases.values() if phase.is_to_come)

    def _render(self, phase: Phase) -> Rendered:
        if phase.name not in self._rendered:
            self._rendered[phase.name] = phase.render(self.maintenance.values_for_target())
        return self._rendered[phase.name]


def outages(state: UpgradeState) -> str:
    """Return the outages of an upgrade in words."""
    measured = (f"{what} {seconds:.1f} s" for what, seconds in state.outages.items())
    return ", ".join(measured) or "not measured"
