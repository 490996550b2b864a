"""Backups encrypted at rest with age (https://age-encryption.org): everything in them but ``backup.json``.

A sealed backup is a backup whose files end in ``.age``. To look inside, it is opened into a private directory below the
backup root, which is gone again when the look is over, and by the next run if this one was killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage

from openab_sop import storage
from openab_sop.backups.backup import RETAKE, Backup, StoredFile, files_below
from openab_sop.backups.partial import Partial
from openab_sop.errors import BackupError, SettingsError
from openab_sop.journal import Journal

SUFFIX = ".age"

_age: Any = pyrage  # it ships no types

_GENERATE = "age-keygen -o key.txt makes a pair; its public key begins with age1"


def parse_recipients(values: Sequence[str]) -> dict[str, Any]:
    """Read the values of ``--encrypt-to``; returns the recipients by their public keys.

    Args:
        values: public keys (age1..., ssh-ed25519 ..., ssh-rsa ...), or files with one a line.

    Raises:
        SettingsError: one is neither.
    """
    found: dict[str, Any] = {}
    for value in values:
        for key in _lines(value, "--encrypt-to") if not value.startswith(("age1", "ssh-")) else [value.strip()]:
            try:
                kind = _age.ssh if key.startswith("ssh-") else _age.x25519
                found[key] = kind.Recipient.from_str(key)
            except _age.RecipientError as error:
                raise SettingsError(f"--encrypt-to={value}: {key[:24]}... is not a public key", _GENERATE) from error
    return found


def parse_identities(path: str) -> list[Any]:
    """Read the file named by ``--identity``: age secret keys, one a line, or an SSH private key.

    Raises:
        SettingsError: it cannot be read, or holds none.
    """
    try:
        text = Path(path).expanduser().read_bytes()
        if text.startswith(b"-----BEGIN"):
            return [_age.ssh.Identity.from_buffer(text)]
        keys = [line for line in text.decode().splitlines() if line.startswith("AGE-SECRET-KEY-")]
        if keys:
            return [_age.x25519.Identity.from_str(key) for key in keys]
    except OSError as error:
        raise SettingsError(f"--identity={path}: {error.strerror}", "name the file with your age secret key") from error
    except (ValueError, _age.IdentityError):
        pass
    raise SettingsError(f"--identity={path} holds no age or SSH secret key", "name the file that age-keygen wrote")


def seal(directory: Path, recipients: Iterable[Any]) -> int:
    """Encrypt every file below a directory in its place; returns how many.

    Raises:
        BackupError: the disk is full.
    """
    files = [path for path in directory.rglob("*") if path.is_file()]
    with storage.translate_os_errors(directory):
        seal_files(files, recipients)
    return len(files)


def seal_files(files: Iterable[Path], recipients: Iterable[Any]) -> None:
    """Encrypt files, each in its place."""
    everybody = list(recipients)
    for path in files:
        target = path.with_name(path.name + SUFFIX)
        with path.open("rb") as plain, storage.private_file(target) as sealed:
            _age.encrypt_io(plain, sealed, everybody)
        path.unlink()


@contextmanager
def opened(backup: Backup, identity: str | None, root: Path, journal: Journal) -> Generator[Backup]:
    """Give a backup whose files can be read: itself if it is not sealed, else a private copy that is gone afterwards.

    Args:
        identity: value of ``--identity``.
        root: the backup root, where the copy is made.
        journal: where it is recorded what an earlier run has left there.

    Raises:
        SettingsError: it is sealed, and no identity was named.
        BackupError: the identity is not of its recipients, or a file is damaged.
    """
    if not backup.manifest.sealed_to:
        yield backup
        return
    if identity is None:
        raise SettingsError(
            f"backup {backup.name} is encrypted to {', '.join(backup.manifest.sealed_to)}",
            "name the file with a secret key for it: --identity=FILE",
        )
    keys = parse_identities(identity)
    copy = Partial(root, journal)
    try:
        for file in backup.manifest.contents:
            source = storage.regular(backup.directory, file.path)
            _open_one(source, file, copy.path / file.path.removesuffix(SUFFIX), keys)
        plain = replace(backup.manifest, sealed_to=(), contents=tuple(files_below(copy.path)))
        yield Backup(copy.path, plain, backup.url, backup.manifest.sealed_to, backup.unlisted())
    finally:
        copy.discard()


def _open_one(source: Path, listed: StoredFile, target: Path, keys: list[Any]) -> None:
    """Decrypt a file that has the digest that is listed: by itself encryption does not prove which file it is."""
    storage.private_directory(target.parent)
    with storage.translate_os_errors(target), source.open("rb") as sealed, storage.private_file(target) as plain:
        if hashlib.file_digest(sealed, "sha256").hexdigest() != listed.sha256:
            raise BackupError(f"the content of {listed.path} has changed since it was backed up", RETAKE)
        sealed.seek(0)
        try:
            _age.decrypt_io(sealed, plain, keys)
        except (_age.DecryptError, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the disk's own; age's, of a damaged file, has no number
            raise BackupError(
                f"{source.name} cannot be decrypted: {error}",
                "name the right secret key with --identity; if it is right, the file is damaged: use another backup",
            ) from error


def _lines(path: str, option: str) -> list[str]:
    try:
        lines = [line.strip() for line in Path(path).expanduser().read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{option}={path} is neither a public key nor a file that can be read", _GENERATE
        ) from error
    return [line for line in lines if line and not line.startswith("#")]
