"""The version that a release runs, on a copy of its volumes that is cut off from the world (SOP 3.2, 5.1, 5.2).

The release is read and never written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property

from openab_sop.agents.workload import Workload, deployment_of
from openab_sop.backups.backup import Backup
from openab_sop.errors import ClusterError, ReleaseError, StepSkipped
from openab_sop.journal import Journal
from openab_sop.objects import Object
from openab_sop.rehearsals import isolation, rules, scratch
from openab_sop.rehearsals.behaviour import Behaviour, Traces
from openab_sop.rehearsals.copies import RenderedVersion, emptied
from openab_sop.rehearsals.homes import Homes
from openab_sop.rehearsals.isolation import Isolation
from openab_sop.rehearsals.scratch import Scratch
from openab_sop.rehearsals.trial import TrialEnvironment
from openab_sop.releases.release import Release
from openab_sop.restores.mounted_volume import Progress
from openab_sop.restores.rebuild_spec import RebuildSpec
from openab_sop.rollouts.logs import Patterns
from openab_sop.rollouts.problem import Limits
from openab_sop.rule import RuleFinding
from openab_sop.verdict import Verdict

WITHOUT = "without a rehearsal there still are the plan (pytest suites/plan) and the upgrade's own gates"


@dataclass(frozen=True, kw_only=True)
class RehearsalOptions:
    """How copies are to be tried.

    Attributes:
        accepted: by id of a finding, why it is let pass.
        limits, patterns, may_vanish: how copies are judged; as for the upgrade.
        prerelease: whether the pre-release is rehearsed too.
    """

    limits: Limits
    patterns: Patterns
    may_vanish: Sequence[str]
    accepted: Mapping[str, str] = field(default_factory=dict[str, str])
    prerelease: bool = False


@dataclass(kw_only=True)
class Copied:
    """A copy of a release as a backup has it, step by step.

    Attributes:
        release: as it is now.
        source: the backup that is restored; its files can be read.
    """

    release: Release
    source: Backup
    options: RehearsalOptions
    journal: Journal
    isolation: Isolation | None = None
    _spec: RebuildSpec = field(init=False)
    _scratch: Scratch | None = None
    _homes: Homes = field(init=False)
    _stage: TrialEnvironment = field(init=False)
    _old: dict[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    _old_traces: dict[str, Traces] = field(default_factory=dict[str, Traces])
    _fresh: bool = True
    _stack: ExitStack = field(default_factory=ExitStack)

    def prepare(self) -> str:
        """Remove what killed runs have left, and find out where a copy can be made; returns that in words.

        Raises:
            ClusterError: a copy can be made nowhere.
        """
        swept = scratch.sweep(self.release.cluster)
        self._spec = RebuildSpec(self.source)
        self._scratch = scratch.choose(self.release.cluster)
        self._homes = Homes(self._spec, self._scratch, self.options.may_vanish, self.journal)
        if not self._agents:
            raise ReleaseError("no agent of the release wants a pod: there is nothing to rehearse", "leave it out")
        if unfit := [str(finding) for finding in self._homes.unfit()]:
            raise ClusterError("; ".join(unfit), WITHOUT)
        options = self.options
        self._stage = TrialEnvironment(
            self.release, self._scratch, self._homes.claims, options.limits, options.patterns, self.journal
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
            raise ClusterError(f"no claim for the copy can be made: {error.problem}", WITHOUT) from error
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
        if stopping := [
            str(rule_finding) for rule_finding in self._logins() if rule_finding.id not in self.options.accepted
        ]:
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
            raise ReleaseError(f"the copy of the old version cannot be started: {'; '.join(here)}", WITHOUT)
        return self._old

    def refresh(self, progress: Progress) -> dict[str, Traces]:
        """Make the copy as the backup says again, and prove it (SOP 5.1, 5.2); returns what the old version changed."""
        self._old_traces = self._homes.refresh(self._deployments, progress)
        self._fresh = True
        return self._old_traces

    def removed(self) -> dict[str, tuple[str, ...]]:
        """Return by volume the paths of the backup that the version that ran last has removed.

        Logins that were made harmless are not among them, nor anything of an agent of which a volume is empty in the
        copy: with the real ones it might have acted otherwise.
        """
        removed = self._homes.removed(self._deployments)
        claims, agents = self._homes.claims, self._old_version.agents
        whole = {name for name in self._agents if not emptied(agents[name], claims)}
        return {key: paths for key, paths in removed.items() if deployment_of(key) in whole}

    def close(self) -> None:
        """Remove the copy, if no step did."""
        with suppress(StepSkipped):
            self.remove()

    def remove(self) -> str:
        """Remove the copy, and whatever was made for it; returns where it was (SOP 6.1).

        Raises:
            StepSkipped: nothing was made.
        """
        if self._scratch is None:
            raise StepSkipped("nothing was made")
        place, self._scratch = self._scratch, None
        self._homes.close()
        self._stack.close()
        place.remove()
        return f"rehearsal {place.id} in namespace {place.cluster.namespace}"

    @cached_property
    def _old_version(self) -> RenderedVersion:
        return RenderedVersion(self.source.manifest.version, self._spec.manifest)

    @cached_property
    def _agents(self) -> list[str]:
        """The agents of which copies are made."""
        stored = {agent.deployment for agent in self.source.manifest.agents}
        return [name for name in self._old_version.agents if name in stored]

    @cached_property
    def _deployments(self) -> dict[str, Object]:
        return {agent: self._stage.body(self._old_version, agent) for agent in self._agents}

    def _logins(self) -> list[RuleFinding]:
        if self.isolation and self.isolation.denied:
            return []
        left = {agent: treated.left for agent, treated in self._homes.harmless.items()}
        return [RuleFinding(rules.logins_left, finding) for finding in rules.logins_left.judge(left)]
