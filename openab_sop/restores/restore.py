"""Restore: the volumes and Secrets of a release as a backup has them, the agents standing still meanwhile (SOP 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from openab_sop import redact, storage
from openab_sop.agents import scaling
from openab_sop.agents.agent import Agent
from openab_sop.agents.guard import Guard
from openab_sop.agents.helper_pod import try_helpers
from openab_sop.agents.workload import Workload, volume_key
from openab_sop.backups import aside, kept_objects
from openab_sop.backups.archive import Archive
from openab_sop.backups.aside import Aside
from openab_sop.backups.backup import ASIDE, CONTENTS, Backup, StoredAgent
from openab_sop.backups.inventory import read
from openab_sop.backups.items import Selection
from openab_sop.backups.partial import Partial
from openab_sop.cluster.lease import Lease
from openab_sop.errors import BackupError, NotFound, SopError, StepSkipped
from openab_sop.escape import command
from openab_sop.journal import Journal
from openab_sop.objects import Object, at, part
from openab_sop.releases import identity
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import now
from openab_sop.restores import preconditions
from openab_sop.restores.changes import volume_since
from openab_sop.restores.mounted_volume import (
    RESTORED,
    Helpers,
    MountedVolume,
    MountedVolumes,
    Progress,
    has_marker,
    markers,
    mount,
)
from openab_sop.restores.rebuild_spec import RebuildSpec
from openab_sop.rollouts.start import await_start
from openab_sop.status import Status
from openab_sop.upstream import logins
from openab_sop.verdict import Finding, Verdict

_OWNERS = ("runAsUser", "fsGroup")
"""What of a pod decides whose its files are, as ``Workload.user`` has it."""


class Restoration:
    """One restore, step by step.

    Args:
        source: the backup.
        selection: what is brought back.
        journal: where each action is recorded.
        only: keys of the volumes that it is confined to; None for all of the backup's.
        deployments: by name, as they are to be where the cluster's own mount something else.
        keep_logins: whether logins that are newer on a volume stay where all of it is restored.
        accepted: ids of findings that are let pass.
        notes: gets what the summary must not leave out: what was set aside, and the command that brings it back.

    Attributes:
        lease: the lock of the release; whoever restores on its own takes it.
    """

    def __init__(
        self,
        source: Backup,
        release: Release,
        selection: Selection,
        journal: Journal,
        *,
        only: Collection[str] | None = None,
        deployments: Mapping[str, Object] | None = None,
        keep_logins: bool = True,
        notes: MutableMapping[str, str] | None = None,
        accepted: Collection[str] = (),
    ) -> None:
        self.source = source
        self.release = release
        self.selection = selection
        self._journal = journal
        self._only = only
        self._deployments = deployments or {}
        self._keep_logins = keep_logins
        self._accepted = accepted
        self._guard = Guard(release.cluster)
        self._notes: MutableMapping[str, str] = {} if notes is None else notes
        self.lease = Lease(release.cluster, release.name)
        self._mounts = MountedVolumes(self._volumes)
        self._asides: list[Path] = []
        self._stopped = False
        self._started: dict[str, Agent] = {}
        self._resumed = False
        self._secrets_written = False
        self._set_aside_at = 0
        self._since = ""
        self._replicas: set[str] = set()
        self._running = False
        self._paths: dict[str, tuple[str, ...]] = {}
        self._written = set[str]()
        self._proved = set[str]()

    def fits(self) -> Verdict:
        """Check that the backup is of this release and of these agents (SOP 5.1)."""
        manifest, release = self.source.manifest, self.release
        findings: list[Finding] = []
        theirs, ours = (manifest.namespace, manifest.release), (release.namespace, release.name)
        if theirs != ours:
            findings.append(
                Finding(
                    "backup",
                    f"it is of release {manifest.release} in namespace {manifest.namespace}",
                    f"one of release {release.name} in namespace {release.namespace}",
                    "name another with --backup=DIR, or the release with --namespace and --release",
                )
            )
        known = {volume.key for volume in release.mounted}
        for stored in manifest.stored if self.selection.home else manifest.agents:
            if stored.key not in known:
                findings.append(
                    Finding(
                        stored.key,
                        f"the release has no such {'volume' if stored.volume else 'agent'}"
                        + (f", and no agent has its claim {stored.claim}" if stored.claim else ""),
                        f"one of {', '.join(sorted(known))}",
                        "bring the release back to the version of the backup first (helm rollback), then run again",
                    )
                )
        findings += self._other_secrets()
        if self.selection.touches_volumes:
            findings += self.unfit_for_keeping()
            findings += self._empty_selection()
            findings += self._without_claim()
            findings += preconditions.not_to_be_mounted(volume for volume, _ in self._concerned())
            findings += self._other_users()
            findings += self._in_the_way()
        return Verdict("origin of the backup", tuple(findings))

    def unfit_for_keeping(self) -> list[Finding]:
        """Say why nothing can be set aside beside the backup, before anything is stopped (SOP 5.1 +)."""
        place = self.source.directory.parent
        try:
            storage.private_directory(place)
        except BackupError as error:
            expected = "a directory of this user's own, where what is newer is set aside"
            return [Finding(str(place), error.problem, expected, error.next_step)]
        return []

    def _empty_selection(self) -> Iterator[Finding]:
        """Say if the backup has nothing of what is to be brought back."""
        if self.selection.groups and not self._concerned():
            yield Finding(
                "backup",
                f"it holds nothing of {self.selection}",
                "at least one file of it",
                "name another with --backup=DIR; what this one holds: pytest suites/verify",
            )

    def _without_claim(self) -> Iterator[Finding]:
        """Name agents whose home was on a claim, and is on none now."""
        bare = {agent.key for agent in self.release.agents if agent.claim is None}
        for stored in self.source.manifest.agents:
            if stored.claim and stored.key in bare:
                next_step = "switch its persistence on again in the values, then run again"
                yield Finding(stored.key, "its home is on no claim now", f"one, as {stored.claim} was", next_step)

    def _in_the_way(self) -> Iterator[Finding]:
        """Name what would keep an agent down that was stopped, and who else writes to its volumes."""
        cluster = self.release.cluster
        bodies = {agent.deployment: cluster.get("Deployment", agent.deployment) for agent in self._agents()}
        brought = [str(secret["metadata"]["name"]) for secret in self._secrets()]
        for agent in self._agents():
            claims = {str(volume.claim) for volume, _ in self._concerned() if volume.deployment == agent.deployment}
            yield from preconditions.before_a_stop(
                cluster, bodies[agent.deployment], sorted(claims), brought, self._accepted, list(bodies.values())
            )

    def _secrets(self) -> list[Object]:
        """The Secrets that are to be restored: of those in the backup, what this release uses."""
        if not self.selection.secrets:
            return []
        kept = kept_objects.references(self.source, "Secret")
        return [secret for secret in kept if secret["metadata"]["name"] in self.release.secrets]

    def _secrets_not_used(self) -> list[str]:
        kept = kept_objects.references(self.source, "Secret")
        others = [str(secret["metadata"]["name"]) for secret in kept]
        return [name for name in others if name not in self.release.secrets] + kept_objects.left_out(self.source)

    def _other_secrets(self) -> Iterator[Finding]:
        """Name Secrets that are of another type now: what is in the backup is not what such a one holds."""
        for stored in self._secrets():
            name = str(stored["metadata"]["name"])
            live = self.release.cluster.find("Secret", name)
            now, had = (str((body or {}).get("type") or "Opaque") for body in (live, stored))
            if live and now != had:
                yield Finding(
                    f"Secret {name}",
                    f"it is of type {now} now",
                    f"type {had}, as in the backup",
                    "leave the Secrets out (--items=home), and bring this one back by hand",
                )

    def _other_users(self) -> Iterator[Finding]:
        """Name agents that run as another user than when they were backed up: what one writes, the other does not own.

        Nothing is mapped: files would come back with other owners than the backup says, and could not be proved.
        """
        manifest = self.source.read("manifest.yaml").decode(errors="replace")
        had = {w.name: w.user for w in ReleaseManifest.parse(manifest, "the backup's manifest.yaml").workloads}
        for agent in self._agents():
            now = Workload(self.release.cluster.get("Deployment", agent.deployment)).user
            for what, old, new in zip(_OWNERS, had.get(agent.identity, now), now, strict=True):
                if None not in (old, new) and old != new:
                    yield Finding(
                        agent.deployment,
                        f"its pods have {what} {new} now",
                        f"{what} {old}, as when it was backed up",
                        f"set {what} in the values as it was, restore, and change it after that",
                    )

    @property
    def intent(self) -> str:
        """What it will do, in words."""
        manifest = self.source.manifest
        done = [f"bring {self.selection} of {manifest.release} back as of {manifest.created}, from {manifest.name}"]
        if self.selection.touches_volumes:
            volumes = ", ".join(_named(volume) for volume, _ in self._concerned())
            agents = ", ".join(agent.deployment for agent in self._agents())
            done.append(f"stop {agents} meanwhile, and write to {volumes}; what is newer there is set aside")
        return "; ".join(done)

    def hold(self) -> str:
        """Take the lock of the release (SOP 5.1); returns in words how it was had."""
        items = str(self.selection).replace(", ", ",")
        logins = () if self._keep_logins else ("--logins=backup",)
        return self.lease.acquire(
            command("pytest", "suites/restore", f"--backup={self.source.place}", f"--items={items}", *logins)
        )

    def try_helpers(self) -> dict[str, str]:
        """Start a helper beside each agent that is to be stopped (SOP 5.1); returns by agent what came of it.

        Raises:
            StepSkipped: no volume is concerned.
            PodError, ClusterError: none starts; nothing was stopped.
        """
        if not self.selection.touches_volumes:
            raise StepSkipped("no volume is to be restored")
        had = {stored.deployment: stored.image for stored in self.source.manifest.agents}
        images = {agent.deployment: had[agent.identity] for agent in self._agents() if agent.identity in had}
        return try_helpers(self.release.cluster, self._agents(), images, self._deployments)

    def stop(self) -> dict[str, int]:
        """Stop the agents whose volumes are concerned; returns the replicas that each had (SOP 5.1).

        Raises:
            StepSkipped: no volume is concerned.
        """
        if not self.selection.touches_volumes:
            raise StepSkipped("no volume is to be restored")
        cluster = self.release.cluster
        self.lease.require()
        replicas: dict[str, int] = {}
        for agent in self._agents():
            self._stopped = True
            self._since = self._since or now()
            with self._journal.action("stop agent", agent=agent.deployment):
                replicas[agent.deployment] = scaling.stop(cluster, agent)
        self._replicas = {name for name, had in replicas.items() if had}
        self._guard.begin(self._agents())
        return replicas

    def preflight(self) -> Verdict:
        """Look at each volume before anything is written: is it the right one, is it large enough (SOP 5.1)."""
        findings: list[Finding] = []
        for mounted in self._mounts.begin() if self.selection.touches_volumes else ():
            findings += self._unfit(mounted)
        if (logins := self.logins()) and logins not in (before := self._notes.get("logins", "")):
            self._notes["logins"] = "; ".join(filter(None, (before, logins)))
        return Verdict("volumes to restore into", tuple(findings))

    def set_aside(self) -> dict[str, str]:
        """Copy what is newer on the volumes, or only there, to a directory beside the backup (SOP 5.1 +).

        Returns:
            By agent: the archive, and what is in it.

        Raises:
            StepSkipped: the volumes have nothing that the backup has not.
            BackupError: it could not be copied whole; nothing was changed.
        """
        with self._mounts.unbroken() as volumes:
            self._set_aside_at = self._mounts.looks
            taken = [mounted for mounted in volumes if mounted.change.aside]
            if not taken:
                raise StepSkipped("the volumes have nothing that the backup has not")
            partial = Partial(self.source.directory.parent, self._journal, ASIDE)
            try:
                closed = {
                    mounted.agent.key: self._taken(mounted, partial.path / mounted.agent.key) for mounted in taken
                }
                place = partial.complete()
            finally:
                partial.discard()
        self._asides.append(place)
        kept = {
            key: f"{about.names} names in {place / key}; back with: {about.back(place / key)}"
            for key, about in closed.items()
        }
        for volume, told in kept.items():
            before = self._notes.get(f"set aside of {volume}")
            self._notes[f"set aside of {volume}"] = f"{before}; and {told}" if before else told
        return kept

    def _taken(self, mounted: MountedVolume, directory: Path) -> Aside:
        """Put what a volume would lose into a directory."""
        access, agent = self.release.cluster.access, mounted.agent
        storage.private_directory(directory)
        archive = Archive(directory / aside.ARCHIVE)
        mounted.volume.set_aside(mounted.change.aside, archive)
        about = Aside(
            kubeconfig=access.joined,
            context=access.context,
            namespace=access.namespace,
            release=self.release.name,
            deployment=agent.deployment,
            container=agent.container,
            home=agent.home,
            backup=self.source.manifest.name,
            names=len(mounted.change.aside),
        )
        return aside.close(directory, about, archive, (e.path for e in mounted.change.aside), self.source.recipients)

    def logins(self) -> str:
        """Tell which logins stay as they are, since they are newer, and which come back with a database."""
        kept = [f"{mounted.agent.key}:{path}" for mounted in self._mounts.mounted for path in mounted.kept]
        back = [
            f"{mounted.agent.key}:{path}"
            for mounted in self._mounts.mounted
            for path in logins.IN_DATABASES
            if any(entry.path == path for entry in mounted.change.aside)
        ]
        parts: list[str] = []
        if kept:
            other_way = "(--logins=backup for the other way)"
            parts.append(f"newer than the backup, left as they are: {', '.join(kept)} {other_way}")
        if back:
            parts.append(f"as old as the backup again, log in if the agent asks: {', '.join(back)}")
        return "; ".join(parts)

    def write(self, progress: Progress) -> dict[str, str]:
        """Make the volumes as the backup says (SOP 5.1); returns by agent what was written and removed.

        Raises:
            StepSkipped: they are so already.
        """
        done: dict[str, str] = {}
        self.lease.require()
        with self._mounts.unbroken() as volumes:
            if self._set_aside_at != self._mounts.looks:  # looked at anew: what has come since is lost to nobody
                with suppress(StepSkipped):
                    self.set_aside()
            for mounted in volumes:
                if mounted.must_change:
                    self._written.add(mounted.agent.key)
                    self._claim_for_us(mounted)
                if change := mounted.write(self._journal, progress):
                    done[mounted.agent.key] = change
        if not done:
            raise StepSkipped("the volumes are as the backup says already")
        return done

    def restore_secrets(self) -> list[str]:
        """Bring back the release's Secrets (SOP 5.1); returns the names of those that had changed or were gone.

        Raises:
            StepSkipped: they were not asked for, or are as in the backup.
        """
        if not self.selection.secrets:
            raise StepSkipped("Secrets were not asked for (--items=secret)")
        changed: list[str] = []
        if unused := self._secrets_not_used():
            self._notes["Secrets left as they are"] = (
                f"{', '.join(unused)}: this release does not use them, or the cluster makes them itself"
            )
        for stored in self._secrets():
            name = str(stored["metadata"]["name"])
            redact.learn_secret(stored)
            with self._journal.action("restore secret", secret=name):
                changed += [name] if self._restore_secret(name, stored) else []
        if not changed:
            raise StepSkipped("the Secrets are as in the backup")
        return changed

    def verify(self) -> Verdict:
        """Prove the volumes by the digests that the pod computes now (SOP 5.2)."""
        findings: list[Finding] = []
        with self._mounts.unbroken() as volumes:
            for mounted in volumes:
                if own := list(mounted.volume.findings()):
                    findings += own
                else:
                    self._proved.add(mounted.agent.key)
        return Verdict("volumes compared with the backup", tuple(findings))

    @property
    def half_written(self) -> frozenset[str]:
        """The keys of volumes that are neither as they were nor proved to be as the backup says."""
        return frozenset(self._written - self._proved)

    def start(self) -> list[str]:
        """Start the agents again but for those with a volume that is half restored (SOP 5.2); returns their names.

        Raises:
            StepSkipped: none was stopped.
            BackupError: a volume was written to and is not proved; its agent stays stopped.
            SopError: one does not become available; all were started.
        """
        half = identity.holders(self.release.agents, self.half_written)
        self.leave()
        for agent in self._agents() if self._guard.seen else ():
            if agent.deployment in half:  # it was started by somebody else, and may not run on this
                scaling.stop(self.release.cluster, agent)
        if half:
            self._notes["standing still"] = (
                f"WARNING: {', '.join(sorted(half))}, since {self._since}: the data are neither as before nor as "
                f"{self.source.place} says; nothing of the volume was lost, what was set aside is named here; "
                f"{command('pytest', 'suites/restore', f'--backup={self.source.place}')} goes on"
            )
            raise BackupError(
                f"{', '.join(sorted(half))} stays stopped: a volume is neither as it was nor as the backup says",
                "run the same command again: it goes on where this run ended; nothing of the volume was lost: "
                f"see {', '.join(map(str, self._asides)) or 'the backup'}",
            )
        for agent in self._started.values():
            await_start(self.release.cluster, agent)
        self._running = True
        if not self._started:
            raise StepSkipped("no agent was stopped")
        return list(self._started)

    @property
    def written(self) -> frozenset[str]:
        """The keys of volumes that were written to."""
        return frozenset(self._written)

    @property
    def proved(self) -> frozenset[str]:
        """The keys of volumes that are proved to be as the backup says."""
        return frozenset(self._proved)

    def leave(self) -> None:
        """Let every agent start again that this run has stopped, and whose volumes are whole; nothing is waited for.

        What one of them refuses keeps no other from it.

        Raises:
            SopError: the first thing that failed, when all was tried.
        """
        half = identity.holders(self.release.agents, self.half_written)
        troubles: list[SopError] = []
        try:
            self.close()
        except SopError as trouble:  # a helper that cannot be removed ends by itself
            troubles.append(trouble)
        for agent in self._agents() if self._stopped else ():  # what another run has stopped is not ours
            if agent.deployment in half:
                continue
            try:
                with self._journal.action("start agent", agent=agent.deployment):
                    if scaling.let_start(self.release.cluster, agent) or agent.deployment in self._replicas:
                        self._started[agent.deployment] = agent
            except SopError as trouble:
                troubles.append(trouble)
        self._resumed = not half and not troubles
        if troubles:
            raise troubles[0]

    def changed_by_start(self) -> dict[str, str]:
        """Look once more at the volumes to which not only the agent writes at its start (SOP 5.2).

        Returns:
            By volume: who may write there, and what has changed since the proof.

        Raises:
            StepSkipped: at its start nobody else writes to a volume, or no agent was started.
        """
        cluster = self.release.cluster
        by_agent: dict[str, str] = {}
        for agent, stored in self._concerned() if self._running and self._stopped else ():
            workload = Workload(cluster.get("Deployment", agent.deployment))
            if workload.writers_at_start and workload.replicas and agent.key in self._proved:
                by_agent[agent.key] = f"{', '.join(workload.writers_at_start)}: {self._since_start(agent, stored)}"
        if not by_agent:
            raise StepSkipped("nothing but an agent itself writes to its volume when it starts")
        return by_agent

    def _since_start(self, agent: Agent, stored: StoredAgent) -> str:
        kept = [path for mounted in self._mounts.mounted if mounted.agent.key == agent.key for path in mounted.kept]
        try:
            with volume_since(agent.pod(self.release.cluster), agent, self.source) as since:
                return str(since.changes.below(self._within(stored)).but_for(kept))
        except SopError as error:  # the data were proved: what the agent does now is told, and fails nothing
            return f"could not be looked at: {error.problem}"

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        if self.lease.refused:
            return Status.HELD
        if self.half_written:
            return Status.STUCK
        if not self._stopped:
            return Status.LEFT if self._secrets_written else Status.UNCHANGED
        if self._running:
            return Status.BACK
        return Status.LEFT if self._resumed else Status.STUCK

    def close(self) -> None:
        """Remove the helper pods and what was only needed for comparing; nobody watches any longer."""
        self._guard.end()
        self._mounts.close()

    def _concerned(self) -> list[tuple[Agent, StoredAgent]]:
        """The volumes that something may be written to: parts of a home are in no further one."""
        stored = {one.key: one for one in self.source.manifest.stored if self._only is None or one.key in self._only}
        of_home = self.selection.is_part and not self._only
        volumes = self.release.agents if of_home else self.release.mounted
        found = [(volume, stored[volume.key]) for volume in volumes if volume.claim and volume.key in stored]
        return [one for one in found if not self.selection.is_part or self._within(one[1])]

    def _within(self, stored: StoredAgent) -> tuple[str, ...]:
        """Return the paths of a backup's volume that are brought back; none for all of it."""
        if not self.selection.groups:
            return self.selection.within(())
        if stored.key not in self._paths:
            with self.source.file(f"{stored.key}/{CONTENTS}").open() as lines:
                self._paths[stored.key] = self.selection.within(entry.path for entry in read(lines))
        return self._paths[stored.key]

    def _agents(self) -> list[Agent]:
        return list({volume.deployment: volume for volume, _ in self._concerned()}.values())

    def _volumes(self, stack: ExitStack) -> Iterator[AbstractContextManager[MountedVolume]]:
        concerned = self._concerned()
        helpers = Helpers(self.release.cluster, concerned, self._deployments, stack)
        for agent, stored in concerned:
            yield mount(
                self.release.cluster,
                agent,
                stored,
                self.source,
                below=self._within(stored),
                keep_logins=self._keep_logins and self.selection.spares_logins,
                helper=helpers.of(agent),
            )

    def _unfit(self, mounted: MountedVolume) -> Iterator[Finding]:
        agent, stored = mounted.agent, mounted.stored
        claim = self.release.cluster.get("PersistentVolumeClaim", agent.claim) if agent.claim else {}
        uid, id = at(claim, "metadata", "uid"), f"other-claim:{agent.claim}"
        own = uid == stored.claim_uid or id in self._accepted or has_marker(claim, RESTORED, self.source, stored)
        if not own and not mounted.volume.is_empty():
            yield Finding(
                f"claim {agent.claim}",
                f"it is not the one that was backed up (UID {uid}), and it is not empty",
                f"the claim {stored.claim} with UID {stored.claim_uid}, or a new and empty one",
                "check --release and --namespace; restore into a new claim if this one holds something else; "
                f"if it holds this agent's data, which are set aside first: {command(f'--accept={id}')} --reason=TEXT",
            )
        yield from mounted.unfit()

    def _claim_for_us(self, mounted: MountedVolume) -> None:
        """Note on a new claim which backup goes into it: should this run be killed, the next may go on."""
        claim = self.release.cluster.get("PersistentVolumeClaim", str(mounted.agent.claim))
        if at(claim, "metadata", "uid") != mounted.stored.claim_uid:
            note = {"metadata": {"annotations": markers(claim, [RESTORED], self.source, mounted.stored)}}
            self.release.cluster.merge("PersistentVolumeClaim", str(mounted.agent.claim), note)

    def _restore_secret(self, name: str, stored: Object) -> bool:
        cluster = self.release.cluster
        try:
            live = cluster.get("Secret", name)
        except NotFound:
            self._secrets_written = True
            metadata: Object = {key: part(stored, "metadata", key) for key in ("labels", "annotations")}
            cluster.create("Secret", {**stored, "metadata": {"name": name, **metadata}})
            return True
        if part(live, "data") == part(stored, "data"):
            return False
        self._secrets_written = True
        gone = {key: None for key in part(live, "data") if key not in part(stored, "data")}
        cluster.merge("Secret", name, {"data": {**part(stored, "data"), **gone}})
        return True


def as_in(source: Backup, release: Release) -> Release:
    """Return a release whose agents are known as the backup has them, however their Deployments are called by now.

    Raises:
        ClusterError: the API did not answer, or refused.
    """
    agents = identity.identified(
        release.cluster, release.agents, source.manifest.claims, lambda: RebuildSpec(source).parts
    )
    return replace(release, agents=agents)


def _named(volume: Agent) -> str:
    """Name a volume as the backup has it, with its claim, and with its Deployment where that is called otherwise."""
    renamed = volume.key != volume_key(volume.deployment, volume.volume)
    return f"{volume.key} (claim {volume.claim}{f', now of Deployment {volume.deployment}' if renamed else ''})"
