"""A backup in the making: written aside, judged, and only then given its name (SOP 2.0-2.10)."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

import openab_sop
from openab_sop import backup, database, listing, proof, rebuild, redact, sealing, storage
from openab_sop.agent import Agent
from openab_sop.archive import Archive, extract
from openab_sop.backup import Backup, Manifest, StoredAgent, files_below
from openab_sop.contents import Comparison, Entry, comparison
from openab_sop.errors import BackupError, NotFound, NotNeeded, SopError
from openab_sop.helper_pod import reach
from openab_sop.home import Base, HomeCopy
from openab_sop.items import AUTH, ITEMS, Item
from openab_sop.journal import Journal
from openab_sop.objects import Object
from openab_sop.pod import Pod
from openab_sop.release import Release
from openab_sop.verdict import Finding, Verdict

Progress = Callable[[str, int, int], None]
"""Told an agent's name, the bytes that have arrived from it and those that are expected."""

SPARE = 16 << 20
"""Bytes that must stay free on the disk beyond what the homes take."""


@dataclass(frozen=True)
class CopiedHome:
    """A home that is in the draft: the pod that it came from, what was counted, and the files of each item in it."""

    pod: Pod
    copy: HomeCopy
    items: dict[str, tuple[Entry, ...]]
    claim_uid: str | None
    entries: int
    files: int
    size: int

    def __str__(self) -> str:
        told = f"{self.entries} names, {self.files} files, {self.size} bytes of pod {self.pod.name}"
        told += f"\n  {self.copy.received} bytes received, {self.copy.adopted} taken from the earlier backup"
        for what, names in (
            ("databases", sorted(self.copy.databases)),
            ("vanished meanwhile", self.copy.vanished),
            ("grew meanwhile", self.copy.grown),
            ("sockets, not copied", self.copy.sockets),
            ("mounted from elsewhere, not copied", self.copy.foreign),
        ):
            told += f"\n  {what}: {', '.join(map(repr, names))}" if names else ""
        return told


