"""The copied volumes: filled from a backup, proved, made harmless, and made fresh again after a version ran on them.

Only what differs is written: the second time that is what a version has touched.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from openab_sop import temporary
from openab_sop.agents.agent import Agent
from openab_sop.backups.backup import CONTENTS, HOME, Backup, StoredAgent
from openab_sop.backups.inventory import read
from openab_sop.errors import BackupError
from openab_sop.journal import Journal
from openab_sop.objects import Object, at
from openab_sop.rehearsals.behaviour import Traces
from openab_sop.rehearsals.credentials import SanitizedHome, treat
from openab_sop.rehearsals.scratch import Scratch
from openab_sop.releases import portable_objects
from openab_sop.restores import preconditions
from openab_sop.restores.changes import VolumeSince
from openab_sop.restores.mounted_volume import MountedVolume, Progress, mount
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from openab_sop.verdict import Finding, Verdict


@dataclass
class Homes:
    """The volumes of the agents' copies.

    Attributes:
        plan: the backup.
        scratch: where the copies are.
        may_vanish: patterns of names that may be gone without harm.
        harmless: by agent, what takes the place of its logins.
        seconds: what it took to fill the volumes and to prove them.
    """

    spec: RebuildSpec
    scratch: Scratch
    may_vanish: Sequence[str]
    journal: Journal
    harmless: dict[str, SanitizedHome] = field(default_factory=dict[str, SanitizedHome])
    seconds: float = 0.0
    _mounted: list[MountedVolume] = field(default_factory=list[MountedVolume])
    _open: ExitStack = field(default_factory=ExitStack)
    _kept: ExitStack = field(default_factory=ExitStack)

    @property
    def source(self) -> Backup:
        """The backup."""
        return self.spec.source

    @property
    def claims(self) -> dict[str, str]:
        """The copies of the release's claims, by their names."""
        return {claim: self.scratch.name(claim) for _, _, claim in self.spec.with_claims}

    def unfit(self) -> Iterator[Finding]:
        """Name claims that the cluster has no storage class for."""
        for _, stored, claim in self.spec.with_claims:
            wanted, chosen = preconditions.storage_class(self.spec, self.scratch.cluster, stored)
            if wanted and chosen is None:
                yield Finding(
                    f"claim {claim}",
                    f"the cluster has neither storage class {wanted} nor a default one",
                    "a class for a copy of it",
                    "kubectl get storageclass shows what there is; without a rehearsal there still is the plan",
                )

    def make_claims(self) -> dict[str, str]:
        """Make a claim for the copy of each home; returns by claim what it is like.

        Raises:
            ClusterError: the API refuses: a quota, for instance.
        """
        done: dict[str, str] = {}
        for claim, stored in {claim: stored for _, stored, claim in self.spec.with_claims}.items():
            wanted, chosen = preconditions.storage_class(self.spec, self.scratch.cluster, stored)
            body = portable_objects.claim_anew(self.spec.claim(stored), None, chosen, ("", ""))
            body["spec"].pop("selector", None)  # it would find a volume that somebody else has made
            self.scratch.cluster.create(CLAIM, {**body, "metadata": {"name": self.claims[claim]}})
            size = at(body, "spec", "resources", "requests", "storage")
            instead = "" if chosen == wanted else f", the default one: there is no {wanted}"
            done[claim] = f"{size} of storage class {chosen}{instead}"
        return done

    def fill(self, deployments: Mapping[str, Object], progress: Progress) -> dict[str, str]:
        """Fill the volumes with the homes (SOP 5.1); returns by agent what was written.

        Args:
            deployments: the copies of the old version by agent: by them a volume is reached.

        Raises:
            BackupError: a volume is too small.
        """
        begun = time.monotonic()
        self._mount(deployments)
        if unfit := [str(finding) for mounted in self._mounted for finding in mounted.unfit()]:
            raise BackupError("\n  ".join(unfit), "see above")
        if strange := [path for mounted in self._mounted for path in mounted.volume.strange()]:
            raise BackupError(
                f"a new volume is not empty: it has {strange[0]!r}", "look which volume the storage class gives"
            )
        done = {mounted.stored.key: mounted.write(self.journal, progress) or "nothing" for mounted in self._mounted}
        self.seconds = time.monotonic() - begun
        return done

    def prove(self) -> Verdict:
        """Prove the volumes by the digests that the helper pods compute now (SOP 5.2)."""
        begun = time.monotonic()
        verdict = self._proof()
        self.seconds += time.monotonic() - begun
        return verdict

    def make_harmless(self) -> dict[str, SanitizedHome]:
        """Put placeholders in the place of the logins in the homes; returns by agent what became of them."""
        if not self.harmless:
            kept = self._kept.enter_context(temporary.scratch(self.source.scratch))
            self.harmless |= {mounted.stored.key: self._treated(mounted.stored, kept) for mounted in self._mounted}
        for mounted in self._mounted:
            if (treated := self.harmless[mounted.stored.key]).changed:
                with self.journal.action("make harmless", agent=mounted.stored.key, files=len(treated.changed)):
                    mounted.volume.overwrite(treated.archive)
        return self.harmless

    def let_go(self) -> None:
        """Let the volumes go: a version is to run on them."""
        self._mounted.clear()
        self._open.close()

    def look(self, deployments: Mapping[str, Object]) -> dict[str, Traces]:
        """Tell by agent what the version that ran last has left on its volume."""
        self._mount(deployments)
        try:
            return self._seen()
        finally:
            self.let_go()

    def removed(self, deployments: Mapping[str, Object]) -> dict[str, tuple[str, ...]]:
        """Tell by volume which paths of the backup the version that ran last has removed."""
        self._mount(deployments)
        try:
            return {mounted.stored.key: tuple(self._removed(mounted)) for mounted in self._mounted}
        finally:
            self.let_go()

    def refresh(self, deployments: Mapping[str, Object], progress: Progress) -> dict[str, Traces]:
        """Make the volumes as the backup says again, prove it, make them harmless; returns what was on them.

        Raises:
            BackupError: one is not as the backup says after that.
        """
        self._mount(deployments)
        try:
            traces = self._seen()
            for mounted in self._mounted:
                mounted.write(self.journal, progress)
            if not (verdict := self._proof()).passed:
                raise BackupError(str(verdict), "run again")
            self.make_harmless()
            return traces
        finally:
            self.let_go()

    def close(self) -> None:
        """Remove the helper pods, and what was only needed here."""
        self.let_go()
        self._kept.close()

    def _proof(self) -> Verdict:
        findings = tuple(finding for mounted in self._mounted for finding in mounted.volume.findings())
        return Verdict(f"{len(self._mounted)} volumes compared with backup {self.source.manifest.name}", findings)

    def _mount(self, deployments: Mapping[str, Object]) -> None:
        for recorded, stored, _ in self.spec.with_claims:
            if body := deployments.get(stored.deployment):
                agent = Agent.of(body)
                volume = next(v for v in agent.further if v.home == recorded.home) if stored.volume else agent
                mounting = mount(self.scratch.cluster, volume, stored, self.source, deployment=body)
                self._mounted.append(self._open.enter_context(mounting))

    def _removed(self, mounted: MountedVolume) -> Iterator[str]:
        treated = self.harmless.get(mounted.stored.key)
        ours = set(treated.changed) if treated else set[str]()
        return (path for path in mounted.since(self.may_vanish).gone() if path not in ours)

    def _treated(self, stored: StoredAgent, kept: Path) -> SanitizedHome:
        archive, contents = (self.source.file(f"{stored.key}/{name}") for name in (HOME, CONTENTS))
        scratch = kept / stored.key
        scratch.mkdir(mode=0o700, parents=True)
        with contents.open() as lines:
            return treat(archive, read(lines), stored.databases, scratch, stored.inside)

    def _seen(self) -> dict[str, Traces]:
        """Tell by agent what was left on all of its volumes."""
        seen: dict[str, Traces] = {}
        for mounted in self._mounted:
            name, traces = mounted.stored.deployment, self._traces(mounted)
            seen[name] = seen[name].also(traces, mounted.stored.volume) if name in seen else traces
        return seen

    def _traces(self, mounted: MountedVolume) -> Traces:
        since: VolumeSince = mounted.since(self.may_vanish)
        treated = self.harmless.get(mounted.stored.key)
        ours = set(treated.changed) if treated else set[str]()
        changes = since.changes
        return Traces(
            changes=replace(changes, changed=tuple(path for path in changes.changed if path not in ours)),
            gone=tuple(since.gone()),
            unreadable=tuple(f"{finding.subject}: {finding.observed}" for finding in since.moved()),
        )
