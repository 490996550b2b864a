"""A command that is tied to this process ends with it, and with its keeper, and leaves no directory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from openab_sop.process import Tied

ENDLESS = ["sh", "-c", "echo ready; exec sleep 1000"]


def begun(home: Path) -> tuple[Tied, psutil.Process, psutil.Process]:
    """Start it; returns its keeper and itself too."""
    home.mkdir()
    tied = Tied.start(ENDLESS, home)
    assert tied.first == "ready"
    (keeper,) = [child for child in psutil.Process().children() if str(home) in arguments(child)]
    (command,) = keeper.children()
    return tied, keeper, command


def arguments(process: psutil.Process) -> list[str]:
    """A process's command line; empty for one that has ended, as an earlier test's may have."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one too
        return []


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    tied, _, command = begun(tmp_path / "home")
    tied.end()
    command.wait(5)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_ends_with_its_keeper(tmp_path: Path, how: signal.Signals) -> None:
    before = signal.signal(how, signal.SIG_DFL)  # a shell cannot heed what is ignored from its start
    try:
        _, keeper, command = begun(tmp_path / "home")
    finally:
        signal.signal(how, before)
    os.kill(keeper.pid, how)
    command.wait(5)
    keeper.wait(5)
    assert not (tmp_path / "home").exists()
