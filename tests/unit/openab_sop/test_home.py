"""A home that changes while it is copied, at the worst moments; the pod is a directory here."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Generator
from pathlib import Path

import pytest

from openab_sop.backups.inventory import Comparison, comparison
from tests.unit.openab_sop.local import Local, local


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    """A pod with one file."""
    pod = local(tmp_path)
    (pod.home / "file").write_text("old")
    return pod


@pytest.fixture
def table(tmp_path: Path) -> Generator[Comparison]:
    with comparison(tmp_path) as table:
        yield table


def copied(archive: Path) -> str:
    """What plain tar finds in the archive."""
    with tarfile.open(archive) as tar:
        content = tar.extractfile([member for member in tar if member.name == "./file"][-1])
        assert content
        return content.read().decode()


def test_a_file_that_changes_behind_its_digest(pod: Local, table: Comparison, tmp_path: Path) -> None:
    """tar and sha256sum have both read it when it changes; its size and mtime are as before, so only ctime tells."""
    pod.tool("tar", f'{shutil.which("tar")} "$@"; : > ../read; until [ -e ../changed ]; do sleep 0.01; done')
    change = "touch -r file ../was; printf new > file; touch -r ../was file; : > ../changed"
    digest = f'{shutil.which("sha256sum")} "$@"; [ -e ../changed ] || {{ {change}; }}'
    pod.tool("openssl", "exit 1")
    pod.tool("sha256sum", f"until [ -e ../read ]; do sleep 0.01; done; {digest}")
    before = (pod.home / "file").stat()
    copy = pod.copy(table, tmp_path / "home.tar")
    now = (pod.home / "file").stat()
    assert (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert (copy.findings, copied(tmp_path / "home.tar")) == ([], "new")
