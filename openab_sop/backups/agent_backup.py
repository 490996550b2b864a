"""One volume's part of a backup in the making: what is on it, the SOP's items out of a home, its claim (SOP 2.2-2.7).

A further volume of an agent is the agent with that in its home's place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from openab_sop import storage
from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import reach
from openab_sop.agents.snapshot import snapshot_class, snapshot_pod
from openab_sop.backups import database, listing
from openab_sop.backups.archive import Archive, extract
from openab_sop.backups.backup import CONTENTS, HOME, Backup, StoredAgent
from openab_sop.backups.home import Base, HomeCopy
from openab_sop.backups.inventory import Comparison, Entry, comparison
from openab_sop.backups.items import AUTH, ITEMS, Item
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.pod import Pod
from openab_sop.errors import BackupError, Broken, SopError
from openab_sop.objects import as_yaml, at

Progress = Callable[[str, int, int], None]
"""Told an agent's name, the bytes that have arrived from it and those that are expected."""

SPARE = 16 << 20
"""Bytes that must stay free on the disk beyond what a home takes."""


@dataclass(frozen=True)
class CopiedHome:
    """A home that was copied: the pod that it came from, what was counted, and the files of each item in it."""

    pod: Pod
    copy: HomeCopy
    items: dict[str, tuple[Entry, ...]]
    entries: int
    files: int
    size: int

    def __str__(self) -> str:
        summary = f"{self.entries} names, {self.files} files, {self.size} bytes of pod {self.pod.name}"
        summary += f"\n  {self.copy.received} bytes received, {self.copy.adopted} taken from the earlier backup"
        if self.copy.refused_base:
            summary += f"\n  the earlier backup is damaged, nothing was taken from it: {self.copy.refused_base}"
        for what, names in (
            ("databases", sorted(self.copy.databases)),
            ("vanished meanwhile", self.copy.vanished),
            ("grew meanwhile", self.copy.grown),
            ("sockets, not copied", self.copy.sockets),
            ("mounted from elsewhere, not copied", self.copy.excluded_mounts),
        ):
            summary += f"\n  {what}: {', '.join(map(repr, names))}" if names else ""
        return summary


