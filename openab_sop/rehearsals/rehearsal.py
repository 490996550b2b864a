"""An upgrade rehearsed on a copy: the old version, then the new one, each on a fresh copy of the backed-up home (3.2).

The release is read and never written to. What only the new version does is a finding; what both do comes from the copy
being cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from openab_sop.agents.workload import Workload
from openab_sop.backups.backup import TAKE, Backup
from openab_sop.cluster.lease import Lease
from openab_sop.errors import BackupError, ClusterError, NotNeeded, ReleaseError
from openab_sop.journal import Journal
from openab_sop.objects import Object
from openab_sop.plans import dryrun
from openab_sop.rehearsals import isolation, outcome, rules, scratch
from openab_sop.rehearsals.behaviour import Behaviour, Contrast, Traces
from openab_sop.rehearsals.copies import Version, emptied
from openab_sop.rehearsals.homes import Homes
from openab_sop.rehearsals.isolation import Isolation
from openab_sop.rehearsals.outcome import Outcome
from openab_sop.rehearsals.scratch import Scratch
from openab_sop.rehearsals.trial import Stage
from openab_sop.releases.course import now
from openab_sop.releases.manifest import Manifest
from openab_sop.releases.release import Release
from openab_sop.restores.blueprint import Blueprint
from openab_sop.restores.held import Progress
from openab_sop.rollouts.concern import Limits
from openab_sop.rollouts.logs import Patterns
from openab_sop.rule import Harm, Harms, weighed
from openab_sop.status import Status
from openab_sop.targets.target import Target
from openab_sop.verdict import Verdict

BACK_SETTLE = 10
"""Seconds in which nothing may go wrong with the old version on what the new one has left."""
_WITHOUT = "without a rehearsal there still are the plan (pytest suites/plan) and the upgrade's own gates"


@dataclass(frozen=True)
class Manner:
    """How a rehearsal is to be done.

    Attributes:
        accepted: by id of a finding, why it is let pass.
        limits, patterns, may_vanish: how copies are judged; as for the upgrade.
        prerelease: whether the pre-release is rehearsed too.
    """

    accepted: Mapping[str, str]
    limits: Limits
    patterns: Patterns
    may_vanish: Sequence[str]
    prerelease: bool


@dataclass
class Rehearsal:
    """One rehearsal, step by step.

    Attributes:
        source: the backup that is restored; its files can be read.
        directory: where the outcome is kept, beside the session file.
        lease: the release's lock; it is not taken.
    """

    release: Release
    target: Target
    source: Backup
    manner: Manner
    directory: Path
    journal: Journal
    lease: Lease
    isolation: Isolation | None = None
    _plan: Blueprint = field(init=False)
    _scratch: Scratch | None = None
    _homes: Homes = field(init=False)
    _stage: Stage = field(init=False)
    _old: dict[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    _old_traces: dict[str, Traces] = field(default_factory=dict[str, Traces])
    _contrasts: list[Contrast] = field(default_factory=list[Contrast])
    _versions: dict[str, Version] = field(default_factory=dict[str, Version])
    _fresh: bool = True
    _stack: ExitStack = field(default_factory=ExitStack)

    def prepare(self) -> str:
        """Remove what killed rehearsals have left, and find out where a copy can be made; returns that in words.

        Raises:
            Held: another run is changing it.
            BackupError: the backup is of another revision.
            ClusterError: a copy can be made nowhere.
        """
        self.lease.require_free()
        outcome.forget(self.directory)
        swept = scratch.sweep(self.release.cluster)
        manifest = self.source.manifest
        if manifest.revision != self.release.revision:
            raise BackupError(
                f"backup {manifest.name} is of revision {manifest.revision}, and {self.release.revision} runs", TAKE
            )
        self._plan = Blueprint(self.source)
        self._scratch = scratch.choose(self.release.cluster)
        self._homes = Homes(self._plan, self._scratch, self.manner.may_vanish, self.journal)
        if not self._agents:
            raise ReleaseError("no agent of the release wants a pod: there is nothing to rehearse", "leave it out")
        if unfit := [str(finding) for finding in self._homes.unfit()]:
            raise ClusterError("; ".join(unfit), _WITHOUT)
        manner = self.manner
        self._stage = Stage(
            self.release, self._scratch, self._homes.claims, manner.limits, manner.patterns, self.journal
        )
        where = "its own, since this caller may make none" if self._scratch.is_own else self._scratch.cluster.namespace
        removed = f"; removed what killed runs left: {', '.join(swept)}" if swept else ""
        return f"rehearsal {self._scratch.id} in namespace {where}{removed}"

    def isolate(self) -> Isolation:
        """Make the place for the copy, on a leash, and cut it off; returns whether that is so.

        Raises:
            SopError: nothing of ours starts there.
        """
        place = self._scratch
        assert place is not None
        place.make_namespace(self.release.cluster)
        for agent in self._agents:
            self._stage.allow_pulls(self._old_version, agent)
        body = self._deployments[self._agents[0]]
        pod = self._stack.enter_context(place.leashed(Workload(body)))
        self.isolation = isolation.isolate(place, pod)
        return self.isolation

    def restore(self, progress: Progress) -> dict[str, str]:
        """Restore the backup into scratch claims (SOP 5.1); returns by claim and agent what was done.

        Raises:
            ClusterError: no claim can be made: a quota, for instance.
            BackupError: a volume is too small.
        """
        try:
            made = self._homes.make_claims()
        except ClusterError as error:
            raise ClusterError(f"no claim for the copy can be made: {error.problem}", _WITHOUT) from error
        return {f"claim {name}": like for name, like in made.items()} | self._homes.fill(self._deployments, progress)

    def prove(self) -> Verdict:
        """Prove the copy by digests that helper pods compute now (SOP 5.2): this backup can be restored."""
        return self._homes.prove()

    def make_harmless(self) -> str:
        """Put placeholders in the place of the logins in the copied homes; returns by agent in which files.

        An engine may heed a policy a moment after a pod has begun: so this is done whatever the probe has told.

        Raises:
            ReleaseError: some could not be, the cluster keeps nothing in, and that was not accepted.
        """
        treated = self._homes.make_harmless()
        self._homes.let_go()
        if stopping := [str(harm) for harm in self._logins() if harm.id not in self.manner.accepted]:
            raise ReleaseError("\n  ".join(stopping), "see above")
        return "; ".join(f"{agent}: {len(done.changed)} files" for agent, done in treated.items())

    def run_old(self) -> dict[str, Behaviour]:
        """Run the old version on the copy: what it does there is what the new one is compared with.

        Raises:
            ReleaseError: it cannot even be started here, so that a rehearsal says nothing.
        """
        self._fresh = False
        self._old = self._stage.run(self._old_version, self._agents, {})
        if here := [f"{agent}: {why}" for agent, old in self._old.items() if (why := rules.cannot_be_told(old))]:
            raise ReleaseError(f"the copy of the old version cannot be started: {'; '.join(here)}", _WITHOUT)
        return self._old

    def refresh(self, progress: Progress) -> dict[str, Traces]:
        """Make the copy as the backup says again, and prove it (SOP 5.1, 5.2); returns what the old version changed."""
        self._old_traces = self._homes.refresh(self._deployments, progress)
        self._fresh = True
        return self._old_traces

    def run_new(self, phase: str, progress: Progress) -> dict[str, Behaviour]:
        """Run a version of the target on a fresh copy, and look at what it leaves (SOP 3.2).

        Args:
            phase: "prerelease" or "stable".

        Raises:
            NotNeeded: there is no such version, or nobody asked for it.
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
            NotNeeded: as ``run_new``.
        """
        version = self._rendered(phase)
        settle = min(self.manner.limits.settle, BACK_SETTLE)
        stage = replace(self._stage, limits=replace(self.manner.limits, settle=settle))
        back = stage.run(self._old_version, self._common(version), self._old)
        self._contrasts = [
            replace(seen, back=back[seen.agent]) if seen.new.version == version.name else seen
            for seen in self._contrasts
        ]
        return back

    def close(self) -> None:
        """Remove the copy, if no step did."""
        with suppress(NotNeeded):
            self.remove()

    def judge(self) -> Harms:
        """Say what only the new version does; if that passes, what was found out is kept for the upgrade.

        Raises:
            SettingsError: something was accepted that was not found.
        """
        every = (*rules.RULES, rules.not_validated) if self.manner.prerelease else rules.RULES
        found = [
            Harm(rule, finding, (seen.new.version,))
            for seen in self._contrasts
            for rule in every
            for finding in rule.judge(seen)
        ]
        found += [Harm(rules.not_rehearsed, finding) for finding in rules.not_rehearsed.judge(self._unseen())]
        judged = Harms(weighed([*self._logins(), *found], self.manner.accepted, "rehearsal"))
        if judged.passed:
            self.outcome(judged).store(self.directory)
        return judged

    def highlights(self, judged: Harms) -> dict[str, str]:
        """Return what must not be overlooked, by what it is."""
        return {"rehearsal": judged.summary, "way back": self.outcome(judged).way_back, **judged.accepted}

    def outcome(self, judged: Harms) -> Outcome:
        """Return what later stages use."""
        changed = {"data-changed", "no-way-back"}
        digests = {str(self.target.version): self.target.digest}
        if self.target.prerelease and self.manner.prerelease:
            digests[str(self.target.prerelease)] = self.target.prerelease_digest
        return Outcome(
            when=now(),
            revision=self.release.revision,
            digests=digests,
            backup=self.source.manifest.name,
            restore=self._homes.seconds,
            start=max((old.judgement.ready_after or 0.0 for old in self._old.values()), default=0.0),
            changed=tuple(sorted({h.finding.subject for h in judged.harms if h.rule.name in changed})),
        )

    def notes(self) -> str:
        """Return what of the agents' pods is not in their copies, in words."""
        claims = self._homes.claims
        empty = [f"{name}: {v}" for name in self._agents for v in emptied(self._old_version.agents[name], claims)]
        return f"empty in the copy: {', '.join(empty)}" if empty else "every volume of the agents is in the copy"

    def remove(self) -> str:
        """Remove the copy, and whatever was made for it; returns where it was (SOP 6.1).

        Raises:
            NotNeeded: nothing was made.
        """
        if self._scratch is None:
            raise NotNeeded("nothing was made")
        place, self._scratch = self._scratch, None
        self._homes.close()
        self._stack.close()
        place.remove()
        return f"rehearsal {place.id} in namespace {place.cluster.namespace}"

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        return Status.HELD if self.lease.refused else Status.UNCHANGED

    @cached_property
    def _old_version(self) -> Version:
        record = self.release.helm.record(self.release.name, self.release.revision)
        return Version(self.release.version, Manifest.parse(record.manifest))

    def _rendered(self, phase: str) -> Version:
        chart, name = self.target.chart, str(self.target.version)
        if phase == "prerelease":
            if self.target.prerelease_chart is None or not self.manner.prerelease:
                raise NotNeeded(self.target.why_no_prerelease or "the release itself gets it: --prerelease=live")
            chart, name = self.target.prerelease_chart, str(self.target.prerelease)
        if name not in self._versions:
            values = self.source.directory / "values.yaml"
            manifest = dryrun.render(self.release.helm, self.release.name, chart, values).manifest
            self._versions[name] = Version(name, manifest.parted()[0])
        return self._versions[name]

    @cached_property
    def _agents(self) -> list[str]:
        """The agents of which copies are made."""
        stored = {agent.deployment for agent in self.source.manifest.agents}
        return [name for name in self._old_version.agents if name in stored]

    def _common(self, version: Version) -> list[str]:
        return [agent for agent in self._agents if agent in version.agents]

    @cached_property
    def _deployments(self) -> dict[str, Object]:
        return {agent: self._stage.body(self._old_version, agent) for agent in self._agents}

    def _unseen(self) -> list[str]:
        """The agents of the release that were not run in both versions."""
        both = {seen.agent for seen in self._contrasts}
        return [agent.deployment for agent in self.release.agents if agent.deployment not in both]

    def _logins(self) -> list[Harm]:
        if self.isolation and self.isolation.denied:
            return []
        left = {agent: treated.left for agent, treated in self._homes.harmless.items()}
        return [Harm(rules.logins_left, finding) for finding in rules.logins_left.judge(left)]
