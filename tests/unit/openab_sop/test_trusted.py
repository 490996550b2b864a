"""Whose directories may be believed: what another user could fill or replace is refused, with what mends it (14)."""

from __future__ import annotations

import grp
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from openab_sop import storage, trusted
from openab_sop.errors import BackupError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
STRANGER = 54321
"""A user that this machine does not know."""
GROUP = grp.getgrnam("users").gr_gid
"""A group of several people."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    return root


def refused(path: Path) -> BackupError:
    before = sorted(path.iterdir()) if path.is_dir() else None
    with pytest.raises(BackupError) as found:
        storage.private_directory(path)
    assert (sorted(path.iterdir()) if path.is_dir() else None) == before
    return found.value


def test_a_directory_of_somebody_else(root: Path) -> None:
    os.chown(root, STRANGER, 0)
    error = refused(root)
    assert f"{root} belongs to {STRANGER}" in error.problem
    assert shlex.join(["sudo", "chown", "root", str(root)]) in error.next_step


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702, 0o770], ids=oct)
def test_a_directory_that_others_may_write_to(root: Path, mode: int) -> None:
    """Here the sticky bit does not help: they can put a backup of their own into it, newer than all."""
    os.chown(root, 0, GROUP)
    root.chmod(mode)
    error = refused(root)
    assert f"may be written by others (mode {mode:04o})" in error.problem
    command = error.next_step.partition(";")[0]
    subprocess.run(shlex.split(command), check=True)
    storage.private_directory(root)


def test_a_directory_below_one_that_others_may_write_to(root: Path) -> None:
    root.chmod(0o777)
    error = refused(root / "a" / "b")
    assert f"{root} may be written by others" in error.problem
    assert not (root / "a").exists()
    root.chmod(0o1777)  # as /tmp
    storage.private_directory(root / "a" / "b")
    assert (root / "a").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_a_link_leads_to(root: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, STRANGER, 0)
    (root / "link").symlink_to(theirs)
    assert f"belongs to {STRANGER}" in refused(root / "link").problem


def test_a_link_that_others_can_lead_elsewhere(root: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir(mode=0o700)
    (root / "link").symlink_to(ours)
    storage.private_directory(root / "link")
    root.chmod(0o777)
    assert f"{root} may be written by others" in refused(root / "link").problem


def test_what_people_really_have(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.chmod(0o755)  # names in it may be read: what we make there may not
    storage.private_directory(root)
    os.chown(root, 0, STRANGER)
    root.chmod(0o2775)  # a volume, as Kubernetes gives it to a pod's fsGroup
    storage.private_directory(root)
    os.chown(root, 0, 0)
    storage.private_directory(root)  # a group of root's alone
    os.chown(root, STRANGER, STRANGER)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    storage.private_directory(root)  # who has called us by sudo


def test_the_variable_of_sudo_counts_for_root_alone(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    os.chown(root, STRANGER, 0)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER + 1)
    with pytest.raises(BackupError, match="belongs to"):
        trusted.require(root, "another")
