"""What has to be written meanwhile does not stay, however a run ends (issue 14)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from openab_sop import temporary
from openab_sop.backups.encryption import opened
from openab_sop.backups.proof import prove
from openab_sop.journal import Journal
from tests.unit.openab_sop.test_encryption import age_pair, sealed

HOLDS = """
import os, sys
from openab_sop import temporary
with temporary.scratch() as scratch:
    (scratch / "plain").write_text("unmistakable")
    print(scratch, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def holding() -> tuple[subprocess.Popen[str], Path]:
    """Another run that has a scratch directory."""
    command = [sys.executable, "-c", HOLDS]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_it_is_private_and_goes(elsewhere: Path) -> None:
    with temporary.scratch() as scratch:
        assert scratch.parent == elsewhere
        assert scratch.stat().st_mode & 0o777 == 0o700
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(ZeroDivisionError), temporary.scratch():
        _ = 1 / 0
    assert list(elsewhere.iterdir()) == []


def test_that_of_a_killed_run_goes_with_the_next(elsewhere: Path) -> None:
    process, path = holding()
    with temporary.scratch():
        assert (path / "plain").exists(), "a run that lives keeps its own"
    process.kill()
    process.wait()
    assert (path / "plain").exists()
    with temporary.scratch(elsewhere):  # also if that one has another place
        assert not path.exists()
    assert list(elsewhere.iterdir()) == []


def test_what_others_have_put_there_is_left_alone(elsewhere: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (elsewhere / f"{temporary.PREFIX}link").symlink_to(kept)
    (elsewhere / f"{temporary.PREFIX}file").touch()
    if os.geteuid() == 0:
        (theirs := elsewhere / f"{temporary.PREFIX}theirs").mkdir()
        os.chown(theirs, 54321, 54321)
    there = set(elsewhere.iterdir())
    temporary.clear()
    assert set(elsewhere.iterdir()) == there
    assert (kept / "file").exists()


def test_within_another_directory(tmp_path: Path, elsewhere: Path) -> None:
    with temporary.scratch(tmp_path) as scratch:
        assert scratch.parent == tmp_path
        assert list(elsewhere.iterdir()) == []
    assert not scratch.exists()


PROVES = """
import sys
from pathlib import Path
from openab_sop.backups import database, proof
from openab_sop.backups.backup import Backup
from openab_sop.backups.encryption import opened
from openab_sop.journal import Journal

def stop(found):
    print("extracted", flush=True)
    sys.stdin.read()
    return "ok"

database._integrity = stop
root, backup, key = map(Path, sys.argv[1:])
with opened(Backup.load(backup), str(key), root, Journal(root / "journal.jsonl")) as plain:
    proof.prove(plain)
"""


def holders(place: Path) -> list[Path]:
    """The files below a directory that have an SQLite database in plain."""
    return [path for path in place.rglob("*") if path.is_file() and b"SQLite format 3" in path.read_bytes()]


def test_a_database_of_an_encrypted_backup_never_lies_in_the_temporary_directory(
    elsewhere: Path, tmp_path: Path
) -> None:
    """A run is killed while it has one extracted: what it leaves is below the backup root, and goes with the next."""
    pair, root = age_pair(tmp_path, "key"), tmp_path / "root"
    backup = sealed(root, pair.public)
    shutil.rmtree(root / f".home-of-{backup.name}")
    process = subprocess.Popen(
        [sys.executable, "-c", PROVES, root, backup.directory, pair.secret],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "extracted\n"
    assert len(holders(root)) > 1, "nothing is extracted: this test proves nothing"
    process.kill()
    process.wait()
    assert holders(elsewhere) == []
    journal = Journal(tmp_path / "journal.jsonl")
    with opened(backup, str(pair.secret), root, journal) as plain:
        assert prove(plain).passed
        assert [path for path in holders(root) if not path.is_relative_to(plain.directory)] == []
    journal.close()
    assert holders(root) == holders(elsewhere) == []
