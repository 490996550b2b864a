"""The way back: Helm's revision and, where the old version could not read it, the data too (SOP 4).

The agents stand still from the first look at their volumes until the old version starts, so that nothing is written
between the decision and the act. Each step is taken down; a run that is killed is finished by the same command.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from openab_sop.agents import scaling
from openab_sop.agents.agent import Agent
from openab_sop.agents.container import HostOf
from openab_sop.agents.helper_pod import helper_pod, try_helpers
from openab_sop.agents.workload import Workload, is_agent
from openab_sop.backups.items import Selection
from openab_sop.cluster import fields, orphans
from openab_sop.cluster.helm import adopts_on_rollback
from openab_sop.errors import (
    BackupError,
    Broken,
    Forbidden,
    NotFound,
    ReleaseError,
    SettingsError,
    SopError,
    StepSkipped,
)
from openab_sop.escape import one_line
from openab_sop.objects import Object, at
from openab_sop.plans import permissions
from openab_sop.releases import identity, portable_objects
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState
from openab_sop.restores import preconditions
from openab_sop.restores.changes import volume_since
from openab_sop.restores.mounted_volume import RESTORED, markers
from openab_sop.restores.rebuild_spec import CLAIM
from openab_sop.restores.restore import Restoration
from openab_sop.rollouts.problem import Symptom
from openab_sop.rollouts.stuck import replace_stuck
from openab_sop.upgrades import fingerprint
from openab_sop.upgrades.judging import judge
from openab_sop.upgrades.maintenance import STOPPED, Maintenance, Progress
from openab_sop.upgrades.old_images import OldImages
from openab_sop.upgrades.repair import bring_back
from openab_sop.upgrades.rollback_decision import RollbackDecision
from openab_sop.upgrades.verification import Seen, look, verify
from openab_sop.verdict import Finding, Verdict
from openab_sop.wait import insist

ASKED = "rollback-asked"
"""The rule by which a human asks for the way back: it has an exit status of its own."""
BACK = "back"
"""What the state calls the change that leads back."""
_AFTER_ALL = "restoring after all"
"""The mark of a rollback whose old version did not run on what the new one has left."""
_NOT_BY_DATA = {Symptom.IMAGE, Symptom.PENDING, Symptom.CANNOT_START}
"""What keeps an agent from running before it has seen its volume."""
_UNJUDGED = Finding("the old version", "it was not judged", "a verdict", "see the failed step above")


class Rollback:
    """The way back of one upgrade, step by step, once it is chosen."""

    def __init__(self, maintenance: Maintenance, decision: RollbackDecision) -> None:
        self._m = maintenance
        self._decision = decision
        self._verdict = Verdict("state of the old version", (_UNJUDGED,))
        self._symptoms: Mapping[str, frozenset[Symptom]] = {}
        self._old_images = OldImages(maintenance, by_hand=decision.by_hand)

    @property
    def now(self) -> Release:
        """The release as it is now."""
        return self._m.release()

    @property
    def next_step(self) -> str:
        """What to do after it, in words."""
        if self._m.state.ended not in (End.BACK, End.RETURNED):
            return "find out why: the report has what was seen; then run the same command again"
        if moved := self._old_images.moved:
            return one_line(
                f"{', '.join(moved)} runs another image than before the upgrade. "
                f"{'; '.join(image.remedy for image in moved.values())}; then delete the agent's pod"
            )
        if self._decision.by_hand:
            return "nothing; the release is as it was before the upgrade"
        return "the release is as it was; fix what the first failed step names, then run the upgrade again"

    def require_rights(self) -> str:
        """Check the rights that Helm needs to roll back, before any agent is stopped; the plan did so for an upgrade.

        Raises:
            Forbidden: the caller lacks some.
            ClusterError: the API did not answer.
        """
        if self._decision.require().when("rolled back") or not self._decision.by_hand:
            return "checked before the first change"
        helm, release = self._m.helm, self._m.release()
        now = ReleaseManifest.parse(helm.record(release.name, release.revision).manifest)
        lacking = permissions.missing(helm.cluster, now.by_key, self._m.rebuild_spec().manifest.by_key, one_way=True)
        missing = [f"{kind} {name}: {', '.join(denied)}" for (kind, name), denied in lacking]
        with self._decision.unless_refused():
            if missing:
                raise Forbidden(
                    f"the rollback needs rights that this caller does not have: {'; '.join(missing)}",
                    "ask for these rights, or choose another context with --context=NAME; no agent was stopped",
                )
        return "this caller has the rights that the rollback needs"

    def require_images(self) -> dict[str, str]:
        """Compare what the old version's image references mean now with what ran before the upgrade (SOP 4.2 +).

        Returns:
            By agent, what is known of its image.

        Raises:
            NotPassed: a tag was moved, and that was not accepted; no agent was stopped.
        """
        if self._decision.require().when("rolled back"):
            return {}
        with self._decision.unless_refused():
            return self._old_images.require_before_stop()

    def try_helpers(self) -> dict[str, str]:
        """Start a helper beside each agent before any is stopped (SOP 4.3); returns by agent what came of it.

        Raises:
            StepSkipped: the upgrade has, before its first change; or it is over.
            PodError, ClusterError: none starts; nothing was stopped.
        """
        state = self._require_unreverted()
        if not self._decision.by_hand:
            raise StepSkipped("they started before the first change")
        agents = [agent for agent in self._agents() if any(volume.key in state.claims for volume in agent.volumes)]
        with self._decision.unless_refused():
            self._require_left_alone(agents)
            images = self._images()
            good = {agent.deployment: images[agent.identity] for agent in agents if agent.identity in images}
            return try_helpers(self._m.helm.cluster, agents, good)

    def stop(self) -> list[str]:
        """Stop the agents, so that nothing writes to the volumes any more (SOP 4.3); returns their names."""
        self._require_unreverted()
        self._m.lease.require()
        agents = self._agents()
        self._m.file.mark(STOPPED)
        for agent in agents:
            with self._m.journal.action("stop agent", agent=agent.deployment):
                scaling.stop(self._m.helm.cluster, agent)
        return [agent.deployment for agent in agents]

    def compare(self) -> dict[str, str]:
        """Look at what the new version made of each volume, and choose which are to be restored (SOP 4.3).

        Returns:
            By volume: what changed, and why the old version could not read it, if so.
        """
        state = self._require_unreverted()
        images = self._images()
        differences: dict[str, str] = {}
        chosen, paths, agents = list(state.to_restore), dict(state.paths), self._agents()
        lacking = fingerprint.without_claim(self._m.helm.cluster, agents, state)
        for name in lacking:
            differences[name] = (
                "the claim is another than before, or no agent has it: if the old version's own is not there, all of "
                "it is restored into that"
            )
            chosen.append(name)
            paths.pop(name, None)
        for volume in (volume for agent in agents for volume in agent.volumes):
            name = volume.key
            if name not in state.claims or name in lacking:
                continue
            like = self._as_before(volume)
            with (
                helper_pod(self._m.helm.cluster, volume, deployment=like, good=images.get(volume.identity)) as pod,
                volume_since(pod, volume, self._m.baseline(), self._m.policy.may_vanish) as since,
            ):
                reasons = list(since.unreadable_to_old())
                differences[name] = "\n  ".join([str(since.changes), *(str(reason.finding) for reason in reasons)])
                if later := self._m.settled.changes_since(name, since):
                    differences[name] += f"\n  of these since the new version had settled: {later}"
            if reasons and (name in paths or name not in chosen):  # a killed run may have begun with the whole home
                concerned = (*paths.get(name, ()), *(path for reason in reasons for path in reason.paths))
                paths[name] = tuple(dict.fromkeys(concerned))
                chosen.append(name)
        compared = tuple(dict.fromkeys((*state.compared, *differences)))
        self._m.file.update(to_restore=tuple(dict.fromkeys(chosen)), paths=paths, compared=compared)
        return differences

    def restore(self, progress: Progress) -> dict[str, str]:
        """Bring back what the old version could not read, before it starts (SOP 4.3); proved by digests.

        What is newer on a volume and not in the way stays; the whole home goes back only where its claim was lost.

        Returns:
            By agent: what was written.

        Raises:
            StepSkipped: the old version can read what is there.
            BackupError: a volume could not be brought back.
        """
        state = self._require_unreverted()
        release = replace(self._m.release(), agents=tuple(self._agents()))
        lacking = fingerprint.without_claim(release.cluster, release.agents, state)
        written: dict[str, str] = {}
        with suppress(StepSkipped):
            there = [name for name in state.to_restore if name not in lacking]
            for name in [name for name in there if name in state.paths]:
                written |= self._restore_paths(release, name, state.paths[name], progress)
            written |= self._restore(release, [name for name in there if name not in state.paths], progress)
        with suppress(StepSkipped):
            written |= self._restore_ahead(release, [name for name in lacking if name not in state.restored], progress)
        if not written:
            raise StepSkipped("the old version can read what is on the volumes")
        return written

    def roll_back(self) -> str:
        """Roll the release back (SOP 4.2); the old version starts.

        Raises:
            ToolError: Helm failed.
        """
        state = self._require_unreverted()
        m, before = self._m, self._m.listed()
        m.lease.require()
        if (
            before.status == "deployed"
            and before.version == state.version
            and before.revision
            in (
                state.revision,  # helm never began the change
                state.in_progress_from + 1 if state.in_progress == BACK else 0,  # an earlier run's rollback was done
            )
        ):
            m.file.mark("rolled back", in_progress="")
            return f"revision {before.revision} is deployed already"
        for agent in self._agents():
            fields.give_back(m.helm.cluster, "Deployment", agent.deployment, scale=True)
        own = [before.revision] if before.revision > state.revision else []  # ``target`` has found no other's
        m.file.update(in_progress=BACK, in_progress_from=before.revision, revisions=_each_once(state.revisions, own))
        state = m.state
        if m.helm.knows(m.name, state.revision):
            with m.journal.action("helm rollback", release=m.name, revision=state.revision):
                m.helm.rollback(m.name, state.revision, orphans.mark())
        else:  # pruned or deleted: what the baseline keeps of it comes in its place
            kept = m.rebuild_spec()
            with m.journal.action("helm upgrade", release=m.name, chart=kept.chart_file, backup=state.backup):
                m.helm.upgrade(m.name, kept.chart, kept.values, orphans.mark())
        revision = m.listed().revision
        m.file.mark("rolled back", in_progress="", revisions=_each_once(state.revisions, [revision]))
        return f"revision {revision}, as revision {state.revision} was"

    def refill(self, progress: Progress) -> dict[str, str]:
        """Restore into the claims that only the rollback could make (SOP 4.1+, 4.3); returns by agent what was written.

        Raises:
            StepSkipped: every claim is the one from before.
        """
        state = self._decision.require()
        release = self._m.release()
        new = [name for name in fingerprint.lost(release, state) if name in state.to_restore]
        baseline = self._m.baseline()
        stored = {one.key: one for one in baseline.manifest.stored}
        for volume in release.mounted:
            if volume.key in new and volume.claim and volume.key in stored:
                live = release.cluster.get(CLAIM, volume.claim)
                notes = markers(live, [RESTORED], baseline, stored[volume.key])
                release.cluster.merge(CLAIM, volume.claim, {"metadata": {"annotations": notes}})
        return self._restore(release, new, progress)

    def judge(self) -> Verdict:
        """Let the old version start, and wait until it runs well or fails (SOP 4.4); the verdict is only recorded.

        Where it fails on data that were left as the new version had them, they are restored next.
        """
        state = self._decision.require()
        if state.when(_AFTER_ALL) and self._unrestored(state):
            raise StepSkipped("an earlier run found that the old version does not run on these data: it is stopped")
        return self._judged()

    def companions(self) -> str:
        """Tell how the companions fare that ran well before (SOP 4.4): no data go back for their sake."""
        release, known = self._m.release(), self._m.rebuild_spec().runners
        if not (companions := fingerprint.judgeable(release, self._decision.require(), known)):
            return "none to judge"
        try:
            gone = replace_stuck(release.cluster, companions)
        except Broken:
            raise
        except SopError as error:  # the agents' data come first
            return f"WARNING: {error}"
        note = f"\n  deleted, because a StatefulSet waited for them to become Ready: {', '.join(gone)}" if gone else ""
        verdict = judge(self._m, release, companions).verdict
        return (str(verdict) if verdict.passed else f"WARNING: {verdict}") + note

    def left_over(self) -> list[str]:
        """Return what the new versions have made and is still there, such as claims that a policy keeps (SOP 4.4)."""
        m, state = self._m, self._m.state
        old = {(item.kind, item.name) for item in m.rebuild_spec().manifest.objects}
        made: dict[tuple[str, str], Object] = {}
        for revision in state.revisions:
            if m.helm.knows(m.name, revision):
                recorded = ReleaseManifest.parse(m.helm.record(m.name, revision).manifest)
                made |= {(item.kind, item.name): item.body for item in recorded.objects}
        found: list[str] = []
        for (kind, name), body in made.items():
            if (kind, name) not in old:
                with suppress(NotFound, Forbidden):
                    m.helm.cluster.look_up(body)
                    found.append(f"{kind}/{name}")
        return found

    def restore_after_all(self, progress: Progress) -> dict[str, str]:
        """Restore the volumes of agents whose old version does not run on what the new one has left (SOP 4.3).

        Raises:
            StepSkipped: it runs, or everything was restored already, or it fails before it sees its volume.
        """
        state = self._decision.require()
        if self._verdict.passed:
            raise StepSkipped("the old version runs on what is there")
        release, left = self._m.release(), self._unrestored(state)
        if not left:
            raise StepSkipped("every volume was restored already")
        if state.when(_AFTER_ALL):
            left = [name for name in left if name in state.after_all] or left
        else:
            left = [name for name in left if self._symptoms_of(release, name) - _NOT_BY_DATA]
            moved = self._old_images.moved
            if left and not (left := [key for key in left if moved.keys().isdisjoint(_holders(release, key))]):
                raise StepSkipped("another image runs than before the upgrade, not the old one: no volume is restored")
        if not left:
            raise StepSkipped("the old version fails before it reads its data: no volume is restored")
        # a run that is killed in the middle must not start the old version on half of it
        self._m.file.mark(_AFTER_ALL, after_all=tuple(left))
        concerned = identity.holders(release.agents, left)
        for agent in release.agents:
            if agent.deployment in concerned:
                scaling.stop(self._m.helm.cluster, agent)
        written = self._restore(release, left, progress)
        self._judged()
        return written

    def verify(self, host_of: HostOf) -> Seen:
        """Judge the release as after an upgrade: health, version, images, processes, claims, files (SOP 4.4)."""
        state = self._decision.require()
        m, release = self._m, self._m.release()
        self._old_images.look(release)
        volumes = look(release, m.baseline(), m.policy.may_vanish, state)
        # what was gone there has been put back and proved: what is gone now, the old version's own start has removed
        volumes = {
            key: looked.without(frozenset(looked.lost)) if key in state.compared else looked
            for key, looked in volumes.items()
        }
        # the baseline's own ids count, not what the new version was pulled as
        seen = verify(release, state.version, host_of, replace(state, pulled={}), volumes)
        seen.findings[:0] = self._verdict.findings
        if self._old_images.moved:
            seen.version += f", with another image of {', '.join(self._old_images.moved)} than before the upgrade"
        seen.findings += self._old_images.findings(release)
        if not seen.findings:
            asked = state.decision == ASKED
            m.file.mark("back verified", ended=End.RETURNED if asked else End.BACK)
        return seen

    def start_again(self) -> list[str]:
        """Start the agents again whose volumes are untouched or proved, where the way back was cut short (SOP 4.3).

        Returns:
            Their names.

        Raises:
            StepSkipped: it came to its end, or none was stopped.
        """
        state, m = self._decision.require(), self._m
        lost, agents = insist(lambda: (fingerprint.lost(m.release(), state), self._all_agents()))
        half = identity.holders(agents, (*state.writing, *lost))
        started, troubles = list[str](), list[SopError]()
        for agent in agents:  # what one refuses keeps no other from it
            try:
                if agent.deployment not in half:
                    started += [agent.deployment] if scaling.let_start(m.helm.cluster, agent) else []
                elif at(m.helm.cluster.get("Deployment", agent.deployment), "spec", "replicas"):
                    scaling.stop(m.helm.cluster, agent)  # somebody else has started it, on half of its data
            except SopError as trouble:
                troubles.append(trouble)
        if still := [agent.deployment for agent in agents if agent.deployment in half]:
            m.notes["standing still"] = (
                f"WARNING: {', '.join(still)}, since {state.when(STOPPED) or 'this run'}: the data are neither as "
                f"before nor as backup {state.backup} ({m.where_backups_are}) says, and what was set aside is named "
                "here; pytest suites/rollback goes on"
            )
        m.runs_again = not still and not troubles
        if troubles:
            raise troubles[0]
        if not started:
            raise StepSkipped("no agent that may run stands still")
        return started

    def leave(self) -> None:
        """Do the same at the end of a run that was interrupted; nothing happens where the way back has its end."""
        with suppress(StepSkipped, SopError):
            self._require_unreverted()
            self.start_again()

    def announce(self) -> str:
        """Tell how it ended (SOP 1.8); returns what was sent, or is to be sent by hand."""
        state = self._m.file.read()
        acted = state is not None and (self._m.at_work or self._decision.by_hand or bool(state.decision))
        is_due = acted and state is not None and (self._decision.by_hand or state.when("start announced"))
        if state is None or not is_due or not self._m.entered or state.ended == End.DONE:
            raise StepSkipped("there is nothing to tell")
        outcome = state.ended or ("not finished: a human is needed" if state.changed else "nothing was changed")
        if self._old_images.moved:
            outcome += f"; another image of {', '.join(self._old_images.moved)} runs than before"
        return self._m.announcer.send(
            f"OpenAB: upgrade of {self._m.name} to {state.target}: {outcome}",
            f"{self._m.name} was {state.version}. Decision: {state.decision or 'none'}. Baseline: {state.backup}.",
        )

    def _agents(self) -> list[Agent]:
        """Return the agents of the present revision, and those of the old one that are still there: all may write."""
        found = {agent.deployment: agent for agent in self._m.release().agents}
        for name in self._m.rebuild_spec().deployments:
            live = self._m.helm.cluster.find("Deployment", name)
            if live and name not in found and is_agent(live):
                found[name] = Agent.of(live)
        return list(self._m.identified(list(found.values())))

    def _require_left_alone(self, agents: Collection[Agent]) -> None:
        """Stop if somebody else would start an agent, or change it back, in the middle."""
        cluster, accepted = self._m.helm.cluster, self._m.policy.accepted
        found = [
            finding
            for agent in agents
            if (live := cluster.find("Deployment", agent.deployment))
            for finding in preconditions.owned(cluster, live, accepted)
        ]
        if found:
            raise ReleaseError("\n  ".join(map(str, found)), found[0].next_step)

    def _all_agents(self) -> list[Agent]:
        """Return the same, or at least those that are there, where the baseline cannot be read."""
        try:
            return self._agents()
        except (BackupError, SettingsError):
            return list(self._m.release().agents)

    def _as_before(self, volume: Agent) -> Object | None:
        """Return an agent's old Deployment if its pods ran as another user on the same claim: so ours must too."""
        old = self._m.rebuild_spec().deployments.get(volume.identity)
        live = self._m.helm.cluster.find("Deployment", volume.deployment)
        if old is None or live is None or volume.claim not in Workload(old).claims.values():
            return None
        return None if Workload(old).user == Workload(live).user else old

    def _all_before(self, release: Release, names: Collection[str]) -> dict[str, Object]:
        found = {volume.deployment: self._as_before(volume) for volume in release.mounted if volume.key in names}
        return {name: body for name, body in found.items() if body}

    def _images(self) -> dict[str, str]:
        """Return by agent, as the baseline has it, the image that it ran before: helpers can be started with it."""
        return {stored.deployment: stored.image for stored in self._m.baseline().manifest.agents}

    def _symptoms_of(self, release: Release, key: str) -> frozenset[Symptom]:
        return frozenset[Symptom]().union(*(self._symptoms.get(name, ()) for name in _holders(release, key)))

    def _unrestored(self, state: UpgradeState) -> list[str]:
        """Return the volumes of which not everything was restored."""
        mine = [volume.key for volume in self._m.release().mounted if volume.key in state.claims]
        return [name for name in mine if name not in state.restored]

    def _require_unreverted(self) -> UpgradeState:
        state = self._decision.require()
        if when := state.when("rolled back"):
            raise StepSkipped(f"the release was rolled back at {when}")
        return state

    def _judged(self) -> Verdict:
        m, release = self._m, self._m.release()
        old = {name: Workload(body).replicas for name, body in m.rebuild_spec().deployments.items()}
        for agent in release.agents:
            scaling.let_start(m.helm.cluster, agent, old.get(agent.identity, 0))
        judged = judge(m, release, release.agents, fresh=True)
        self._old_images.look(release)
        self._verdict, self._symptoms = judged.verdict, judged.symptoms
        return self._verdict

    def _restore_ahead(self, release: Release, names: Collection[str], progress: Progress) -> dict[str, str]:
        """Make the claims of the old version that are gone, and fill them before it starts.

        Helm adopts those of the chart when it rolls back; where it does not, they are left to ``refill``.
        """
        m, cluster, plan = self._m, release.cluster, self._m.rebuild_spec()
        adopts = self._adopts()
        agents: list[Agent] = []
        for agent, stored, claim in plan.with_claims:
            rendered = plan.rendered(CLAIM, claim)
            if agent.key not in names or (rendered and not adopts):
                continue
            live = cluster.find(CLAIM, claim)
            if live and at(live, "metadata", "uid") == m.state.claims[agent.key]:
                continue  # it was kept, and comes back with the old version
            with m.journal.action("make claim", claim=claim, there=live is not None):
                if live is None:
                    owner, wanted = (m.name, release.namespace), at(plan.claim(stored), "spec", "storageClassName")
                    body = portable_objects.claim_anew(plan.claim(stored), rendered, wanted, owner)
                    live = cluster.create(CLAIM, body)
                notes = markers(live, [RESTORED], plan.source, stored)
                cluster.merge(CLAIM, claim, {"metadata": {"annotations": notes}})
            agents.append(replace(agent, further=()))
        old = replace(release, agents=tuple(agents))
        written = self._restore(old, [agent.key for agent in agents], progress, plan.deployments)
        for agent in agents:
            fields.give_back(cluster, CLAIM, str(agent.claim))
        return written

    def _restore_paths(self, release: Release, name: str, paths: Collection[str], progress: Progress) -> dict[str, str]:
        """Bring parts of an agent's home back; the whole of it where the volume refuses them."""
        m = self._m
        restoration = Restoration(
            m.baseline(),
            release,
            Selection.of(paths),
            m.journal,
            only=(name,),
            deployments=self._all_before(release, (name,)),
            notes=m.notes,
        )
        try:
            with self._noted((name,), restoration):
                return {name: "as the backup says already"} | bring_back(restoration, progress)
        except BackupError as error:
            restoration.close()  # its helper has the volume
            m.journal.record("paths were not restored: the whole home is", agent=name, error=str(error))
            m.file.update(paths={other: kept for other, kept in m.state.paths.items() if other != name})
            return self._restore(release, [name], progress)
        finally:
            restoration.close()

    @contextmanager
    def _noted(self, names: Collection[str], restoration: Restoration) -> Generator[None]:
        """Have the state say which volumes are being written to, also for who comes after a kill."""
        m = self._m
        before = set(m.state.writing)
        m.file.update(writing=tuple(dict.fromkeys((*m.state.writing, *names))))
        try:
            yield
        finally:  # what an earlier try has left half written is whole only once it is proved
            whole = {name for name in names if name in restoration.proved or name not in before | restoration.written}
            m.file.update(writing=tuple(name for name in m.state.writing if name not in whole))

    def _adopts(self) -> bool:
        """Tell whether Helm takes a claim over that is there already: an upgrade does, a rollback not always."""
        m = self._m
        if not m.helm.knows(m.name, m.state.revision):
            return True
        return m.helm.record(m.name, m.state.revision).is_server_side and adopts_on_rollback()

    def _restore(
        self,
        release: Release,
        names: Collection[str],
        progress: Progress,
        deployments: Mapping[str, Object] | None = None,
    ) -> dict[str, str]:
        """Bring the homes of some agents back; they stand still, and what is newer is set aside."""
        if not names:
            raise StepSkipped("the old version can read what is on the volumes")
        m = self._m
        home = Selection.parse("home")
        restoration = Restoration(
            m.baseline(),
            release,
            home,
            m.journal,
            only=names,
            deployments=deployments or self._all_before(release, names),
            keep_logins=m.policy.keep_logins,
            notes=m.notes,
        )
        try:
            with self._noted(names, restoration):
                written = dict.fromkeys(names, "as the backup says already") | bring_back(restoration, progress)
        finally:
            restoration.close()
        m.file.update(restored=tuple(dict.fromkeys((*m.state.restored, *names))))
        return written


def _holders(release: Release, key: str) -> set[str]:
    """Return the Deployments of a release that have a volume of the baseline."""
    return identity.holders(release.agents, [key])


def _each_once(revisions: Collection[int], more: Collection[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*revisions, *more)))
