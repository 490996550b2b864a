"""The way back where Helm has none: restore, uninstall, and leave the ground ready for a rebuild (SOP 4.5).

``helm uninstall`` reads the keep policy from the stored manifest, not from the live claim: a claim may go with it. So
the volumes are set to Retain first, and a claim that went is made again for the same volume. Then the stage ``rebuild``
follows: it finds the claims as it would have made them itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.backups.items import Selection
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import MANAGER, Access
from openab_sop.cluster.lease import Board, Lease
from openab_sop.errors import NotFound, StepSkipped
from openab_sop.escape import command
from openab_sop.journal import Journal
from openab_sop.objects import Object, at, part
from openab_sop.releases import portable_objects
from openab_sop.releases.release import Release
from openab_sop.releases.session import directory_of
from openab_sop.releases.upgrade_state import End, UpgradeStateFile
from openab_sop.restores import preconditions
from openab_sop.restores.installation import Installation
from openab_sop.restores.mounted_volume import FILLING, RESTORED, Progress, markers
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from openab_sop.restores.restore import Restoration
from openab_sop.status import Status
from openab_sop.verdict import Verdict
from openab_sop.wait import wait

VOLUME = "PersistentVolume"
NEEDED = tuple(Access(verb, "persistentvolumes", in_namespace=False) for verb in ("get", "patch"))
"""What protecting volumes takes, beyond what a rebuild does."""
GONE = 120
"""Seconds until what Helm removes must be gone, and until a claim must have its volume back."""

_POLICY = f"{MANAGER}/reclaim-policy"
"""Annotation of a volume that we protect: the policy that it had."""


class Reinstall:
    """One way back by uninstall and rebuild, as far as the uninstall.

    Args:
        source: the backup; its files can be read.
        root: the local backup root.
        journal: where each action is recorded.
        accepted: ids of findings that are let pass.
        notes: as ``Restoration`` has them.

    Attributes:
        lease: the lock of the release.
    """

    def __init__(
        self,
        source: Backup,
        helm: Helm,
        root: Path,
        journal: Journal,
        accepted: Collection[str] = (),
        notes: MutableMapping[str, str] | None = None,
    ) -> None:
        self._accepted = accepted
        self._spec = RebuildSpec(source)
        self._helm = helm
        self._cluster = helm.cluster
        self._journal = journal
        self._installation = Installation(self._spec, helm, journal)
        release = _as_backed_up(source, helm, self._spec)
        self._restoration = Restoration(
            source,
            release,
            Selection.parse("home"),
            journal,
            deployments=self._spec.deployments,
            notes=notes,
            keep_logins=False,  # the rebuild that follows demands a volume as the backup says
        )
        self._uninstalled = False
        self._volumes: dict[str, str] | None = None
        directory = directory_of(root, self._cluster.identity(), self._cluster.namespace, self._spec.release)
        self._course = UpgradeStateFile(directory, Board(self._cluster, self._spec.release))
        self.lease = Lease(self._cluster, self._spec.release)

    def fits(self) -> Verdict:
        """Check that the backup is of this namespace, and brings all of the release back (SOP 5.1)."""
        findings = list(preconditions.of_another_release(self._spec, self._cluster.namespace, None))
        findings += self._restoration.unfit_for_keeping()
        made = preconditions.made_by(self._spec, self._helm)
        findings += preconditions.powers(self._spec, self._cluster, made, self._accepted)
        findings += preconditions.vanishing(self._spec, self._helm, self._accepted)
        findings += preconditions.lacking(self._spec, self._cluster)
        for name in self._spec.deployments:
            if live := self._cluster.find("Deployment", name):
                findings += preconditions.owned(self._cluster, live, self._accepted)
                findings += preconditions.of_others(self._spec, self._cluster.namespace, live)
        return Verdict("origin of the backup", tuple(findings))

    @property
    def intent(self) -> str:
        """What it will do, in words."""
        manifest = self._spec.source.manifest
        claims = ", ".join(claim for _, _, claim in self._spec.with_claims)
        return (
            f"bring the homes on {claims} back as of {manifest.created}, uninstall release {manifest.release}, and "
            f"install {manifest.chart} {manifest.version} again on the same volumes, from {manifest.name}"
        )

    def hold(self) -> str:
        """Take the lock of the release (SOP 5.1); returns in words how it was had."""
        return self.lease.acquire(command("pytest", "suites/reinstall", f"--backup={self._spec.source.place}"))

    def try_helpers(self) -> dict[str, str]:
        """Start a helper beside each agent before any is stopped (SOP 4.5); returns by agent what came of it."""
        self._unless_uninstalled()
        return self._restoration.try_helpers()

    def stop(self) -> dict[str, int]:
        """Stop the agents (SOP 4.5); returns the replicas that each had."""
        self._unless_uninstalled()
        return self._restoration.stop()

    def preflight(self) -> Verdict:
        """Look at each volume before anything is written (SOP 5.1)."""
        self._unless_uninstalled()
        return self._restoration.preflight()

    def restore(self, progress: Progress) -> dict[str, str]:
        """Bring the homes back as the backup has them; what is newer is set aside (SOP 4.5, 5.1).

        Returns:
            By agent: what was set aside, what was written.
        """
        self._unless_uninstalled()
        done: dict[str, str] = {}
        with suppress(StepSkipped):
            done |= {f"set aside of {agent}": what for agent, what in self._restoration.set_aside().items()}
        return done | self._restoration.write(progress)

    def verify(self) -> Verdict:
        """Prove the volumes by the digests that the helper pods compute now (SOP 5.2)."""
        self._unless_uninstalled()
        verdict = self._restoration.verify()
        self._restoration.close()
        return verdict

    def start(self) -> list[str]:
        """Start the agents again if it has come to nothing (SOP 4.5).

        Raises:
            StepSkipped: the release was uninstalled: the rebuild starts them.
        """
        self._unless_uninstalled()
        return self._restoration.start()

    @property
    def half_written(self) -> bool:
        """Whether a volume is neither as it was nor proved to be as the backup says."""
        return bool(self._restoration.half_written)

    def leave(self) -> None:
        """Let every agent start again that may, where it has come to nothing; nothing is waited for.

        Raises:
            StepSkipped: the release was uninstalled.
            SopError: the first thing that failed, when all was tried.
        """
        self._unless_uninstalled()
        self._restoration.leave()

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed; uninstalled, its volumes are proved."""
        return Status.LEFT if self._uninstalled else self._restoration.status()

    def close(self) -> None:
        """Remove the helper pods."""
        self._restoration.close()

    def protect(self) -> dict[str, str]:
        """Set every volume to Retain (SOP 4.5); returns by claim the volume and the policy that it had.

        Raises:
            StepSkipped: no claim is left.
        """
        done: dict[str, str] = {}
        for claim, live in self._live_claims():
            name = str(at(live, "spec", "volumeName"))
            volume = self._cluster.get(VOLUME, name)
            had = _policy_before(volume) or at(volume, "spec", "persistentVolumeReclaimPolicy")
            change: Object = {
                "metadata": {"annotations": {_POLICY: had}},
                "spec": {"persistentVolumeReclaimPolicy": "Retain"},
            }
            with self._journal.action("protect volume", volume=name, claim=claim, policy=had):
                self._cluster.merge(VOLUME, name, change)
            done[claim] = f"{name}, {had} before"
        if not done:
            raise StepSkipped("no claim of the backup's agents is left")
        return done

    def uninstall(self) -> str:
        """Remove the release, its history and its objects (SOP 4.5); the volumes stay, and know what they are for.

        Returns:
            What was removed, in words.
        """
        if self._volumes is None:
            self._unless_uninstalled()
            self._volumes = {claim: str(at(live, "spec", "volumeName")) for claim, live in self._live_claims()}
        volumes = self._volumes
        for _, stored, claim in self._spec.with_claims:
            with suppress(NotFound):  # a try before this one may have come so far
                if claim in volumes:
                    notes = markers(self._cluster.get(CLAIM, claim), (RESTORED, FILLING), self._spec.source, stored)
                    self._cluster.merge(CLAIM, claim, {"metadata": {"annotations": notes}})
        listed = self._installation.listed()
        with self._journal.action("uninstall release", release=self._spec.release, volumes=volumes):
            if listed:
                self._helm.uninstall(self._spec.release)
            for name in self._spec.deployments:
                live = self._cluster.find("Deployment", name)
                if live and portable_objects.belongs(live, self._spec.release, self._cluster.namespace):
                    self._cluster.delete("Deployment", name, live["metadata"]["uid"])
        self._uninstalled = True
        self._await_gone()
        self._bind_again(volumes)
        if (state := self._course.read()) and not state.ended:
            self._course.update(ended=End.BACK)  # whatever was under way ends with the release
        return f"{listed or 'no record of a release'}; kept: {', '.join(volumes.values())}"

    def release_volumes(self) -> dict[str, str]:
        """Give the volumes their own policy back (SOP 4.5); returns by claim the volume and its UID's proof.

        Raises:
            StepSkipped: none was protected.
        """
        done: dict[str, str] = {}
        if not self.lease.is_held:
            raise StepSkipped("this run has not protected them")
        for claim, live in self._live_claims():
            name = str(at(live, "spec", "volumeName"))
            volume = self._cluster.get(VOLUME, name)
            if had := _policy_before(volume):
                change: Object = {
                    "metadata": {"annotations": {_POLICY: None}},
                    "spec": {"persistentVolumeReclaimPolicy": had},
                }
                self._cluster.merge(VOLUME, name, change)
                done[claim] = f"UID {at(live, 'metadata', 'uid')} on volume {name}, {had} again"
        if not done:
            raise StepSkipped("no volume was protected")
        return done

    def _unless_uninstalled(self) -> None:
        gone = not any(self._cluster.find("Deployment", name) for name in self._spec.deployments)
        if self._uninstalled or (gone and self._installation.listed() is None):
            raise StepSkipped("the release was uninstalled: the rebuild follows")

    def _live_claims(self) -> Iterator[tuple[str, Object]]:
        for _, _, claim in self._spec.with_claims:
            if (live := self._cluster.find(CLAIM, claim)) and at(live, "spec", "volumeName"):
                yield claim, live

    def _await_gone(self) -> None:
        """Wait until no agent is left, and no claim that is on its way out."""
        wait(
            lambda: ", ".join(self._leaving()) or None,
            what="the end of what the release was made of",
            timeout=GONE,
            next_step=command("kubectl", "-n", self._cluster.namespace, "get", "deployments,pods,pvc"),
        )

    def _leaving(self) -> Iterator[str]:
        for agent, _, claim in self._spec.with_claims:
            if self._cluster.find("Deployment", agent.deployment) or self._cluster.list("Pod", agent.selector):
                yield agent.deployment
            live = self._cluster.find(CLAIM, claim)
            if live and at(live, "metadata", "deletionTimestamp"):
                yield claim

    def _bind_again(self, volumes: dict[str, str]) -> None:
        """Make the claims again that went, for the same volumes."""
        for _, stored, claim in self._spec.with_claims:
            volume = volumes.get(claim)
            if volume is None or self._cluster.find(CLAIM, claim):
                continue
            self._cluster.merge(VOLUME, volume, {"spec": {"claimRef": None}})
            body = self._claim(stored, claim, volume)
            with self._journal.action("make claim again", claim=claim, volume=volume):
                self._cluster.create(CLAIM, body)
            self._await_bound(claim, volume)

    def _await_bound(self, claim: str, volume: str) -> None:
        wait(
            lambda: None if at(self._cluster.get(CLAIM, claim), "status", "phase") == "Bound" else "it is not bound",
            what=f"the binding of claim {claim} to volume {volume}",
            timeout=GONE,
            next_step=command("kubectl", "-n", self._cluster.namespace, "describe", "pvc", claim),
        )

    def _claim(self, stored: StoredAgent, claim: str, volume: str) -> Object:
        wanted: str | None = at(self._spec.claim(stored), "spec", "storageClassName")
        owner = (self._spec.release, self._cluster.namespace)
        body = portable_objects.claim_anew(self._spec.claim(stored), self._spec.rendered(CLAIM, claim), wanted, owner)
        body["spec"]["volumeName"] = volume
        body["metadata"]["annotations"] |= markers(body, (RESTORED, FILLING), self._spec.source, stored)
        return body


def _policy_before(volume: Object) -> str | None:
    """Return the policy that a volume had when we protected it; None if we have not.

    What is noted counts only where the rest of that change is seen: else somebody else has written it (issue 14).
    """
    noted = part(volume, "metadata", "annotations").get(_POLICY)
    ours = at(volume, "spec", "persistentVolumeReclaimPolicy") == "Retain" and noted in ("Delete", "Recycle", "Retain")
    return str(noted) if ours else None


def _as_backed_up(source: Backup, helm: Helm, spec: RebuildSpec) -> Release:
    """Return the release as the backup has it: Helm itself may know nothing of it any more."""
    manifest = source.manifest
    return Release(
        helm=helm,
        name=manifest.release,
        revision=manifest.revision,
        status="as in the backup",
        chart=manifest.chart,
        version=manifest.version,
        agents=tuple(agent for agent, _ in spec.agents),
        companions=(),
        secrets=(),
        config_maps=(),
    )