class AgentBackup:
    """One agent's directory in a backup.

    Args:
        directory: the backup's, in the making.
        base: an earlier backup; what has not changed since is taken from it.
    """

    def __init__(self, agent: Agent, cluster: Cluster, directory: Path, base: Backup | None) -> None:
        self.agent = agent
        self.items: dict[str, str] = {}
        self._cluster = cluster
        self._directory = directory / agent.key
        self._base = base
        self._claim_uid: str | None = None
        self._home: CopiedHome | None = None
        self._ready: Pod | None = None
        with storage.translate_os_errors(self._directory):
            storage.private_directory(self._directory)

    @property
    def home(self) -> CopiedHome:
        """The home as it was copied.

        Raises:
            BackupError: it was not.
        """
        if self._home is None:
            raise BackupError(f"the home of {self.agent.key} was not copied", "see the failed step above")
        return self._home

    @property
    def is_copied(self) -> bool:
        """Whether the home was copied."""
        return self._home is not None

    def keep_claim(self) -> str | None:
        """Write the claim as the API has it; returns the file's name, None if the agent has no claim."""
        if self.agent.claim is None:
            return None
        claim = self._cluster.get("PersistentVolumeClaim", self.agent.claim)
        storage.replace(self._directory / "claim.yaml", as_yaml(claim))
        return f"{self.agent.key}/claim.yaml"

    def hold_snapshot(self, above: int, stack: ExitStack) -> str:
        """Hold the home as it is now, if it is large: ``copy_home`` then reads that (SOP 2.8).

        Args:
            above: bytes that a home must take for that.
            stack: what ends the hold, and the way to the pod.

        Returns:
            What was done, or why nothing was: where no snapshot is to be had, the home is read as it is.
        """
        agent, cluster = self.agent, self._cluster
        with ExitStack() as own:
            pod = own.enter_context(reach(cluster, agent))
            used = listing.used(pod, agent.home)
            if used <= above:
                self._ready = pod
                stack.push(own.pop_all())
                return f"{used} bytes: small enough to be read from the pod"
        if agent.claim is None:
            return f"{used} bytes, on no claim: read from the pod"
        if (found := snapshot_class(cluster, agent.claim)) is None:
            return f"WARNING: {used} bytes, and no snapshot class for its volume: read from the pod while it is in use"
        with reach(cluster, agent) as pod:
            listing.flush(pod, agent.home)
        try:
            self._ready = stack.enter_context(snapshot_pod(cluster, agent, agent.claim, found))
        except Broken:
            raise
        except SopError as trouble:
            return f"WARNING: {used} bytes, read from the pod while it is in use: no snapshot: {trouble.problem}"
        return f"{used} bytes: held by a snapshot of class {found}"

    def copy_home(self, progress: Progress) -> CopiedHome:
        """Copy the home, through the agent's pod or a helper's.

        Raises:
            PodError, BackupError: it cannot be reached, was cut off, or does not fit on the disk.
        """
        if self.agent.claim:
            claim = self._cluster.get("PersistentVolumeClaim", self.agent.claim)
            self._claim_uid = str(at(claim, "metadata", "uid"))
        try:
            with self._reach() as pod, storage.translate_os_errors(self._directory):
                self._home = self._copy_from(pod, progress)
        except Broken:  # what was held went with the line
            self._ready = None
            raise
        return self._home

    def keep_item(self, item: Item) -> str:
        """Take an item out of the copied home; returns "kept", or "absent" if the pod has none.

        Raises:
            BackupError: the home was not copied, or the item is damaged.
        """
        files = self.home.items[item.name]
        with storage.translate_os_errors(self._directory):
            if files and item is AUTH:
                database.export(self._directory / HOME, item.path, files, self._directory / item.name)
            elif files:
                self._extract(item, files)
        self.items[item.name] = "kept" if files else "absent"
        return self.items[item.name]

    def stored(self) -> StoredAgent:
        """Return what the backup's manifest says of the agent."""
        return StoredAgent(
            deployment=self.agent.deployment,
            home=self.agent.home,
            claim=self.agent.claim,
            claim_uid=self._claim_uid,
            image=self.home.pod.image,
            image_id=self.home.pod.image_id,
            node=self.home.pod.node,
            items=self.items,
            entries=self.home.entries,
            files=self.home.files,
            bytes=self.home.size,
            databases=tuple(sorted(self.home.copy.databases)),
            volume=self.agent.volume,
            inside=self.agent.inside,
        )

    def _reach(self) -> AbstractContextManager[Pod]:
        return nullcontext(self._ready) if self._ready else reach(self._cluster, self.agent)

    def _copy_from(self, pod: Pod, progress: Progress) -> CopiedHome:
        name = self.agent.key
        into = (self._directory / HOME).parent
        storage.private_directory(into)
        for path in (self._directory / HOME, self._directory / CONTENTS):
            path.unlink(missing_ok=True)  # of a try whose line broke
        with pod.held() as held, comparison(into) as table:
            expected = listing.used(held, self.agent.home)
            if (free := storage.free(self._directory)) < expected + SPARE:
                raise BackupError(
                    f"the home of {name} takes {expected} bytes, and {self._directory.parent.parent} has {free} free",
                    f"make room, or name {storage.ANOTHER}",
                )
            copy = HomeCopy(held, self.agent.home, self.agent.excluded_mounts, Archive(self._directory / HOME), table)
            copy.run(expected, lambda done, total: progress(name, done, total), self._earlier())
            return _summed_up(pod, copy, self._directory / CONTENTS)

    def _earlier(self) -> Base | None:
        """The copy of the same claim in the backup that this one builds on."""
        for stored in self._base.manifest.stored if self._base else ():
            if stored.key == self.agent.key and stored.claim_uid == self._claim_uid:
                assert self._base is not None
                return self._base_of(self._base, stored.key)
        return None

    @staticmethod
    def _base_of(base: Backup, key: str) -> Base | None:
        """The copy of a volume in an earlier backup, if that lists it."""
        archive, contents = f"{key}/{HOME}", f"{key}/{CONTENTS}"
        digests = {file.path: file.sha256 for file in base.manifest.contents}
        if not {archive, contents} <= digests.keys():
            return None

        def check() -> None:
            base.path(archive)
            base.file(contents)

        return Base(base.directory / archive, digests[archive], base.directory / contents, check)

    def _extract(self, item: Item, files: tuple[Entry, ...]) -> None:
        target = self._directory / item.name
        for entry in files:
            below = entry.path.removeprefix(item.path).lstrip("/")
            path = target / below if below else target
            storage.private_directory(path.parent)
            extract(self._directory / HOME, entry.offset, path)


def _summed_up(pod: Pod, copy: HomeCopy, contents: Path) -> CopiedHome:
    """Write the Contents of a copied home and count it."""
    entries = files = size = 0
    with os.fdopen(os.open(contents, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as lines:
        for entry in copy.table.all("copy"):
            lines.write(entry.as_line() + "\n")
            entries, files, size = entries + 1, files + (entry.type == "f"), size + entry.size
    return CopiedHome(pod, copy, {item.name: _files(copy.table, item) for item in ITEMS}, entries, files, size)


def _files(table: Comparison, item: Item) -> tuple[Entry, ...]:
    """Return the files of an item; links are in the whole home only, where they cannot lead anybody astray."""
    if item is AUTH:
        parts = (table.get("copy", part) for part in item.paths)
        return tuple(part for part in parts if part is not None)
    files = (entry for entry in table.below("copy", item.path) if entry.type == "f")
    return tuple(replace(entry, offset=table.content("copy", entry).offset) for entry in files)
