"""Which cgroup file systems a machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.cgroups import Hierarchy, hierarchies

HYBRID = """\
24 1 0:22 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 24 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
"""
UNIFIED = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:5 master:2 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        (
            HYBRID,
            [Hierarchy(Path("/sys/fs/cgroup/cpu"), False), Hierarchy(Path("/sys/fs/cgroup/unified"), True)],
        ),
        (UNIFIED, [Hierarchy(Path("/sys/fs/cgroup"), True)]),
        ("", []),
    ],
)
def test_hierarchies_are_read_from_mountinfo(mountinfo: str, expected: list[Hierarchy]) -> None:
    assert hierarchies(mountinfo) == expected
