"""Encrypted backups on the real node: nothing readable on disk, and everything that a backup is for still works."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest

from sandbox import Status
from tests.integration.conftest import ROOT, Run
from tests.integration.suites.tiny import DEPLOYMENT, Tiny, tiny_release
from world import World

_age: Any = pyrage  # it ships no types
PLANTED = "planted-in-the-home-5f1c"
IN_VALUES = "planted-in-the-values-77ab"


@dataclass(frozen=True)
class Sealed:
    """A release, an encrypted backup of it, the run that made it, and files with keys."""

    tiny: Tiny
    backup: Path
    run: Run
    age: Path
    ssh: Path
    wrong: Path
    recipients: str


def identity(path: Path) -> str:
    """Write a new age secret key; its public key."""
    key = _age.x25519.Identity.generate()
    path.write_text(f"{key}\n")
    path.chmod(0o600)
    return str(key.to_public())


@pytest.fixture(scope="module")
def sealed(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    keys = tmp_path_factory.mktemp("keys")
    (keys / "recipients").write_text(f"# the team\n{identity(keys / 'age')}\n")
    identity(keys / "wrong")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "ssh"], check=True)
    recipients = f"{keys / 'recipients'},{(keys / 'ssh.pub').read_text().strip()}"
    values = {"env": {"OPENAB_WRITE_INTERVAL": "0", "SOME_TOKEN": IN_VALUES}}
    with tiny_release(world, status, tmp_path_factory.mktemp("sealed"), values) as tiny:
        tiny.shell(
            f"mkdir -p .kiro/steering && echo {PLANTED} > .kiro/steering/note && head -c 3000000 /dev/urandom > big"
        )
        run, backup = tiny.backup(f"--encrypt-to={recipients}")
        yield Sealed(tiny, backup, run, keys / "age", keys / "ssh", keys / "wrong", recipients)


def test_nothing_readable_is_on_disk(sealed: Sealed) -> None:
    files = [path for path in sealed.tiny.suites.backup_root.glob("openab-backup-*/**/*") if path.is_file()]
    assert {path.name if path.suffix == ".json" else path.suffix for path in files} == {"backup.json", ".age"}
    secret = json.loads(sealed.tiny.kubectl("get", "secret", DEPLOYMENT, "--output=json"))["data"]
    token = base64.b64decode(next(iter(secret.values())))
    raw = b"".join(path.read_bytes() for path in sealed.tiny.suites.backup_root.rglob("*") if path.is_file())
    for planted in (PLANTED.encode(), IN_VALUES.encode(), token, base64.b64encode(token)):
        assert planted not in raw
    assert all(path.stat().st_mode & 0o077 == 0 for path in sealed.tiny.suites.backup_root.rglob("*"))
    assert "WARNING" not in sealed.run.output


@pytest.mark.parametrize("key", ["age", "ssh"])
def test_each_recipient_can_prove_it(sealed: Sealed, key: str) -> None:
    run = sealed.tiny.verify(sealed.backup, f"--identity={getattr(sealed, key)}")
    assert run.status == 0, run.output
    assert "read back in full" in run.evidence("test_backup_is_sound")
    assert sealed.tiny.suites.partial() == []


def test_without_a_key_the_files_are_proved_and_no_more(sealed: Sealed) -> None:
    run = sealed.tiny.verify(sealed.backup)
    assert run.status == 1
    assert run.verdicts()["test_encrypted_files_are_as_written"] == "passed"
    assert "--identity=FILE" in run.output


def test_a_wrong_key_opens_nothing(sealed: Sealed) -> None:
    run = sealed.tiny.verify(sealed.backup, f"--identity={sealed.wrong}")
    assert run.status == 1
    assert "cannot be decrypted" in run.output
    assert sealed.tiny.suites.partial() == []


@pytest.mark.parametrize(
    ("option", "told"),
    [("--encrypt-to=age1nonsense", "is not a public key"), ("--identity=/dev/null", "holds no age or SSH secret key")],
)
def test_what_is_no_key_is_told_before_anything_is_done(sealed: Sealed, option: str, told: str) -> None:
    run = sealed.tiny.attempt(option)
    assert run.status == 4
    assert told in run.output


def test_the_next_backup_takes_what_is_unchanged(sealed: Sealed) -> None:
    run, backup = sealed.tiny.backup(f"--encrypt-to={sealed.recipients}", f"--identity={sealed.age}")
    assert " 30" in run.evidence("test_homes_are_copied").split(" taken from the earlier backup")[0][-10:]
    assert sealed.tiny.suites.partial() == []
    assert sealed.tiny.verify(backup, f"--identity={sealed.ssh}").status == 0


def test_a_plain_one_after_it_is_told(sealed: Sealed) -> None:
    run, plain = sealed.tiny.backup()
    assert "WARNING: the backup before this one was encrypted, this one is not" in run.output
    shutil.rmtree(plain)


def test_a_killed_look_leaves_nothing_for_long(sealed: Sealed) -> None:
    suites = sealed.tiny.suites
    argv = suites.argv("suites/backup", "--verify", f"--backup={sealed.backup}", f"--identity={sealed.age}")
    for _ in range(5):
        with subprocess.Popen(argv, cwd=ROOT, env=dict(suites.env), stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not any((path / "values.yaml").exists() for path in suites.partial()):
                time.sleep(0.001)
            process.kill()
        if suites.partial():
            break
    assert suites.partial(), "no run could be killed while it looked: this test proves nothing"
    assert sealed.tiny.verify(sealed.backup, f"--identity={sealed.age}").status == 0
    assert suites.partial() == []


def test_it_is_restored_from(sealed: Sealed) -> None:
    sealed.tiny.shell(f"rm .kiro/steering/note && echo {PLANTED} > .kiro/steering/newer")
    where = f"--namespace={sealed.tiny.namespace}"
    options = (f"--backup={sealed.backup}", f"--identity={sealed.age}", "--items=steering")
    run = sealed.tiny.suites.run("suites/restore", where, *options)
    assert run.status == 0, run.output
    assert sealed.tiny.shell("cat .kiro/steering/note").strip() == PLANTED
    assert sealed.tiny.suites.partial() == []
    (aside,) = sealed.tiny.suites.backup_root.glob("openab-aside-*")
    files = [path for path in aside.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"aside.json", "aside.tar.age", "aside.txt.age"}
    assert PLANTED.encode() not in b"".join(path.read_bytes() for path in files)
