"""Encryption at rest: who can read a backup, who cannot, and what is left of a look inside."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from openab_sop.backups.backup import MANIFEST, Backup, files_below
from openab_sop.backups.encryption import opened, parse_identities, parse_recipients, seal
from openab_sop.backups.proof import prove, sealed_files
from openab_sop.errors import BackupError, SettingsError
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import flip, made

_age: Any = pyrage  # it ships no types


@dataclass(frozen=True)
class Pair:
    """A key pair: the public key's text, and the file that holds the secret one."""

    public: str
    secret: Path


def age_pair(directory: Path, name: str) -> Pair:
    """A key pair as age-keygen writes it."""
    identity = _age.x25519.Identity.generate()
    path = directory / name
    path.write_text(f"# created: now\n# public key: {identity.to_public()}\n{identity}\n")
    return Pair(str(identity.to_public()), path)


def ssh_pair(directory: Path, kind: str, passphrase: str = "") -> Pair:
    """A key pair as ssh-keygen writes it."""
    path = directory / f"id_{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return Pair(path.with_suffix(".pub").read_text().strip(), path)


def sealed(root: Path, *recipients: str) -> Backup:
    """A backup that is encrypted to these recipients."""
    plain = made(root)
    keys = parse_recipients(recipients)
    seal(plain.directory, keys.values())
    manifest = replace(plain.manifest, sealed_to=tuple(keys), contents=tuple(files_below(plain.directory)))
    (plain.directory / MANIFEST).write_bytes(manifest.as_json())
    return Backup.load(plain.directory)


def test_everybody_named_can_read_it(tmp_path: Path, journal: Journal) -> None:
    pairs = [
        age_pair(tmp_path, "one"),
        age_pair(tmp_path, "two"),
        ssh_pair(tmp_path, "ed25519"),
        ssh_pair(tmp_path, "rsa"),
    ]
    listed = tmp_path / "recipients"
    listed.write_text(f"# us\n{pairs[1].public}\n\n{pairs[2].public}\n")
    backup = sealed(tmp_path / "root", pairs[0].public, str(listed), pairs[3].public)
    assert {path.suffix for path in backup.directory.rglob("*") if path.is_file()} == {".age", ".json"}
    assert b"secret-of-" not in b"".join(path.read_bytes() for path in backup.directory.rglob("*") if path.is_file())
    assert sealed_files(backup).passed
    for pair in pairs:
        with opened(backup, str(pair.secret), tmp_path / "root", journal) as plain:
            assert prove(plain).passed
            assert plain.directory.stat().st_mode & 0o777 == 0o700
            assert all(path.stat().st_mode & 0o077 == 0 for path in plain.directory.rglob("*"))
        assert not plain.directory.exists()


def test_nobody_else_can(tmp_path: Path, journal: Journal) -> None:
    backup = sealed(tmp_path / "root", age_pair(tmp_path, "right").public)
    before = sorted((tmp_path / "root").iterdir())
    wrong = age_pair(tmp_path, "wrong")
    with (
        pytest.raises(BackupError, match="cannot be decrypted"),
        opened(backup, str(wrong.secret), tmp_path / "root", journal),
    ):
        pass
    with pytest.raises(SettingsError, match="is encrypted to age1"), opened(backup, None, tmp_path / "root", journal):
        pass
    assert sorted((tmp_path / "root").iterdir()) == before


def test_a_damaged_file_is_named_with_and_without_a_key(tmp_path: Path, journal: Journal) -> None:
    pair = age_pair(tmp_path, "key")
    backup = sealed(tmp_path / "root", pair.public)
    flip(backup.directory / "values.yaml.age", -1)
    assert "values.yaml.age" in str(sealed_files(backup))
    with (
        pytest.raises(BackupError, match=r"values\.yaml\.age"),
        opened(backup, str(pair.secret), tmp_path / "root", journal),
    ):
        pass


def test_a_copy_that_a_killed_run_left_goes_with_the_next_look(tmp_path: Path, journal: Journal) -> None:
    root, pair = tmp_path / "root", age_pair(tmp_path, "key")
    backup = sealed(root, pair.public)
    left = root / ".openab-backup-20260101-000000.1.partial"
    left.mkdir()
    (left / "values.yaml").write_text("plain")
    with opened(backup, str(pair.secret), root, journal):
        assert not left.exists()


def test_two_looks_at_once_do_not_meet(tmp_path: Path, journal: Journal) -> None:
    root, pair = tmp_path / "root", age_pair(tmp_path, "key")
    backup = sealed(root, pair.public)
    with opened(backup, str(pair.secret), root, journal) as one, opened(backup, str(pair.secret), root, journal) as two:
        assert one.directory != two.directory
        assert prove(one).passed
        assert prove(two).passed


def test_what_is_not_encrypted_is_read_where_it_is(tmp_path: Path, journal: Journal) -> None:
    backup = made(tmp_path)
    with opened(backup, None, tmp_path / "elsewhere", journal) as plain:
        assert plain is backup
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("value", ["age1nonsense", "ssh-ed25519 AAAA", "/no/such/file", "age1"])
def test_what_is_no_recipient(value: str) -> None:
    with pytest.raises(SettingsError, match="--encrypt-to"):
        parse_recipients([value])


def test_a_recipients_file_with_a_secret_key_in_it_does_not_tell_it(tmp_path: Path) -> None:
    pair = age_pair(tmp_path, "key")
    with pytest.raises(SettingsError) as told:
        parse_recipients([str(pair.secret)])
    assert pair.secret.read_text().splitlines()[-1][16:] not in str(told.value)


@pytest.mark.parametrize(
    "text", [b"", b"age1public", b"AGE-SECRET-KEY-1WRONG", b"-----BEGIN OPENSSH PRIVATE KEY-----\nx", b"\xff\0"]
)
def test_what_is_no_identity(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    with pytest.raises(SettingsError, match="--identity"):
        parse_identities(str(tmp_path / "key"))


def test_no_identity_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        parse_identities(str(tmp_path / "none"))


def test_a_key_that_was_copied_with_the_end_of_its_line(tmp_path: Path) -> None:
    public = age_pair(tmp_path, "one").public
    assert list(parse_recipients((f"{public}\n",))) == [public]
