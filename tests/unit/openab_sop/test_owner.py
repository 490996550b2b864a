"""Which run is known to be dead: one of this very place, and no other (issue 13)."""

from __future__ import annotations

import os
import subprocess

import pytest

from openab_sop.cluster.owner import is_dead, owner


def test_this_process_lives_and_one_that_ended_does_not() -> None:
    assert not is_dead(owner())
    ended = subprocess.Popen(["true"])
    ended.wait()
    host, where, _, _ = owner().split("/")
    assert is_dead(f"{host}/{where}/{ended.pid}/1")
    assert is_dead(f"{host}/{where}/{os.getpid()}/1")  # another process has its id now


@pytest.mark.parametrize("place", [0, 1])
def test_of_another_place_nothing_is_known(place: int) -> None:
    """Another machine, or a container of the same host name: there the process id means another process."""
    parts = owner().split("/")
    parts[place], parts[2] = "elsewhere", "1999999999"
    assert not is_dead("/".join(parts))


@pytest.mark.parametrize("name", ["", "host/12/34", "a/b", "a/b/c/d"])
def test_what_is_no_name_of_ours_is_not_dead(name: str) -> None:
    assert not is_dead(name)
