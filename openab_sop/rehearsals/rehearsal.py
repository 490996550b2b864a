"""An upgrade rehearsed on a copy: the old version, then the new one, each on a fresh copy of the backed-up home (3.2).

The release is read and never written to. What only the new version does is a finding; what both do comes from the copy
being cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from openab_sop.backups.backup import TAKE
from openab_sop.cluster.lease import Lease
from openab_sop.errors import BackupError, StepSkipped
from openab_sop.plans import dryrun
from openab_sop.rehearsals import outcome, rules
from openab_sop.rehearsals.behaviour import Behaviour, Contrast
from openab_sop.rehearsals.copied import Copied
from openab_sop.rehearsals.copies import RenderedVersion, emptied
from openab_sop.rehearsals.outcome import Outcome
from openab_sop.releases.upgrade_state import now
from openab_sop.restores.mounted_volume import Progress
from openab_sop.rule import RuleFinding, RuleFindings, weighed
from openab_sop.status import Status
from openab_sop.targets.target import Target
from openab_sop.targets.values import TargetValues

BACK_SETTLE = 10
"""Seconds in which nothing may go wrong with the old version on what the new one has left."""


@dataclass(kw_only=True)
class Rehearsal(Copied):
    """One rehearsal, step by step.

    Attributes:
        values: what the target is rendered with; None for the release's own.
        directory: where the outcome is kept, beside the session file.
        lease: the release's lock; it is not taken.
    """

    target: Target
    values: TargetValues | None = None
    directory: Path
    lease: Lease
    _contrasts: list[Contrast] = field(default_factory=list[Contrast])
    _versions: dict[str, RenderedVersion] = field(default_factory=dict[str, RenderedVersion])

    def prepare(self) -> str:
        """As ``Copied`` does, if nobody is at work on the release and the backup is of what runs.

        Raises:
            ReleaseLocked: another run is changing it.
            BackupError: the backup is of another revision.
            ClusterError: a copy can be made nowhere.
        """
        self.lease.require_free()
        outcome.forget(self.directory)
        manifest = self.source.manifest
        if manifest.revision != self.release.revision:
            raise BackupError(
                f"backup {manifest.name} is of revision {manifest.revision}, and {self.release.revision} runs", TAKE
            )
        return super().prepare()

    def run_new(self, phase: str, progress: Progress) -> dict[str, Behaviour]:
        """Run a version of the target on a fresh copy, and look at what it leaves (SOP 3.2).

        Args:
            phase: "prerelease" or "stable".

        Raises:
            StepSkipped: there is no such version, or nobody asked for it.
        """
        version = self._rendered(phase)
        if not self._fresh:
            self._homes.refresh(self._deployments, progress)
        self._fresh = False
        agents = self._common(version)
        new = self._stage.run(version, agents, self._old)
        traces = self._homes.look(self._deployments)
        self._contrasts += [
            Contrast(
                agent,
                old=self._old[agent],
                new=new[agent],
                back=None,
                old_traces=self._old_traces.get(agent),
                new_traces=traces.get(agent),
                old_claim=self._old_version.agents[agent].claim,
                new_claim=version.agents[agent].claim,
            )
            for agent in agents
        ]
        return new

    def run_back(self, phase: str) -> dict[str, Behaviour]:
        """Run the old version on what the new one has left (SOP 4.3): can a rollback do without restoring?

        Raises:
            StepSkipped: as ``run_new``.
        """
        version = self._rendered(phase)
        settle = min(self.options.limits.settle, BACK_SETTLE)
        stage = replace(self._stage, limits=replace(self.options.limits, settle=settle))
        back = stage.run(self._old_version, self._common(version), self._old)
        self._contrasts = [
            replace(seen, back=back[seen.agent]) if seen.new.version == version.name else seen
            for seen in self._contrasts
        ]
        return back

    def judge(self) -> RuleFindings:
        """Say what only the new version does; if that passes, what was found out is kept for the upgrade.

        Raises:
            SettingsError: something was accepted that was not found.
        """
        every = (*rules.RULES, rules.not_validated) if self.options.prerelease else rules.RULES
        found = [
            RuleFinding(rule, finding, (seen.new.version,))
            for seen in self._contrasts
            for rule in every
            for finding in rule.judge(seen)
        ]
        found += [RuleFinding(rules.not_rehearsed, finding) for finding in rules.not_rehearsed.judge(self._unseen())]
        judged = RuleFindings(weighed([*self._logins(), *found], self.options.accepted, "rehearsal"))
        if judged.passed:
            self.outcome(judged).store(self.directory)
        return judged

    def highlights(self, judged: RuleFindings) -> dict[str, str]:
        """Return what must not be overlooked, by what it is."""
        return {"rehearsal": judged.summary, "way back": self.outcome(judged).rollback_estimate, **judged.accepted}

    def outcome(self, judged: RuleFindings) -> Outcome:
        """Return what later stages use."""
        changed = {"data-changed", "no-way-back"}
        digests = {str(self.target.version): self.target.digest}
        if self.target.prerelease and self.options.prerelease:
            digests[str(self.target.prerelease)] = self.target.prerelease_digest
        return Outcome(
            when=now(),
            revision=self.release.revision,
            digests=digests,
            values=self.values.digest if self.values else "",
            backup=self.source.manifest.name,
            restore=self._homes.seconds,
            start=max((old.judgement.ready_after or 0.0 for old in self._old.values()), default=0.0),
            changed=tuple(sorted({h.finding.subject for h in judged.findings if h.rule.name in changed})),
        )

    def notes(self) -> str:
        """Return what of the agents' pods is not in their copies, in words."""
        claims = self._homes.claims
        empty = [f"{name}: {v}" for name in self._agents for v in emptied(self._old_version.agents[name], claims)]
        return f"empty in the copy: {', '.join(empty)}" if empty else "every volume of the agents is in the copy"

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        return Status.HELD if self.lease.refused else Status.UNCHANGED

    def _rendered(self, phase: str) -> RenderedVersion:
        chart, name = self.target.chart, str(self.target.version)
        if phase == "prerelease":
            if self.target.prerelease_chart is None or not self.options.prerelease:
                raise StepSkipped(self.target.why_no_prerelease or "the release itself gets it: --prerelease=live")
            chart, name = self.target.prerelease_chart, str(self.target.prerelease)
        if name not in self._versions:
            values = self.source.file("values.yaml")
            if self.values and self.values.given:
                values = self.values.store(self.directory)
            manifest = dryrun.render(self.release.helm, self.release.name, chart, values).manifest
            self._versions[name] = RenderedVersion(name, manifest.parted()[0])
        return self._versions[name]

    def _common(self, version: RenderedVersion) -> list[str]:
        return [agent for agent in self._agents if agent in version.agents]

    def _unseen(self) -> list[str]:
        """The agents of the release that were not run in both versions."""
        both = {seen.agent for seen in self._contrasts}
        return [agent.deployment for agent in self.release.agents if agent.deployment not in both]
