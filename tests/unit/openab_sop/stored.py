"""Small backups as the backup stage writes them, made without a cluster."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from openab_sop.backups.archive import TAR, Archive
from openab_sop.backups.backup import CONTENTS, HOME, MANIFEST, SCHEMA, Backup, BackupManifest, StoredAgent, files_below
from openab_sop.backups.inventory import comparison

AGENT = "openab-kiro"
DATABASE = "data.sqlite3"


def pack(home: Path, *names: str) -> bytes:
    """What tar in a pod writes for these names."""
    listed = b"".join(os.fsencode(f"./{name}") + b"\0" for name in names)
    return subprocess.run(["sh", "-c", TAR], cwd=home, input=listed, capture_output=True, check=True).stdout


def fill(home: Path) -> list[str]:
    """Make a home with a file of each kind that matters; returns its names."""
    (home / "directory").mkdir(parents=True)
    (home / "directory" / "file").write_bytes(bytes(range(256)) * 400)
    (home / "link").symlink_to("directory")
    (home / "second").hardlink_to(home / "directory" / "file")
    (home / "small").write_text("small\n")
    with closing(sqlite3.connect(home / DATABASE)) as database:
        database.execute("CREATE TABLE heartbeat (n INTEGER)")
        database.execute("INSERT INTO heartbeat VALUES (1)")
        database.commit()
    return ["directory", "directory/file", "link", "second", "small", DATABASE]


def made(root: Path, name: str = "openab-backup-20260101-000000", *, release: str = "openab") -> Backup:
    """Make a sound backup of one agent below ``root``."""
    home = root / f".home-of-{name}"
    names = fill(home)
    directory = root / name
    (directory / AGENT / "pvc-data").mkdir(parents=True)
    (directory / "values.yaml").write_text(f"token: secret-of-{name}\n")
    archive = Archive(directory / AGENT / HOME)
    with comparison(directory) as table:
        for member in archive.append(io.BytesIO(pack(home, *names))):
            table.add("copy", table.linked("copy", member.entry))
        lines = [entry.as_line() + "\n" for entry in table.all("copy")]
    archive.close()
    (directory / AGENT / CONTENTS).write_text("".join(lines))
    agent = StoredAgent(
        deployment=AGENT,
        home="/home/agent",
        claim=AGENT,
        claim_uid="uid",
        image="image",
        image_id="id",
        node="node",
        items={},
        entries=len(lines),
        files=4,
        bytes=1,
        databases=(DATABASE,),
    )
    return written(of_agent(directory, agent, release=release))


def of_agent(directory: Path, agent: StoredAgent, *, release: str = "openab") -> Backup:
    """Take what is in a directory for a backup of one agent; it lists what is there."""
    manifest = BackupManifest(
        schema=SCHEMA,
        tool="0",
        name=directory.name,
        sealed_to=(),
        created="2026-01-01T00:00:00+00:00",
        cluster="cluster-of-tests",
        context="context",
        namespace="namespace",
        release=release,
        revision=1,
        chart="openab",
        version="0.8.1",
        agents=(agent,),
        contents=tuple(files_below(directory)),
    )
    return Backup(directory, manifest)


def written(backup: Backup) -> Backup:
    """Write a backup's ``backup.json``, listing the files that are there now."""
    manifest = replace(backup.manifest, contents=tuple(files_below(backup.directory)))
    (backup.directory / MANIFEST).write_bytes(manifest.as_json())
    return Backup.load(backup.directory)


def flip(path: Path, offset: int, bit: int = 1) -> None:
    """Turn one bit of a file over."""
    raw = bytearray(path.read_bytes())
    raw[offset] ^= bit
    path.write_bytes(raw)
