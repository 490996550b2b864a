"""What has become of an agent's volume since a backup, told by names and digests (SOP 3.5, 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from openab_sop import bounded, temporary
from openab_sop.agents.agent import Agent
from openab_sop.agents.workload import in_home
from openab_sop.backups import database
from openab_sop.backups.archive import Archive, extract
from openab_sop.backups.backup import CONTENTS, HOME, Backup, StoredAgent
from openab_sop.backups.home import ROOM
from openab_sop.backups.inventory import Comparison, Entry, comparison
from openab_sop.backups.items import AGENTS, STEERING
from openab_sop.cluster.pod import Pod
from openab_sop.errors import BackupError, PodError
from openab_sop.escape import command, one_line
from openab_sop.restores.volume import Volume
from openab_sop.upstream.homes import UNDOTTED
from openab_sop.verdict import Finding

VOLATILE = (
    *(f"*{suffix}" for suffix in (*database.LOGS, database.INDEX)),
    *(f"*.git/{name}" for name in ("refs/*", "*_HEAD", "*_MSG", "*.lock", "rebase-*", "sequencer*")),
)
"""Names that come and go while an agent works: logs of databases, git's branches and what it is in the middle of."""
SHOWN = 20
"""Names of a kind that a report quotes; the others are counted."""
PARSED = 1 << 20
"""Bytes of a configuration file that is parsed; a larger one is data."""

_PARSERS: dict[str, Callable[[str], object]] = {
    ".json": lambda text: bounded.load_json(text, "it", any_number=True),
    ".toml": lambda text: bounded.load_toml(text, "it"),
    ".yaml": lambda text: list(bounded.load_all_yaml(text, "it", any_number=True)),
    ".yml": lambda text: list(bounded.load_all_yaml(text, "it", any_number=True)),
}
_READ = 'cat -- "$1" || status=$?'


