"""The agent's process among others, on this machine's own /proc and on made-up ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from openab_sop.agents.container import process_alive
from openab_sop.errors import CutOff


@dataclass(frozen=True)
class Said:
    """A host whose every command says the same."""

    stdout: str

    def run(self, command: str) -> Said:
        return self


class Here:
    """This machine as a host."""

    def run(self, command: str) -> Said:
        return Said(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout)


@pytest.mark.parametrize(
    ("stat", "alive"),
    [
        ("1 (tini) S 0 1\n7 (openab) S 1 7\n", True),
        ("1 (tini) S 0 1\n7 (agent-broker) R 1 7\n", True),
        ("1 (tini) S 0 1\n7 (openab) Z 1 7\n", False),
        ("1 (tini) S 0 1\n7 (openab2) S 1 7\n", False),
        ("1 (tini) S 0 1\n7 (my openab) S 1 7\n", False),
        ("1 (tini) S 0 1\n7 (acp-worker) S 1 7\n", False),
        ("1 (a) (openab) S 0 1\n", False),
    ],
)
def test_the_name_is_exact_and_no_zombie_counts(stat: str, alive: bool) -> None:
    assert process_alive(Said(stat)) == alive


def test_a_container_that_cannot_be_looked_into_is_no_verdict() -> None:
    with pytest.raises(CutOff, match="cannot be listed"):
        process_alive(Said(""))


@contextmanager
def process(name: str, directory: Path) -> Generator[None]:
    program = directory / name
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([str(program), "60"]) as running:
        try:
            yield
        finally:
            running.kill()


def test_processes_are_found(tmp_path: Path) -> None:
    with process("agent-broker", tmp_path):
        assert process_alive(Here())
