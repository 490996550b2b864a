"""What a restore takes off a volume: who can read it, how it comes back, how it is listed and thrown away."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from openab_sop.backups import aside, cleanup
from openab_sop.backups.archive import Archive
from openab_sop.backups.aside import Aside
from openab_sop.backups.backup import ASIDE
from openab_sop.backups.partial import Partial
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import made

_age: Any = pyrage
BACKUP = "openab-backup-20260101-000000"
ABOUT = Aside("/etc/kube config", "prod", "bots", "openab", "openab-kiro", "openab", "/home/agent", BACKUP, 1)
PRECIOUS = "written since"


def taken(root: Path, journal: Journal, about: Aside = ABOUT, recipients: tuple[str, ...] = ()) -> tuple[Path, Aside]:
    """Set one file aside."""
    partial = Partial(root, journal, ASIDE)
    directory = partial.path / about.deployment
    directory.mkdir()
    (root / "note").write_text(PRECIOUS)
    tar = ("tar", "--create", "--format=pax", f"--directory={root}", "./note")
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
        assert packing.stdout
        archive = Archive(directory / aside.ARCHIVE)
        for _ in archive.append(packing.stdout):
            pass
    archive.close()
    (root / "note").unlink()
    closed = aside.close(directory, about, archive, ["note"], recipients)
    return partial.complete() / about.deployment, closed


def test_the_command_brings_it_back(tmp_path: Path, journal: Journal) -> None:
    """It is run with a kubectl that runs what would run in the pod."""
    home = tmp_path / "it's a home"
    home.mkdir()
    directory, about = taken(tmp_path, journal, replace(ABOUT, home=str(home)))
    (tmp_path / "kubectl").write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    (tmp_path / "kubectl").chmod(0o700)
    command = about.back(directory)
    subprocess.run(["sh", "-c", command], check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (home / "note").read_text() == PRECIOUS
    assert command.startswith("KUBECONFIG='/etc/kube config' kubectl --context=prod --namespace=bots exec --stdin ")


def test_no_name_puts_words_into_the_operators_shell(tmp_path: Path) -> None:
    odd = replace(ABOUT, context="a b; touch pwned", home="$(touch pwned)")
    command = odd.back(tmp_path / "x y")
    (tmp_path / "kubectl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "kubectl").chmod(0o700)
    (tmp_path / "x y").mkdir()
    (tmp_path / "x y" / aside.ARCHIVE).touch()
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(["sh", "-c", command], check=True, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert "--context=a b; touch pwned" in said.stdout.splitlines()
    assert "--directory=$(touch pwned)" in said.stdout.splitlines()
    assert not (tmp_path / "pwned").exists()


def test_it_is_encrypted_to_those_who_can_read_the_backup(tmp_path: Path, journal: Journal) -> None:
    key = _age.x25519.Identity.generate()
    directory, about = taken(tmp_path, journal, recipients=(str(key.to_public()),))
    assert about.sealed_to == (str(key.to_public()),)
    assert sorted(path.name for path in directory.iterdir()) == ["aside.json", "aside.tar.age", "aside.txt.age"]
    assert PRECIOUS.encode() not in b"".join(path.read_bytes() for path in directory.iterdir())
    assert "note" not in (directory / aside.INDEX).read_text()
    assert _age.decrypt((directory / "aside.txt.age").read_bytes(), [key]) == b"'note'"
    assert f"{directory / aside.ARCHIVE}.age | KUBECONFIG=" in about.back(directory)
    assert about.back(directory).startswith("age --decrypt --identity=KEY ")


def test_it_is_its_owners_alone(tmp_path: Path, journal: Journal) -> None:
    directory, _ = taken(tmp_path, journal)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700


def test_two_of_one_second_have_places_of_their_own(tmp_path: Path, journal: Journal) -> None:
    assert len({taken(tmp_path, journal)[0] for _ in range(2)}) == 2


def test_what_a_killed_run_had_in_hand_is_gone_with_the_next(tmp_path: Path, journal: Journal) -> None:
    """Its files may not be encrypted yet; nothing was taken off the volume for it."""
    killed = Partial(tmp_path, journal, ASIDE)
    (killed.path / "aside.tar").write_text(PRECIOUS)
    os.close(killed._lock)  # pyright: ignore[reportPrivateUsage]  (as the kernel does)
    taken(tmp_path, journal)
    assert not killed.path.exists()
    assert len(cleanup.set_aside(tmp_path)) == 1


def test_it_is_listed_and_goes_when_it_is_named(tmp_path: Path, journal: Journal) -> None:
    made(tmp_path, "openab-backup-20260101-000000")
    directory, about = taken(tmp_path, journal)
    found = [*cleanup.survey(tmp_path), *cleanup.set_aside(tmp_path)]
    name = directory.parent.name
    assert str(found[1]).startswith(
        f"{name}  bots/openab  openab-backup-20260101-000000  0 MiB  kept copy of what a restore replaced"
    )
    assert about.back(directory) in str(found[1])
    assert cleanup.total(found) == "1 backups, and 1 kept copy of what a restore replaced; 0 MiB"
    assert cleanup.delete_named(found, (name,), journal) == [name]
    assert cleanup.set_aside(tmp_path) == []
    assert len(cleanup.survey(tmp_path)) == 1


def test_half_deleted_it_goes_with_the_leftovers(tmp_path: Path, journal: Journal) -> None:
    directory, _ = taken(tmp_path, journal)
    half = directory.parent.rename(tmp_path / f".{directory.parent.name}.partial")
    assert cleanup.set_aside(tmp_path) == []
    assert cleanup.clear(tmp_path, None, journal) == [half.name]
    assert not half.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", "\xff", json.dumps({"names": "many"})])
def test_what_cannot_be_read_is_listed_as_damaged_and_stays(tmp_path: Path, journal: Journal, content: str) -> None:
    directory, _ = taken(tmp_path, journal)
    (directory / aside.INDEX).write_text(content, encoding="latin-1")
    (kept,) = cleanup.set_aside(tmp_path)
    assert "aside.json cannot be read" in str(kept.damage)
    with tarfile.open(directory / aside.ARCHIVE) as tar:
        assert tar.getnames() == ["./note"]