@dataclass(frozen=True)
class Changes:
    """Paths below a home that are new, changed or gone since the backup; directories' times do not count."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def below(self, paths: Sequence[str]) -> Changes:
        """Return what of it is one of these paths or below; all of it if none are given."""
        return self._filtered(lambda path: not paths or any(PurePosixPath(path).is_relative_to(one) for one in paths))

    def but_for(self, paths: Sequence[str]) -> Changes:
        """Return it without these paths."""
        return self._filtered(lambda path: path not in paths)

    def _filtered(self, wanted: Callable[[str], bool]) -> Changes:
        added, changed, removed = (tuple(filter(wanted, paths)) for paths in (self.added, self.changed, self.removed))
        return Changes(added, changed, removed)

    def __str__(self) -> str:
        kinds = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        return "; ".join(f"{len(paths)} {kind} ({names(paths)})" for kind, paths in kinds if paths) or "nothing changed"


@dataclass(frozen=True)
class Unreadable:
    """What an older version may not read any more, and the paths that go back to the backup with it."""

    finding: Finding
    paths: tuple[str, ...]


class VolumeSince:
    """One agent's volume as a pod has it now, beside a backup of it.

    Args:
        volume: what was looked at last.
        stored: the agent as the backup knows it.
        source: the backup.
        table: the volume's.
        may_vanish: patterns of names, beside those of databases' logs, that may be gone without harm.
    """

    def __init__(
        self,
        volume: Volume,
        stored: StoredAgent,
        source: Backup,
        scratch: Path,
        table: Comparison,
        may_vanish: Sequence[str],
    ) -> None:
        self._pod = volume.pod
        self._home = volume.home
        self._source = source
        self._scratch = scratch
        self._table = table
        self._may_vanish = (*VOLATILE, *may_vanish)
        self.stored = stored
        self.changes = Changes(
            added=tuple(entry.path for entry in table.missing_in_copy()),
            changed=tuple(entry.path for entry in table.unrestored() if self._is_changed(entry)),
            removed=tuple(entry.path for entry in table.missing_in_pod()),
        )

    def entries(self) -> Iterator[Entry]:
        """Yield what is on the volume now."""
        return self._table.all("pod")

    def compared_with(self, earlier: Iterable[Entry]) -> tuple[Changes, int]:
        """Return what has changed since an earlier look, and by how many bytes the files have grown together."""
        self._table.clear("before")
        self._table.add_all("before", earlier)
        added, changed, removed = map(tuple, self._table.since_before())
        return Changes(added, changed, removed), self._table.size("pod") - self._table.size("before")

    def lost(self) -> dict[str, Finding]:
        """Name by its path every file of the backup that is gone (SOP 3.5 +)."""
        expected = "every file that was there before is still there"
        found = {path: self._finding(path, "it is gone", expected) for path in self.gone()}
        lifted = {path: command(f"--may-vanish={in_home(self.stored.inside, path)}") for path in found}
        return {
            path: replace(one, next_step=f"{one.next_step}; if it may be gone: {lifted[path]}")
            for path, one in found.items()
        }

    def gone(self) -> Iterator[str]:
        """Yield the path of every file of the backup that is gone and may not be."""
        for path in self.changes.removed:
            if not any(fnmatchcase(in_home(self.stored.inside, path), pattern) for pattern in self._may_vanish):
                yield path

    def older(self) -> Iterator[str]:
        """Yield the path of each file with another content than the backup's and no later time; but for databases.

        A backup has a copy of a database as of one moment, whose bytes need not be those of its files.
        """
        own = {part for main in self.stored.databases for part in database.parts(main)}
        for path in self.changes.changed:
            ours, theirs = self._table.get("copy", path), self._table.get("pod", path)
            if ours is None or theirs is None or path in own or theirs.mtime_ns > ours.mtime_ns:
                continue
            if ours.type != theirs.type or ours.link != theirs.link or ours.sha256 != theirs.sha256:
                yield path

    def broken_config(self) -> dict[str, Finding]:
        """Name by its path each agents' or steering file that is gone, and agents/default.json without JSON (3.5)."""
        gone, found = set(self.changes.removed), dict[str, Finding]()
        for item in (AGENTS, STEERING) if not self.stored.volume else ():
            for entry in self._table.below("copy", item.path):
                if entry.path in gone:
                    expected = "the configuration that the backup has"
                    found[entry.path] = self._finding(entry.path, "it is gone", expected)
        default = f"{AGENTS.path}/default.json"
        if default in self.changes.changed and not self._parses(default):
            found[default] = self._finding(default, "it is not valid JSON", "valid JSON, as in the backup")
        return found

    def unreadable_to_old(self) -> Iterator[Unreadable]:
        """Name what an older version may not read any more: schemas moved on, files gone or broken (SOP 4.3)."""
        for path in self.gone():
            finding = self._finding(path, "it is gone", "every file that was there before is still there")
            root = self.root_of(path)
            whole = database.parts(path) if root in self.stored.databases else (root,)
            yield Unreadable(finding, (*whole, *self._shared_with(root)))
        yield from self._moved_on()

    def moved(self) -> Iterator[Finding]:
        """Name what is there and what an older version may not read any more: schemas moved on, files broken."""
        return (unreadable.finding for unreadable in self._moved_on())

    def _moved_on(self) -> Iterator[Unreadable]:
        touched = set(self.changes.changed)
        written = touched | set(self.changes.added)  # a migration may stand in a log that was not there before
        for path in filter(self._is_configuration, self.stored.databases):
            if written & set(database.parts(path)) and (moved := self._moved(path)):
                finding = self._finding(path, moved, "a database as the old version left it")
                yield Unreadable(finding, (*database.parts(path), *self._beside(path)))
        for path in sorted(filter(self._is_configuration, touched)):
            if Path(path).suffix in _PARSERS and not self._parses(path) and self._parsed_before(path):
                expected = f"valid {Path(path).suffix[1:]}, as in the backup"
                yield Unreadable(self._finding(path, "it no longer parses", expected), (path,))

    def _is_configuration(self, path: str) -> bool:
        return _is_configuration(in_home(self.stored.inside, path))

    def root_of(self, path: str) -> str:
        """Return what has to be brought back for a path to be there: itself, or the highest directory that is not."""
        for parent in (str(parent) for parent in reversed(PurePosixPath(path).parents)):
            theirs = self._table.get("pod", parent)
            if parent != "." and (theirs is None or theirs.type != "d"):
                return parent
        return path

    def _beside(self, path: str) -> Iterator[str]:
        """Yield what else has changed in a database's own directory: a migration may have rewritten it too."""
        directory = PurePosixPath(path).parent
        sets = {part: database.parts(main) for main in self.stored.databases for part in database.parts(main)}
        for changed in self.changes.changed if str(directory) != "." else ():
            theirs = self._table.get("pod", changed)
            if theirs is not None and theirs.type == "f" and PurePosixPath(changed).parent == directory:
                yield from sets.get(changed, (changed,))

    def _shared_with(self, root: str) -> Iterator[str]:
        """Yield the paths that hold the content of hard links below a root: without them no link can be made."""
        for entry in self._table.below("copy", root):
            if entry.hard_link:
                yield entry.hard_link

    def _moved(self, path: str) -> str:
        """Tell what is otherwise in a database's shape; empty if nothing is."""
        stored = [entry for part in database.parts(path) if (entry := self._table.get("copy", part))]
        try:
            with TemporaryDirectory(dir=self._scratch) as name:
                archive = Archive(Path(name, "now.tar"))
                limit = 4 * sum(entry.size for entry in stored) + ROOM
                theirs = database.copy(self._pod, self._home, path, archive, limit)
                now = database.shape(archive.path, path, theirs, Path(name))
                before = database.shape(self._archive, path, stored, Path(name))
        except BackupError as error:
            return one_line(error.problem)
        return before.unlike(now)

    def _parses(self, path: str) -> bool:
        try:
            _parse(path, self._pod.capture(_READ, self._home, f"./{path}", limit=PARSED))
        except PodError:
            return True  # too large for a configuration, or gone: others name that
        except ValueError:
            return False
        return True

    def _parsed_before(self, path: str) -> bool:
        entry = self._table.get("copy", path)
        if entry is None or entry.type != "f" or entry.size > PARSED:
            return False
        with TemporaryDirectory(dir=self._scratch) as name:
            target = Path(name, "before")
            extract(self._archive, self._table.content("copy", entry).offset, target)
            try:
                _parse(path, target.read_bytes())
            except ValueError:
                return False
        return True

    @property
    def _archive(self) -> Path:
        return self._source.file(f"{self.stored.key}/{HOME}")

    def _is_changed(self, ours: Entry) -> bool:
        theirs = self._table.get("pod", ours.path)
        return theirs is not None and (ours.type != "d" or ours.unlike(theirs) != ["mtime_ns"])

    def _finding(self, path: str, observed: str, expected: str) -> Finding:
        where = f"{self.stored.deployment}:{self._home}/{path}"
        return Finding(where, observed, expected, f"compare with backup {self._source.directory.name}")


@contextmanager
def volume_since(pod: Pod, agent: Agent, backup: Backup, may_vanish: Sequence[str] = ()) -> Generator[VolumeSince]:
    """Look at an agent's volume beside a backup; ``may_vanish`` as ``VolumeSince`` has it.

    Raises:
        PodError: the pod was cut off.
    """
    with temporary.scratch(backup.scratch) as scratch, comparison(scratch) as table, pod.held() as held:
        stored = next(stored for stored in backup.manifest.stored if stored.key == agent.key)
        contents = backup.file(f"{stored.key}/{CONTENTS}")
        volume = Volume(held, agent.home, agent.excluded_mounts, table, contents, ())
        volume.look()
        yield VolumeSince(volume, stored, backup, scratch, table, may_vanish)


def _is_configuration(path: str) -> bool:
    """Tell whether a path is of the agents' own configuration, which is behind a dot, and of nobody's project."""
    return path.startswith(".") or path in UNDOTTED


def _parse(path: str, data: bytes) -> None:
    _PARSERS[Path(path).suffix](data.decode())


def names(paths: Sequence[str]) -> str:
    """Quote names for a report; of many only the first, and how many more there are."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"{', '.join(one_line(repr(path)) for path in paths[:SHOWN])}{more}"
