"""Memory does not grow with the number of files: a list of them, of whatever kind, would show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FEW, MANY = 1000, 10_000
GROWTH = 6 << 20
"""Bytes that the peak may grow by: 9,000 entries in a list take as much again."""

_COPY = """
import re, sys
from pathlib import Path
from openab_sop.backups.agent_backup import _summed_up
from openab_sop.backups.inventory import comparison
from openab_sop.restores.volume import Volume
from tests.unit.openab_sop.local import local

directory, files = Path(sys.argv[1]), int(sys.argv[2])
pod = local(directory)
for number in range(files):
    (pod.home / f"file-{number:08}").touch()
with comparison(directory) as table:
    copy = pod.copy(table, directory / "home.tar")
    _summed_up(pod.pod, copy, directory / "contents.jsonl")
for path in pod.home.iterdir():
    path.unlink()
with comparison(directory) as table:
    volume = Volume(pod.pod, str(pod.home), (), table, directory / "contents.jsonl", ())
    volume.look()
    for sent in volume.apply(volume.change(), directory / "home.tar"):
        pass
    assert not list(volume.findings())
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) << 10)
"""


def peak(directory: Path, files: int) -> int:
    """Bytes that a process which copies so many files, and brings them back, holds at most."""
    directory.mkdir()
    argv = [sys.executable, "-c", _COPY, str(directory), str(files)]
    return int(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def test_memory_is_flat_over_the_number_of_files(tmp_path: Path) -> None:
    few, many = (peak(tmp_path / str(files), files) for files in (FEW, MANY))
    print(f"\n{few / 1e6:.1f} MB for {FEW} files, {many / 1e6:.1f} MB for {MANY}")
    assert many < few + GROWTH
