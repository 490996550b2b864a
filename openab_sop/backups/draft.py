"""A backup in the making, step by step as the SOP has it: kept, judged, encrypted, completed (SOP 2.0-2.10)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import openab_sop
from openab_sop import redact, storage
from openab_sop.agents import ownership
from openab_sop.agents.agent import trouble
from openab_sop.backups import backup, coverage, encryption, proof, remote
from openab_sop.backups.agent_backup import AgentBackup, CopiedHome, Progress
from openab_sop.backups.backup import PREFIX, Backup, BackupManifest, StoredFile, files_below
from openab_sop.backups.items import ITEMS, Item
from openab_sop.backups.kept_objects import is_clusters_own, is_helms_own
from openab_sop.backups.partial import Partial
from openab_sop.backups.signing import Signer
from openab_sop.backups.store import Store
from openab_sop.errors import BackupError, Broken, NotFound, SopError, StepSkipped
from openab_sop.journal import Journal
from openab_sop.objects import as_yaml
from openab_sop.releases import portable_objects
from openab_sop.releases.release import Release
from openab_sop.verdict import Finding, Verdict

_RELEASE_WIDE = ("values.yaml", "helm-history.txt", "helm-history.json", "manifest.yaml", "helm-release.yaml")


class Draft:
    """The backup of a release that one run makes.

    Args:
        root: the local backup root, where it is made and, without a store, kept.
        cluster: names that tell the cluster from others, for the record.
        base: an earlier backup; what has not changed since is taken from it. This one is complete in itself.
        store: where the backup is kept, if that is not the root.
        signer: who signs it; None if nobody does.

    Attributes:
        uncovered: what of the release's data it will not have, in words.
    """

    def __init__(
        self,
        root: Path,
        release: Release,
        cluster: Sequence[str],
        journal: Journal,
        base: Backup | None = None,
        store: Store | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.release = release
        self._root = root
        self._cluster = cluster
        self._journal = journal
        self._base = base
        self._store = store
        self._sign = signer.sign if signer else None
        self._partial: Partial | None = None
        self._agents: tuple[AgentBackup, ...] = ()
        self.uncovered: tuple[str, ...] = ()
        self._manifest: BackupManifest | None = None
        self._snapshots = ExitStack()

    def create(self) -> Path:
        """Create the directory, private, under a name that is no backup's yet (SOP 2.0).

        Raises:
            BackupError: the backup root cannot be used.
        """
        if self._partial:  # of a try whose line broke
            self._partial.discard()
        self._partial = Partial(self._root, self._journal)
        cluster, directory = self.release.cluster, self._partial.path
        volumes = coverage.volumes(self.release)
        self.uncovered = coverage.of(self.release, volumes)
        self._agents = tuple(AgentBackup(volume, cluster, directory, self._base) for volume in volumes)
        return directory

    def discard(self) -> None:
        """Remove what is not a complete backup; nothing happens if it is one, or was never created."""
        self._snapshots.close()
        if self._partial:
            self._partial.discard()

    def take(self, above: int, progress: Progress, recipients: Mapping[str, Any]) -> Backup:
        """Make the whole backup at once, as the steps of its own stage do one by one (SOP 2.0-2.10).

        Raises:
            SopError: a step failed; nothing of it stays.
        """
        try:
            self.create()
            self.keep_values()
            self.hold_snapshots(above)
            self.copy_homes(progress)
            for item in ITEMS:
                with suppress(StepSkipped):
                    self.keep_item(item)
            self.keep_secrets()
            self.keep_history()
            self.keep_rebuild()
            verdict = self.verify()
            if not verdict.passed:
                raise BackupError(str(verdict), "fix what it names, then run the same command again")
            with suppress(StepSkipped):
                self.seal(recipients)
            return self.complete(progress)
        finally:
            self.discard()

    def keep_values(self) -> int:
        """Write values.yaml, the user-supplied values (SOP 2.1); returns its bytes."""
        return self._write("values.yaml", self.release.helm.values(self.release.name, self.release.revision))

    def hold_snapshots(self, above: int) -> dict[str, str]:
        """Hold each large home as it is at one moment, where the cluster can (SOP 2.8).

        Args:
            above: bytes that a home must take for that.

        Returns:
            By agent: what was done, or why nothing was.
        """
        return {part.agent.key: part.hold_snapshot(above, self._snapshots) for part in self._agents}

    def copy_homes(self, progress: Progress) -> dict[str, CopiedHome]:
        """Copy each agent's home in one stream (SOP 2.7; the items of 2.2-2.5 are taken from it).

        Raises:
            BackupError: it failed for at least one agent; the others were copied all the same.
        """
        failures: list[SopError] = []
        for part in self._agents:
            try:
                with self._journal.action("copy home", agent=part.agent.key):
                    part.copy_home(progress)
            except Broken:
                raise
            except SopError as error:
                failures.append(error)
        self._snapshots.close()
        if failures:
            raise BackupError("; ".join(f.problem for f in failures), failures[0].next_step)
        return {part.agent.key: part.home for part in self._agents}

    def doubts(self, *, encrypted_before: bool) -> dict[str, str]:
        """Return what is in doubt about the backup although it is whole, for the summary.

        Args:
            encrypted_before: whether this one is in plain, and the one before it was encrypted.
        """
        found: dict[str, str] = {}
        cluster = self.release.cluster
        if empty := [part.agent.key for part in self._agents if not part.agent.volume and part.home.files == 0]:
            found["empty home"] = f"WARNING: {', '.join(empty)}: there is no file in it; is it the right volume?"
        pods = [(agent, pod) for agent in self.release.agents for pod in cluster.list("Pod", agent.selector)]
        if unwell := [f"{agent.deployment}: {why}" for agent, pod in pods if (why := trouble(pod, agent.container))]:
            found["not well"] = f"WARNING: {'; '.join(unwell)}: this is the state of a release that does not work"
        owned: list[str] = []
        for agent in self.release.agents:
            for owner in ownership.owners(cluster, cluster.get("Deployment", agent.deployment)):
                owned.append(f"{agent.deployment} is kept as it should be by {owner.who} ({owner.suspend})")
        if owned:
            found["owned elsewhere"] = f"WARNING: before an upgrade or a restore, suspend it: {'; '.join(owned)}"
        if encrypted_before:
            found["not encrypted"] = "WARNING: the backup before this one was encrypted, this one is not (--encrypt-to)"
        return found

    def keep_item(self, item: Item) -> dict[str, str]:
        """Take one item of every agent out of its copied home (SOP 2.2-2.5).

        Returns:
            By agent: "kept" or "absent".

        Raises:
            StepSkipped: no agent has it in its pod.
            BackupError: a home was not copied.
        """
        found = {part.agent.key: part.keep_item(item) for part in self._agents if not part.agent.volume}
        if "kept" not in found.values():
            raise StepSkipped(f"no agent has {item.path}: it is absent in the pod too")
        return found

    def keep_secrets(self) -> list[str]:
        """Write every Secret and ConfigMap of the release and its pods (SOP 2.6).

        Returns:
            Their file names; "absent: Secret x" for one that a pod refers to and runs without, "left out: Secret x"
            for one that the cluster or Helm makes itself.
        """
        kept: list[str] = []
        for kind, names in (("Secret", self.release.secrets), ("ConfigMap", self.release.config_maps)):
            for name in names:
                try:
                    found = self.release.cluster.get(kind, name)
                except NotFound:
                    kept.append(f"absent: {kind} {name}")
                    continue
                if kind == "Secret":
                    redact.learn_secret(found)
                if is_clusters_own(found) or is_helms_own(found):
                    kept.append(f"left out: {kind} {name}")
                    continue
                kept.append(f"{kind.lower()}-{name}.yaml")
                self._write(kept[-1], as_yaml(found))
        return kept

    def keep_history(self) -> int:
        """Write Helm's history as text and JSON (SOP 2.7); returns the number of revisions."""
        rows = [asdict(row) for row in self.release.helm.history(self.release.name)]
        self._write("helm-history.txt", "".join(f"{line}\n" for line in _table(rows)))
        self._write("helm-history.json", json.dumps(rows))
        return len(rows)

    def keep_rebuild(self) -> list[str]:
        """Write what a rebuild from nothing needs: manifest, release record, chart archive, claims (SOP 2.7 +).

        Returns:
            The names of the files.
        """
        release = self.release
        record = release.helm.record(release.name, release.revision)
        chart = f"{release.chart}-{release.version}.tgz"
        self._write("manifest.yaml", record.manifest)
        self._write("helm-release.yaml", as_yaml(record.stored))
        self._write(chart, portable_objects.chart_archive(record))
        claims = [name for part in self._agents if (name := part.keep_claim())]
        return ["manifest.yaml", "helm-release.yaml", chart, *claims]

    def verify(self) -> Verdict:
        """Judge the whole: every item, every digest, read back from disk, of the revision that still runs (SOP 2.9)."""
        findings = list(self._incomplete())
        findings += [finding for part in self._agents if part.is_copied for finding in part.home.copy.findings]
        with ThreadPoolExecutor(2) as beside:
            changed = beside.submit(self._changed_release)
            contents = () if findings else self._read_back(beside, findings)
            findings += changed.result()
        self._manifest = None if findings else replace(self._described(), contents=contents)
        return Verdict(f"backup of {self.release.name}", tuple(findings))

    def _read_back(self, beside: Executor, findings: list[Finding]) -> tuple[StoredFile, ...]:
        """Read everything back from disk, the homes member by member; returns the files as they are there."""
        directory = self._created.path
        with storage.translate_os_errors(directory):
            contents = files_below(directory, beside.map)
            findings += proof.read_back_homes(directory, self._described().stored, directory)
            return tuple(contents)

    def seal(self, recipients: Mapping[str, Any]) -> int:
        """Encrypt everything in the backup to the recipients, by their public keys; returns the number of files.

        Raises:
            StepSkipped: there is no recipient; it says what that means.
        """
        if not recipients:
            raise StepSkipped("WARNING: no recipient was named (--encrypt-to); the backup holds credentials in plain")
        manifest, directory = self._sound, self._created.path
        with self._journal.action("encrypt backup", recipients=list(recipients)):
            files = encryption.seal(directory, recipients.values())
        self._manifest = replace(manifest, sealed_to=tuple(recipients), contents=tuple(files_below(directory)))
        return files

    def complete(self, progress: Progress) -> Backup:
        """Give the backup its name, on the local disk or in the store: from here on it is one (SOP 2.10).

        Raises:
            BackupError: the disk is full, the store cannot be used, or it was not judged to be sound.
        """
        sound = self._sound
        named = replace(sound, name=f"{PREFIX}0")  # any name: what could not be read again does not get one
        BackupManifest.parse(named.as_json(), self._created.path)
        if self._store:
            return remote.upload(self._store, self._created.path, sound, self._journal, progress, self._sign)
        return Backup.load(self._created.complete(lambda name: replace(sound, name=name).as_json(), self._sign))

    @property
    def _created(self) -> Partial:
        if self._partial is None:
            raise BackupError("the backup's directory was not created", "see the failed step above")
        return self._partial

    @property
    def _sound(self) -> BackupManifest:
        if self._manifest is None:
            raise BackupError("the backup was not verified", "run the whole stage: pytest suites/backup")
        return self._manifest

    def _incomplete(self) -> Iterator[Finding]:
        missing = [part.agent.key for part in self._agents if not part.is_copied]
        for agent in missing or ([] if self._agents else [self.release.name]):
            yield Finding(agent, "its home was not copied", "the whole home", "see the failed step above")
        for name in _RELEASE_WIDE:
            path = self._created.path / name
            if not path.is_file() or path.stat().st_size == 0:
                yield Finding(name, "missing or empty", "the file that its step writes", "see the failed step above")

    def _changed_release(self) -> list[Finding]:
        release = self.release
        now = release.current()
        if (now.revision, now.status) == (release.revision, release.status):
            return []
        return [
            Finding(
                f"release {release.name}",
                f"it is now at revision {now.revision}, {now.status}",
                f"revision {release.revision}, {release.status}, as when this run began",
                "somebody else works on it: wait until they are done, then run again",
            )
        ]

    def _described(self) -> BackupManifest:
        release = self.release
        homes = tuple(part.stored() for part in self._agents if not part.agent.volume)
        volumes = tuple(part.stored() for part in self._agents if part.agent.volume)
        return BackupManifest(
            schema=backup.SCHEMA if volumes else backup.PLAIN,
            tool=openab_sop.__version__,
            name="",
            sealed_to=(),
            created=self._created.started.isoformat(timespec="seconds"),
            cluster=self._cluster[0],
            cluster_also=tuple(self._cluster[1:]),
            context=release.cluster.access.context,
            namespace=release.namespace,
            release=release.name,
            revision=release.revision,
            chart=release.chart,
            version=release.version,
            agents=homes,
            contents=(),
            volumes=volumes,
            uncovered=self.uncovered,
        )

    def _write(self, name: str, content: str | bytes) -> int:
        data = content.encode() if isinstance(content, str) else content
        storage.replace(self._created.path / name, data)
        return len(data)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table, its columns as wide as they must be."""
    heads = [name.replace("_", " ").upper() for name in rows[0]]
    lines = [heads, *([str(cell) for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