class Draft:
    """The directory in which a backup of a release is made.

    A run that is killed leaves it behind under a hidden name: nobody takes that for a backup, and the next run
    removes it.

    Args:
        root: where backups are kept (``--backup-root``).
        cluster_id: what tells the cluster from others, for the record.
        base: an earlier backup; what has not changed since is taken from it. This one is complete in itself.
    """

    def __init__(
        self, root: Path, release: Release, cluster_id: str, journal: Journal, base: Backup | None = None
    ) -> None:
        self.release = release
        self.base = base
        self._root = root
        self._cluster_id = cluster_id
        self._journal = journal
        self._homes: dict[str, CopiedHome] = {}
        self._items: dict[str, dict[str, str]] = {agent.deployment: {} for agent in release.agents}
        self._lock = -1
        self._sound = False

    def create(self) -> Path:
        """Create the directory, private, under a name that is no backup's yet (SOP 2.0).

        Raises:
            BackupError: the backup root cannot be used.
        """
        storage.private_directory(self._root)
        with storage.told(self._root), storage.alone(self._root):
            for stale in abandoned(self._root):
                with self._journal.action("remove what a killed run left", directory=stale.name):
                    shutil.rmtree(stale)
            self.started = datetime.now(UTC)
            name = self.started.strftime(backup.NAME_FORMAT)
            self.directory = self._root / f".{name}.{os.getpid()}{backup.PARTIAL}"
            self.directory.mkdir(mode=0o700)
            self._lock = os.open(self.directory, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self.directory

    def discard(self) -> None:
        """Remove what is not a complete backup; nothing happens if it is one, or was never created."""
        if self._lock >= 0:
            shutil.rmtree(self.directory, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def keep_values(self) -> int:
        """Write values.yaml, the user-supplied values (SOP 2.1); returns its bytes."""
        values = self.release.helm.values(self.release.name, self.release.revision)
        return self._write("values.yaml", values)

    def copy_homes(self, progress: Progress) -> dict[str, CopiedHome]:
        """Copy each agent's home in one stream (SOP 2.7; the items of 2.2-2.5 are taken from it).

        Raises:
            BackupError: it failed for at least one agent; the others were copied all the same.
        """
        failures: list[SopError] = []
        for agent in self.release.agents:
            try:
                with self._journal.action("copy home", agent=agent.deployment):
                    self._homes[agent.deployment] = self._copy_home(agent, progress)
            except SopError as error:
                failures.append(error)
        if failures:
            raise BackupError("; ".join(f.problem for f in failures), failures[0].next_step)
        return self._homes

    def keep_item(self, item: Item) -> dict[str, str]:
        """Take one item of every agent out of its copied home (SOP 2.2-2.5).

        Returns:
            By agent: "kept" or "absent".

        Raises:
            NotNeeded: no agent has it in its pod.
            BackupError: a home was not copied.
        """
        for agent in self.release.agents:
            home = self._copied(agent)
            files = home.items[item.name]
            if files:
                with storage.told(self.directory):
                    self._extract(agent, item, files)
            self._items[agent.deployment][item.name] = "kept" if files else "absent"
        found = {agent: items[item.name] for agent, items in self._items.items()}
        if "kept" not in found.values():
            raise NotNeeded(f"no agent has {item.path}: it is absent in the pod too")
        return found

    def keep_secrets(self) -> list[str]:
        """Write every Secret and ConfigMap of the release and its pods (SOP 2.6); returns their file names.

        A name that a pod merely refers to may be missing: the pod runs without it.
        """
        kept: list[str] = []
        for kind, names in (("Secret", self.release.secrets), ("ConfigMap", self.release.config_maps)):
            for name in names:
                try:
                    found = self.release.cluster.get(kind, name)
                except NotFound:
                    continue
                if kind == "Secret":
                    redact.learn_secret(found)
                kept.append(f"{kind.lower()}-{name}.yaml")
                self._write(kept[-1], _yaml(found))
        return kept

    def keep_history(self) -> int:
        """Write Helm's history as text and JSON (SOP 2.7); returns the number of revisions."""
        helm, name = self.release.helm, self.release.name
        self._write("helm-history.txt", helm.history_text(name))
        self._write("helm-history.json", helm.history_json(name))
        return len(helm.history(name))

    def keep_rebuild(self) -> list[str]:
        """Write what a rebuild from nothing needs: manifest, release record, chart archive, claims (SOP 2.7 +).

        Returns:
            The names of the files.
        """
        release = self.release
        stored = rebuild.record(release.cluster, release.name, release.revision)
        self._write("manifest.yaml", release.helm.manifest(release.name, release.revision))
        self._write("helm-release.yaml", _yaml(stored))
        chart = f"{release.chart}-{release.version}.tgz"
        self._write(chart, rebuild.chart_archive(stored))
        claims = [f"{a.deployment}/claim.yaml" for a in release.agents if a.claim and self._keep_claim(a, a.claim)]
        return ["manifest.yaml", "helm-release.yaml", chart, *claims]

    def verify(self) -> Verdict:
        """Judge the whole: every item, every digest, read back from disk, of the revision that still runs (SOP 2.9)."""
        findings = [*self._changed_release(), *self._incomplete()]
        findings += [finding for home in self._homes.values() for finding in home.copy.findings]
        if not findings:
            with storage.told(self.directory):
                self._manifest = self._described()
                findings += proof.verify(self.directory, self._manifest, self.directory).findings
        self._sound = not findings
        return Verdict(f"backup of {self.release.name}", tuple(findings))

    def seal(self, recipients: Mapping[str, Any]) -> int:
        """Encrypt everything in the backup to the recipients, by their public keys; returns the number of files.

        Raises:
            NotNeeded: there is no recipient; it says what that means.
        """
        if not recipients:
            raise NotNeeded("WARNING: no recipient was named (--encrypt-to); the backup holds credentials in plain")
        self._demand_soundness()
        with self._journal.action("encrypt backup", recipients=list(recipients)):
            files = sealing.seal(self.directory, recipients.values())
        self._manifest = replace(
            self._manifest, sealed_to=tuple(recipients), contents=tuple(files_below(self.directory))
        )
        return files

    def complete(self) -> Backup:
        """Give the backup its name: from here on it is one (SOP 2.10).

        Raises:
            BackupError: the disk is full, or it was not judged to be sound.
        """
        self._demand_soundness()
        with storage.told(self.directory), storage.alone(self._root):
            target = self._free_name()
            manifest = replace(self._manifest, name=target.name)
            storage.write(self.directory / backup.MANIFEST, manifest.as_json())
            storage.sync_tree(self.directory)
            with self._journal.action("complete backup", directory=str(target)):
                self.directory.rename(target)
                storage.sync(self._root)
        os.close(self._lock)
        self._lock = -1
        return Backup(target, manifest)

    def _demand_soundness(self) -> None:
        if not self._sound:
            raise BackupError("the backup was not verified", "run the whole stage: pytest suites/backup")

    def _copy_home(self, agent: Agent, progress: Progress) -> CopiedHome:
        with reach(self.release.cluster, agent) as pod:
            return self._copy_from(pod, agent, progress)

    def _copy_from(self, pod: Pod, agent: Agent, progress: Progress) -> CopiedHome:
        into = self._agent_directory(agent) / "pvc-data"
        expected = listing.used(pod, agent.home)
        if (free := storage.free(self.directory)) < expected + SPARE:
            raise BackupError(
                f"the home of {agent.deployment} takes {expected} bytes, and {self._root} has {free} free",
                "make room, or name another directory with --backup-root=DIR",
            )
        with storage.told(into):
            into.mkdir(mode=0o700)
            with comparison(into) as table:
                copy = HomeCopy(
                    pod, agent.home, agent.foreign, Archive(self._agent_directory(agent) / backup.HOME), table
                )
                base = self._base_of(agent)
                copy.run(expected, lambda done, total: progress(agent.deployment, done, total), base)
                return _summed_up(pod, copy, into / "contents.jsonl", self._claim_uid(agent))

    def _base_of(self, agent: Agent) -> Base | None:
        """The copy of the same claim in the backup that this one builds on."""
        stored = {stored.deployment: stored for stored in self.base.manifest.agents} if self.base else {}
        if self.base is None or agent.deployment not in stored:
            return None
        if stored[agent.deployment].claim_uid != self._claim_uid(agent):
            return None
        directory = self.base.directory / agent.deployment
        return Base(directory / backup.HOME, directory / backup.CONTENTS)

    def _extract(self, agent: Agent, item: Item, files: tuple[Entry, ...]) -> None:
        directory = self._agent_directory(agent)
        archive, target = directory / backup.HOME, directory / item.name
        if item is AUTH:
            database.export(archive, item.path, files, target)
            return
        for entry in files:
            below = entry.path.removeprefix(item.path).lstrip("/")
            path = target / below if below else target
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            extract(archive, entry.offset, path)

    def _claim_uid(self, agent: Agent) -> str | None:
        if agent.claim is None:
            return None
        return str(self.release.cluster.get("PersistentVolumeClaim", agent.claim)["metadata"]["uid"])

    def _keep_claim(self, agent: Agent, claim: str) -> bool:
        found = self.release.cluster.get("PersistentVolumeClaim", claim)
        self._agent_directory(agent)
        return self._write(f"{agent.deployment}/claim.yaml", _yaml(found)) > 0

    def _incomplete(self) -> Iterator[Finding]:
        for agent in self.release.agents:
            if agent.deployment not in self._homes:
                yield Finding(
                    agent.deployment, "its home was not copied", "the whole home", "see the failed step above"
                )
        for name in (
            "values.yaml",
            "helm-history.txt",
            "helm-history.json",
            "manifest.yaml",
            "helm-release.yaml",
        ):
            path = self.directory / name
            if not path.is_file() or path.stat().st_size == 0:
                yield Finding(name, "missing or empty", "the file that its step writes", "see the failed step above")

    def _changed_release(self) -> Iterator[Finding]:
        release = self.release
        now = release.current()
        if (now.revision, now.status) != (release.revision, release.status):
            yield Finding(
                f"release {release.name}",
                f"it is now at revision {now.revision}, {now.status}",
                f"revision {release.revision}, {release.status}, as when this run began",
                "somebody else works on it: wait until they are done, then run again",
            )

    def _described(self) -> Manifest:
        release = self.release
        return Manifest(
            schema=backup.SCHEMA,
            tool=openab_sop.__version__,
            name="",
            sealed_to=(),
            created=self.started.isoformat(timespec="seconds"),
            cluster=self._cluster_id,
            context=release.cluster.access.context,
            namespace=release.namespace,
            release=release.name,
            revision=release.revision,
            chart=release.chart,
            version=release.version,
            agents=tuple(self._stored(agent) for agent in release.agents),
            contents=tuple(files_below(self.directory)),
        )

    def _stored(self, agent: Agent) -> StoredAgent:
        home = self._copied(agent)
        return StoredAgent(
            deployment=agent.deployment,
            home=agent.home,
            claim=agent.claim,
            claim_uid=home.claim_uid,
            image=home.pod.image,
            image_id=home.pod.image_id,
            node=home.pod.node,
            items=self._items[agent.deployment],
            entries=home.entries,
            files=home.files,
            bytes=home.size,
            databases=tuple(sorted(home.copy.databases)),
        )

    def _copied(self, agent: Agent) -> CopiedHome:
        if agent.deployment not in self._homes:
            raise BackupError(f"the home of {agent.deployment} was not copied", "see the failed step above")
        return self._homes[agent.deployment]

    def _agent_directory(self, agent: Agent) -> Path:
        path = self.directory / agent.deployment
        with storage.told(path):
            path.mkdir(mode=0o700, exist_ok=True)
        return path

    def _write(self, name: str, content: str | bytes) -> int:
        data = content.encode() if isinstance(content, str) else content
        storage.write(self.directory / name, data)
        return len(data)

    def _free_name(self) -> Path:
        """The name of the moment when it was begun, or of the next second that no other backup has."""
        moment = self.started
        while (target := self._root / moment.strftime(backup.NAME_FORMAT)).exists():
            moment += timedelta(seconds=1)
        return target


def abandoned(root: Path) -> list[Path]:
    """Return the drafts below a backup root that no living run holds."""
    return [path for path in root.glob(f".openab-backup-*{backup.PARTIAL}") if not _held(path)]


def _held(directory: Path) -> bool:
    """Tell whether a living run holds a draft, or has just completed or removed it."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _summed_up(pod: Pod, copy: HomeCopy, contents: Path, claim_uid: str | None) -> CopiedHome:
    """Write the Contents of a copied home and count it."""
    entries = files = size = 0
    with os.fdopen(os.open(contents, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as lines:
        for entry in copy.table.all("copy"):
            lines.write(entry.as_line() + "\n")
            entries, files, size = entries + 1, files + (entry.type == "f"), size + entry.size
    items = {item.name: _files(copy.table, item) for item in ITEMS}
    return CopiedHome(pod, copy, items, claim_uid, entries, files, size)


def _files(table: Comparison, item: Item) -> tuple[Entry, ...]:
    """Return the files of an item; links are in the whole home only, where they cannot lead anybody astray."""
    if item is AUTH:
        parts = (table.get("copy", part) for part in database.parts(item.path))
        return tuple(part for part in parts if part is not None)
    files = (entry for entry in table.below("copy", item.path) if entry.type == "f")
    return tuple(replace(entry, offset=table.content("copy", entry).offset) for entry in files)


def _yaml(found: Object) -> str:
    found["metadata"].pop("managedFields", None)
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
