"""Signed backups: who has written one is proved by an SSH signature over ``backup.json`` (issue 14).

Encryption proves who can read a backup, not who wrote it. ``backup.json`` lists every file with its digest, and nothing
else of a backup is acted on: so a signature over it is one over the whole. It is made and proved by OpenSSH's
ssh-keygen (https://man.openbsd.org/ssh-keygen.1, "SSH signatures"), the key never leaves its file or agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openab_sop import storage, temporary
from openab_sop.backups.backup import MANIFEST, SIGNATURE, Backup, BackupManifest
from openab_sop.backups.remote import RemoteBackup
from openab_sop.errors import BackupError, SettingsError, ToolError
from openab_sop.escape import one_line
from openab_sop.process import run

NAMESPACE = "openab-sop"
"""What the signature is for: one that the same key has made for anything else is none."""
LARGEST = 1 << 16
"""Bytes of a signature at most."""
PATIENCE = 120
"""Seconds that ssh-keygen gets: somebody may have to type a passphrase, or to touch a key."""


@dataclass(frozen=True)
class Signer:
    """Signs with an SSH key; ``key`` is its file, or the public one's of a key that an agent holds."""

    key: Path

    @classmethod
    def of(cls, value: str) -> Signer:
        """Read the value of ``--sign-with``, and sign something: a key that cannot is told before anything is done.

        Raises:
            SettingsError: there is no such file, or ssh-keygen cannot sign with it.
        """
        signer = cls(Path(value).expanduser().absolute())
        if not signer.key.is_file():
            raise SettingsError(
                f"--sign-with={value} is not a file", "name an SSH key; ssh-keygen -t ed25519 makes one"
            )
        try:
            signer.sign(b"")
        except ToolError as error:
            raise SettingsError(f"--sign-with={value}: {error.problem}", error.next_step) from error
        return signer

    def sign(self, text: bytes) -> bytes:
        """Return a signature over a text.

        Raises:
            ToolError: ssh-keygen is missing, or cannot sign with the key.
        """
        argv = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(self.key)]
        return run(argv, timeout=PATIENCE, stdin=text).stdout.encode()


def allowed(value: str) -> Path:
    """Read the value of ``--require-signature``: a file of allowed signers, as ssh-keygen(1) has it.

    Raises:
        SettingsError: there is no such file, or it names nobody.
    """
    path = Path(value).expanduser().absolute()
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--require-signature={value} cannot be read", _EXAMPLE) from error
    if not any(line and not line.startswith("#") for line in lines):
        raise SettingsError(f"--require-signature={value} names no signer", _EXAMPLE)
    return path


_EXAMPLE = "write a line for each who may sign, their name and their public key: us@example.org ssh-ed25519 AAAA..."


def require(found: Backup | RemoteBackup, signers: Path) -> str:
    """Stop unless one of the allowed signers has signed a backup's list; returns who.

    Args:
        signers: a file of allowed signers.

    Raises:
        BackupError: it is not signed, or by nobody of them.
    """
    text, signature = _stored(found)
    if BackupManifest.parse(text, found.place) != found.manifest:
        raise BackupError(
            f"{found.place}/{MANIFEST} was changed since this run has read it", "run the same command again"
        )
    with temporary.scratch() as scratch:
        path = scratch / SIGNATURE
        storage.write(path, signature)
        about = ["-s", str(path), "-f", str(signers)]
        why = "nobody of them has signed it"
        try:
            known = run(["ssh-keygen", "-Y", "find-principals", *about]).stdout.splitlines()
        except ToolError as error:
            raise _refused(found, signers, error.problem) from error
        for who in (line.split(",")[0] for line in known):  # one key may be listed for several, and for other purposes
            try:
                run(["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-I", who, *about], stdin=text)
            except ToolError as error:
                why = error.problem
            else:
                return one_line(who)
    raise _refused(found, signers, why)


def checked(found: Backup | RemoteBackup, signers: Path | None) -> Backup | RemoteBackup:
    """Return a backup, once ``require`` has let it pass if a signature is demanded."""
    if signers is not None:
        require(found, signers)
    return found


def _stored(found: Backup | RemoteBackup) -> tuple[bytes, bytes]:
    """Return a backup's list and its signature, as they are where it is kept."""
    try:
        if isinstance(found, RemoteBackup):
            size = found.store.files(found.name).get(SIGNATURE)
            if size is None:
                raise _unsigned(found)
            _require_size(found, size)
            return found.store.read(f"{found.name}/{MANIFEST}"), found.store.read(f"{found.name}/{SIGNATURE}")
        path = found.directory / SIGNATURE
        if not path.exists():
            raise _unsigned(found)
        _require_size(found, storage.regular(found.directory, SIGNATURE).stat().st_size)
        return storage.regular(found.directory, MANIFEST).read_bytes(), path.read_bytes()
    except OSError as error:
        raise BackupError(f"{found.place}: {error.strerror}", "use another backup") from error


def _require_size(found: Backup | RemoteBackup, size: int) -> None:
    if size > LARGEST:
        raise BackupError(f"{found.place}/{SIGNATURE} has {size} bytes: it is no signature", "use another backup")


def _unsigned(found: Backup | RemoteBackup) -> BackupError:
    return BackupError(
        f"backup {found.place} is not signed, and --require-signature demands it",
        "use one that was made with --sign-with=KEY; without a signature nobody knows who wrote it",
    )


def _refused(found: Backup | RemoteBackup, signers: Path, why: str) -> BackupError:
    return BackupError(
        f"backup {found.place} is not signed by anybody in {signers}: {one_line(why)[-300:]}",
        "do not use it: somebody else may have written or changed it; use another backup",
    )
