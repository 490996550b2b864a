"""A release rebuilt from a backup's directory alone: namespace, objects, volumes, and only then the agents (SOP 5).

The claims come first: they are filled through helper pods and proved, and then the kept chart is installed, which
adopts them. So no agent ever runs on a volume that is not as the backup says, and a release's record with our label
means that its volumes were proved. Every step looks at what is there: a run that was killed is finished by the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack

from openab_sop.agents.agent import Agent
from openab_sop.backups import kept_objects
from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.cluster import fields
from openab_sop.cluster.helm import Helm
from openab_sop.errors import BackupError, StepSkipped
from openab_sop.escape import command
from openab_sop.journal import Journal
from openab_sop.objects import Object, part
from openab_sop.releases import portable_objects
from openab_sop.restores import kept_claim, preconditions
from openab_sop.restores.installation import Installation
from openab_sop.restores.mounted_volume import (
    FILLING,
    RESTORED,
    Helpers,
    MountedVolume,
    MountedVolumes,
    Progress,
    has_marker,
    markers,
    mount,
)
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from openab_sop.rollouts.start import await_start, runner
from openab_sop.status import Status
from openab_sop.verdict import Finding, Verdict


class Rebuild:
    """One rebuild, step by step.

    Args:
        source: the backup; its files can be read.
        release: value of ``--release``, if any.
        journal: where each action is recorded.
        accepted: ids of findings that are let pass.
        notes: gets what the summary must not leave out.

    Raises:
        BackupError: the backup has not what a rebuild needs.
    """

    def __init__(
        self,
        source: Backup,
        helm: Helm,
        release: str | None,
        journal: Journal,
        accepted: Collection[str] = (),
        notes: MutableMapping[str, str] | None = None,
    ) -> None:
        self.source = source
        self._notes: MutableMapping[str, str] = {} if notes is None else notes
        self._spec = RebuildSpec(source)
        self._cluster = helm.cluster
        self._installation = Installation(self._spec, helm, journal)
        self._named = release
        self._accepted = accepted
        self._journal = journal
        self._mounts = MountedVolumes(self._volumes)
        self._kept: dict[str, str] = {}
        self._touched = False
        self._filling = False
        self._proved = False
        self._done = False

    def fits(self) -> Verdict:
        """Check that the backup belongs here, and that nothing is in its way (SOP 5.1)."""
        findings = list(preconditions.of_another_release(self._spec, self._cluster.namespace, self._named))
        if not findings:
            made = preconditions.made_by(self._spec, self._installation.helm)
            findings += preconditions.powers(self._spec, self._cluster, made, self._accepted)
        if not findings:  # only now: to look into a claim takes a pod as the backup has it
            findings += preconditions.standing(self._spec, self._installation, self._keep)
            findings += preconditions.vanishing(self._spec, self._installation.helm, self._accepted)
            findings += preconditions.lacking(self._spec, self._cluster)
            findings += preconditions.smaller(self._spec, self._accepted)
        return Verdict("preconditions of the rebuild", tuple(findings))

    def _keep(self, agent: Agent, stored: StoredAgent, live: Object) -> tuple[Finding, ...]:
        """Look whether a claim that is there, and not empty, may be kept: its volume is not written to then."""
        kept = kept_claim.examine(self._spec, self._cluster, agent, stored, live, self._accepted)
        if not kept.findings:
            self._kept[agent.key] = kept.summary
            self._notes[f"kept {agent.claim}"] = kept.summary
        return kept.findings

    @property
    def _to_fill(self) -> list[tuple[Agent, StoredAgent, str]]:
        """The volumes that the backup goes into; the others are kept as they are."""
        return [one for one in self._spec.with_claims if one[0].key not in self._kept]

    def render(self) -> str:
        """Let helm render the kept chart with the kept values, and look for objects in its way; returns its name.

        Raises:
            ToolError: it does not render, or something is in its way.
            BackupError: on this cluster it would reach further than was accepted.
        """
        made = self._installation.try_out().objects
        if findings := list(preconditions.powers(self._spec, self._cluster, made, self._accepted)):
            raise BackupError("\n  ".join(map(str, findings)), "read the chart in the backup before you accept it")
        return self._spec.chart_file

    def make_namespace(self) -> str:
        """Make the namespace (SOP 5.1); returns its name.

        Raises:
            StepSkipped: it is there.
        """
        name = self._cluster.namespace
        if self._cluster.namespace_phase():
            raise StepSkipped(f"namespace {name} is there")
        self._create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def make_references(self) -> dict[str, str]:
        """Make the Secrets and ConfigMaps that the chart does not render (SOP 5.1); returns what became of each.

        Raises:
            StepSkipped: there is none.
        """
        own = kept_objects.left_out(self.source)
        done = {f"Secret {name}": "left out: the cluster itself makes such a one" for name in own}
        for stored in self._spec.references(rendered=False):
            kind, name = str(stored["kind"]), str(stored["metadata"]["name"])
            if live := self._cluster.find(kind, name):
                same = _content(live) == _content(stored)
                done[f"{kind} {name}"] = "there" if same else "WARNING: there, and not as in the backup; left as it is"
            else:
                self._create(kind, portable_objects.anew(stored))
                done[f"{kind} {name}"] = "made"
        if not done:
            raise StepSkipped("the chart renders every Secret and ConfigMap of the backup")
        return done

    def make_claims(self) -> dict[str, str]:
        """Make the agents' claims, so that helm will adopt those of the chart (SOP 5.1).

        Returns:
            By claim, what became of it; by agent, if it has none.
        """
        bare = [volume.key for volume, _ in self._spec.volumes if volume.claim is None]
        done = dict.fromkeys(bare, "WARNING: it has no claim, so there is nothing to bring its home back to")
        mounted = {stored.key for _, stored in self._spec.volumes}
        others = [stored.key for stored in self.source.manifest.stored if stored.key not in mounted]
        done |= dict.fromkeys(others, "WARNING: the chart does not mount it: it stays in the backup")
        return done | {
            claim: self._claim_for_us(claim, agent, stored) for agent, stored, claim in self._spec.with_claims
        }

    def preflight(self) -> Verdict:
        """Look at each volume before anything is written: is it empty but for this backup, large enough (SOP 5.1).

        Raises:
            StepSkipped: they were proved before the release was installed, or are kept as they are.
        """
        self._require_volumes_to_fill()
        findings: list[Finding] = []
        for mounted in self._mounts.begin():
            findings += (*preconditions.written(self._spec, mounted), *mounted.unfit())
        return Verdict("volumes to fill", tuple(findings))

    def _volumes(self, stack: ExitStack) -> Iterator[AbstractContextManager[MountedVolume]]:
        volumes = [(agent, stored) for agent, stored, _ in self._to_fill]
        helpers = Helpers(self._cluster, volumes, self._spec.deployments, stack)
        for agent, stored in volumes:
            yield mount(self._cluster, agent, stored, self.source, helper=helpers.of(agent))

    def fill(self, progress: Progress) -> dict[str, str]:
        """Fill the volumes with the homes (SOP 5.1); returns by agent what was written.

        Raises:
            StepSkipped: they are as the backup says already.
        """
        self._require_volumes_to_fill()
        claims = ", ".join(claim for _, _, claim in self._to_fill)
        self._notes["half filled"] = (
            f"WARNING: {claims}: they are being filled from {self.source.place}, and no agent runs on them yet; "
            f"{command('pytest', 'suites/rebuild', f'--backup={self.source.place}')} goes on"
        )
        self._filling = True
        with self._mounts.unbroken() as volumes:
            written = {mounted.agent.key: mounted.write(self._journal, progress) for mounted in volumes}
        if not any(written.values()):
            raise StepSkipped("the volumes are as the backup says already")
        return {name: said for name, said in written.items() if said}

    def verify(self) -> Verdict:
        """Prove the volumes by the digests that the helper pods compute now (SOP 5.2).

        Raises:
            StepSkipped: they were proved before the release was installed, or are kept as they are.
        """
        self._require_volumes_to_fill()
        with self._mounts.unbroken() as volumes:
            findings = tuple(finding for mounted in volumes for finding in mounted.volume.findings())
        self.close()
        self._proved = not findings
        if self._proved:
            self._notes.pop("half filled", None)
        for mounted in volumes if not findings else ():
            self._cluster.merge(CLAIM, str(mounted.agent.claim), {"metadata": {"annotations": {FILLING: None}}})
        return Verdict("volumes compared with the backup", findings)

    def install(self) -> str:
        """Install the kept chart with the kept values (SOP 5.1); returns what helm says of the release then.

        Raises:
            StepSkipped: it is installed.
            ToolError: helm failed.
        """
        before = self._installation.settled()
        if before and before.status == "deployed":
            raise StepSkipped(f"release {before.name} is installed: {before.chart} {before.version}")
        self._touched = True
        with self._journal.action("install release", release=self._spec.release, chart=self._spec.chart_file):
            self._installation.make()
        revision = self.source.manifest.revision
        return f"{self._installation.listed()}; revisions begin anew, the backup was of {revision} (helm-history.txt)"

    def start(self) -> list[str]:
        """Wait until everything of the release that keeps pods running does (SOP 5.2); returns their names.

        Raises:
            SopError: one does not.
        """
        for _, _, claim in self._spec.with_claims:
            if self._spec.rendered(CLAIM, claim):
                fields.give_back(self._cluster, CLAIM, claim)
        for name, body in self._spec.runners.items():
            with self._journal.action("await start", deployment=name):
                await_start(self._cluster, runner(body))
        self._done = True
        return list(self._spec.runners)

    def unlike(self) -> list[str]:
        """Return the Secrets and ConfigMaps that are not as in the backup, such as passwords that a chart makes up."""
        return [
            f"{stored['kind']} {stored['metadata']['name']}"
            for stored in self._spec.references(rendered=True)
            if _content(self._cluster.find(stored["kind"], stored["metadata"]["name"]) or {}) != _content(stored)
        ]

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        if not self._touched or self._done:
            return Status.UNCHANGED
        return Status.STUCK if self._filling and not self._proved else Status.LEFT

    def close(self) -> None:
        """Remove the helper pods and what was only needed for comparing."""
        self._mounts.close()

    def _claim_for_us(self, claim: str, agent: Agent, stored: StoredAgent) -> str:
        """Make a claim, or take one that is empty, and note on it which backup goes into it."""
        live = self._cluster.find(CLAIM, claim)
        if live and agent.key in self._kept:
            self._touched = True
            kept_claim.adopt(self._spec, self._cluster, claim, live)
            return f"kept as it is: {self._kept[agent.key]}"
        if live and has_marker(live, RESTORED, self.source, stored):
            return "there, made for this backup"
        if live:
            self._touched = True
            self._mark(claim, live, stored)
            return "there, and empty"
        wanted, chosen = preconditions.storage_class(self._spec, self._cluster, stored)
        owner = (self._spec.release, self._cluster.namespace)
        body = portable_objects.claim_anew(self._spec.claim(stored), self._spec.rendered(CLAIM, claim), chosen, owner)
        self._mark(claim, self._create(CLAIM, body), stored)
        return "made" if chosen == wanted else f"made, of the default storage class {chosen}: there is no {wanted}"

    def _mark(self, claim: str, live: Object, stored: StoredAgent) -> None:
        """Note on a claim, which is empty, which backup goes into it."""
        notes = markers(live, (RESTORED, FILLING), self.source, stored)
        self._cluster.merge(CLAIM, claim, {"metadata": {"annotations": notes}})

    def _require_volumes_to_fill(self) -> None:
        if listed := self._installation.listed():
            raise StepSkipped(f"release {listed.name} is there: its volumes were proved before it was installed")
        if self._kept and not self._to_fill:
            raise StepSkipped("every claim is kept as it is: it was compared with the backup before")

    def _create(self, kind: str, body: Object) -> Object:
        self._touched = True
        with self._journal.action(f"create {kind}", object=body["metadata"]["name"]):
            return self._cluster.create(kind, body)


def _content(body: Object) -> tuple[Object, Object]:
    """What a Secret or a ConfigMap holds."""
    return part(body, "data"), part(body, "binaryData")
