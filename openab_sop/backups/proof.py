"""The proof that a backup is what it was when it was made (SOP 2.9): in full, or by a sample."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from openab_sop import storage, temporary
from openab_sop.backups import database
from openab_sop.backups.archive import digest_of, read_back
from openab_sop.backups.backup import CONTENTS, HOME, RETAKE, Backup, StoredAgent, StoredFile
from openab_sop.backups.inventory import Comparison, Entry, comparison, read
from openab_sop.errors import BackupError, SopError, StepSkipped
from openab_sop.verdict import Finding, Verdict

SAMPLE = 100
"""Files of each home that a quick check reads."""


def prove(backup: Backup, *, quick: bool = False, every_name: bool = False) -> Verdict:
    """Read a backup back and name every damage; the backup itself is only read.

    Args:
        quick: read a sample of each home, not the whole of it. What a sample misses it cannot name.
        every_name: name whatever is there and is not listed; else only what passes for a part of the backup.
    """
    with temporary.scratch(backup.scratch) as scratch:
        verdict = verify(backup, scratch, quick=quick)
    found = (_stranger(name) for name in backup.unlisted() if every_name or _passes_for_ours(name))
    return Verdict(verdict.checked, (*verdict.findings, *found))


def belongs(backup: Backup, namespace: str | None, release: str | None) -> Verdict:
    """Check that a backup is of the release that was named.

    Args:
        namespace, release: values of ``--namespace`` and ``--release``.

    Raises:
        StepSkipped: none was named.
    """
    manifest = backup.manifest
    named = {"namespace": (namespace, manifest.namespace), "release": (release, manifest.release)}
    if namespace is None and release is None:
        raise StepSkipped("no release was named: the backup may be of any")
    findings = (
        Finding(
            "backup.json", f"it is of {what} {theirs}", f"one of {what} {ours}", f"name another, or leave out --{what}"
        )
        for what, (ours, theirs) in named.items()
        if ours not in (None, theirs)
    )
    return Verdict("release of the backup", tuple(findings))


def sealed_files(backup: Backup) -> Verdict:
    """Read an encrypted backup's files and name those that have changed; takes no key, and cannot look inside.

    Raises:
        StepSkipped: it is not encrypted.
    """
    if not backup.manifest.sealed_to:
        raise StepSkipped("the backup is not encrypted: the next step reads its files")
    return prove(backup, every_name=True)


def verify(backup: Backup, scratch: Path, *, quick: bool = False) -> Verdict:
    """Read what a backup lists back from its directory; of a sealed one, the encrypted files are all there is.

    Args:
        scratch: a private directory for what has to be written meanwhile.
    """
    directory, manifest = backup.directory, backup.manifest
    findings = list(_damaged_files(backup))
    damaged = {finding.subject for finding in findings}
    for agent in manifest.stored if not manifest.sealed_to else ():
        parts = {f"{agent.key}/{name}" for name in (HOME, CONTENTS)}
        if not parts & damaged:
            findings += _damaged_home(directory, backup, agent, scratch, quick=quick)
    if findings and directory.name != manifest.name and not directory.name.startswith("."):
        swapped = Finding("backup.json", f"it is of backup {manifest.name}", f"the one of {directory.name}", RETAKE)
        findings.insert(0, swapped)
    how = "encrypted files only" if manifest.sealed_to else "sampled" if quick else "read back in full"
    return Verdict(f"backup {manifest.name or directory.name}, {how}", tuple(findings))


def read_back_homes(directory: Path, agents: Iterable[StoredAgent], scratch: Path) -> list[Finding]:
    """Read the homes of a backup in the making back in full; no manifest lists its files' digests yet (SOP 2.9)."""
    return [finding for agent in agents for finding in _damaged_home(directory, None, agent, scratch)]


def _stranger(name: str) -> Finding:
    return Finding(
        name,
        "it is there, and backup.json does not list it",
        "nothing but the files that it lists",
        "find out who has put it there, and move it out of the backup's directory",
    )


def _passes_for_ours(name: str) -> bool:
    """Tell whether a name at the top is one that a restore or a rebuild looks for."""
    return name.startswith(("secret-", "configmap-")) and name.endswith((".yaml", ".yaml.age"))


def _damaged_files(backup: Backup) -> Iterator[Finding]:
    """Check every file but the archives' content, which is read member by member."""
    for file in backup.manifest.contents:
        if not os.path.lexists(backup.directory / file.path):
            yield Finding(file.path, "missing", "as when it was written", RETAKE)
            continue
        try:
            path = storage.regular(backup.directory, file.path)
        except BackupError as error:
            yield Finding(file.path, error.problem, "as when it was written", error.next_step)
            continue
        if (size := path.stat().st_size) != file.size:
            yield Finding(file.path, f"{size} bytes long", f"{file.size} bytes", RETAKE)
        elif not _is_archive(file) and storage.digest(path) != file.sha256:
            yield _changed(file)


def _damaged_home(
    directory: Path, backup: Backup | None, agent: StoredAgent, scratch: Path, *, quick: bool = False
) -> Iterator[Finding]:
    """Compare a home's archive with its Contents, and open its databases."""
    try:
        archive = backup.path(f"{agent.key}/{HOME}") if backup else directory / agent.key / HOME
        with comparison(scratch) as table:
            contents = backup.file(f"{agent.key}/{CONTENTS}") if backup else directory / agent.key / CONTENTS
            with contents.open() as lines:
                table.add_all("pod", read(lines))
            if quick:
                yield from _sampled(archive, agent, table)
            else:
                yield from _read_through(archive, agent, table, backup)
            for path in agent.databases:
                parts = (table.get("pod", part) for part in database.parts(path))
                database.check(archive, path, filter(None, parts), scratch)
    except (SopError, OSError, sqlite3.Error) as error:
        said = error.problem if isinstance(error, SopError) else str(error)
        yield Finding(f"{agent.key}/{HOME}", said, "as when it was written", RETAKE)


def _read_through(archive: Path, agent: StoredAgent, table: Comparison, backup: Backup | None) -> Iterator[Finding]:
    file = backup.manifest.listed(f"{agent.key}/{HOME}") if backup else None
    state = backup.state(file.path) if backup and file else ()
    whole = hashlib.sha256()
    members = read_back(archive, whole if file else None)
    table.add_all("copy", (table.linked("copy", member.entry) for member in members))
    for entry in table.differing():
        if entry.path != ".":
            yield _otherwise(agent, entry)
    if backup and file and whole.hexdigest() == file.sha256:
        backup.vouch_for(file.path, state)
    elif file:
        yield _changed(file)


def _sampled(archive: Path, agent: StoredAgent, table: Comparison) -> Iterator[Finding]:
    for entry in table.sample("pod", SAMPLE):
        if digest_of(archive, table.content("pod", entry).offset) != entry.sha256:
            yield _otherwise(agent, entry)


def _otherwise(agent: StoredAgent, entry: Entry) -> Finding:
    return Finding(f"{agent.key}: {entry.path}", "the archive has it otherwise", "as the Contents say", RETAKE)


def _changed(file: StoredFile) -> Finding:
    return Finding(file.path, "its content has changed", f"SHA-256 {file.sha256}", RETAKE)


def _is_archive(file: StoredFile) -> bool:
    return file.path.endswith(f"/{HOME}")
