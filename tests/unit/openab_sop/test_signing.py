"""Signed backups: whose signature counts, what it covers, and what is refused without one (issue 14)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.backups import signing
from openab_sop.backups.backup import MANIFEST, SIGNATURE, Backup
from openab_sop.backups.partial import Partial
from openab_sop.backups.proof import prove
from openab_sop.backups.remote import RemoteBackup, fetched, upload
from openab_sop.backups.signing import Signer
from openab_sop.backups.store import Store
from openab_sop.errors import BackupError, SettingsError
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import made, written
from tests.unit.openab_sop.test_encryption import ssh_pair


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.of(str(ssh_pair(tmp_path, "ed25519").secret))


@pytest.fixture
def signers(tmp_path: Path, signer: Signer) -> Path:
    """Those who may sign: us, and somebody who never does."""
    path, public = tmp_path / "allowed", signer.key.with_suffix(".pub").read_text()
    (tmp_path / "other").mkdir()
    other = ssh_pair(tmp_path / "other", "ed25519").public
    path.write_text(f"# us\nother@example.org {other}\nus@example.org {public}")
    return signing.allowed(str(path))


@pytest.fixture
def backup(tmp_path: Path, signer: Signer, journal: Journal) -> Backup:
    """A signed backup, completed as the backup stage does."""
    plain = made(tmp_path / "plain")
    partial = Partial(tmp_path / "root", journal)
    shutil.copytree(plain.directory, partial.path, dirs_exist_ok=True)
    (partial.path / MANIFEST).unlink()
    return Backup.load(partial.complete(lambda name: replace(plain.manifest, name=name).as_json(), signer.sign))


def test_a_signed_backup_is_let_pass(backup: Backup, signers: Path) -> None:
    assert signing.require(backup, signers) == "us@example.org"
    assert prove(backup, every_name=True).passed
    assert (backup.directory / SIGNATURE).stat().st_mode & 0o777 == 0o600


def test_a_backup_without_a_signature_is_refused(backup: Backup, signers: Path) -> None:
    (backup.directory / SIGNATURE).unlink()
    with pytest.raises(BackupError, match="is not signed, and --require-signature demands it"):
        signing.require(backup, signers)
    assert signing.checked(backup, None) is backup


def one_field(backup: Backup) -> None:
    path = backup.directory / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "revision": 7}))


def one_file(backup: Backup) -> None:
    (backup.directory / "values.yaml").write_text("image: evil")
    written(backup)


def of_another(backup: Backup) -> None:
    """The signature of somebody else."""
    directory = backup.directory.parent / "thief"
    directory.mkdir()
    thief = Signer.of(str(ssh_pair(directory, "ed25519").secret))
    (backup.directory / SIGNATURE).write_bytes(thief.sign((backup.directory / MANIFEST).read_bytes()))


def for_something_else(backup: Backup) -> None:
    """Of the right key, and for another purpose: as git signs commits."""
    key = backup.directory.parent.parent / "id_ed25519"
    command = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", key]
    done = subprocess.run(command, input=(backup.directory / MANIFEST).read_bytes(), capture_output=True, check=True)
    (backup.directory / SIGNATURE).write_bytes(done.stdout)


def noise(backup: Backup) -> None:
    (backup.directory / SIGNATURE).write_bytes(b"-----BEGIN SSH SIGNATURE-----\n\x1b[2J")


@pytest.mark.parametrize("harm", [one_field, one_file, of_another, for_something_else, noise])
def test_what_nobody_of_them_has_signed_is_refused(
    backup: Backup, signers: Path, harm: Callable[[Backup], None]
) -> None:
    harm(backup)
    with pytest.raises(BackupError, match="is not signed by anybody in") as refused:
        signing.require(Backup.load(backup.directory), signers)
    assert "\x1b" not in str(refused.value)


def test_a_list_that_was_exchanged_behind_us(backup: Backup, signers: Path) -> None:
    """What was read is what must have been signed."""
    read = replace(backup, manifest=replace(backup.manifest, revision=7))
    with pytest.raises(BackupError, match="was changed since this run has read it"):
        signing.require(read, signers)


def test_a_signature_beyond_all_measure(backup: Backup, signers: Path) -> None:
    with (backup.directory / SIGNATURE).open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(BackupError, match="it is no signature"):
        signing.require(backup, signers)


def test_a_backup_in_a_store(tmp_path: Path, signer: Signer, signers: Path, journal: Journal) -> None:
    (tmp_path / "store").mkdir()
    plain, store = made(tmp_path / "plain"), Store(f"file://{tmp_path}/store")
    sent = upload(store, plain.directory, plain.manifest, journal, lambda *_: None, signer.sign)  # pyright: ignore
    found = RemoteBackup.load(store, sent.name)
    assert signing.require(found, signers) == "us@example.org"
    assert found.strangers() == ()
    with fetched(found, tmp_path / "root", journal) as near:
        assert prove(near, every_name=True).passed
    store.write(f"{sent.name}/{MANIFEST}", replace(found.manifest, revision=7).as_json())
    with pytest.raises(BackupError, match="is not signed by anybody in"):
        signing.require(RemoteBackup.load(store, sent.name), signers)


def test_what_is_no_key_and_no_list_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("# nobody\n\n")
    for value in (tmp_path / "nothing", tmp_path):
        with pytest.raises(SettingsError, match="is not a file"):
            Signer.of(str(value))
    with pytest.raises(SettingsError, match="--sign-with="):
        Signer.of(str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="names no signer"):
        signing.allowed(str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="cannot be read"):
        signing.allowed(str(tmp_path / "nothing"))
