"""Databases are copied whole from under a steady writer, time after time, where a plain copy of the files fails.

``OPENAB_DATABASE_RUNS`` says how often the database in WAL mode is copied; 30 if it is not set; 100 take a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.backups import database
from openab_sop.backups.archive import Archive
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.pod import Pod
from sandbox import Status
from sandbox.enclosure import Enclosure
from tests.integration.conftest import new_namespace
from tests.integration.suites.conftest import Volumes
from world import World

DEPLOYMENT = "openab-kiro"
RUNS = int(os.environ.get("OPENAB_DATABASE_RUNS", "30"))
ROLLBACK_RUNS = 10
NAIVE_TRIES = 30
LAST = "SELECT max(n) FROM heartbeat"
WAL = ".local/share/kiro-cli/data.sqlite3"
WRITER = {"OPENAB_WRITE_INTERVAL": "4ms", "OPENAB_CHECKPOINT_EVERY": "150"}
"""A row each 4 ms, and the log worked into the main file each 600 ms: less often than a busy machine copies it."""
LIMIT = 1 << 26
CHECKPOINT = 5
"""Seconds in which the writer checkpoints at least once."""


@dataclass(frozen=True)
class Written:
    """The agent's pod, and its home as the node sees it."""

    pod: Pod
    home: str
    node: Enclosure
    volume: Path

    def last(self, path: str) -> int:
        """The last row that is committed in a live database."""
        return int(asked(self.volume / path, LAST, self.node))


@pytest.fixture(scope="module")
def written(world: World, status: Status, volumes: Volumes) -> Iterator[Written]:
    agent = world.agent_values() | {"command": "kiro-cli", "env": {**world.agent_values()["env"], **WRITER}}
    with new_namespace(world) as namespace, pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
        cluster = Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace))
        found = Agent.of(cluster.get("Deployment", DEPLOYMENT))
        yield Written(found.pod(cluster), found.home, volumes.node, volumes.seen_by_node(namespace, DEPLOYMENT))


def asked(path: Path, sql: str, node: Enclosure | None = None) -> str:
    """What the sqlite3 program answers, or how it fails; it runs in the node if the database is there."""
    command: list[str | Path] = ["sqlite3", "-cmd", ".timeout 10000", path, sql]
    argv = node.enter(command) if node else command
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def is_whole(path: Path, last: int) -> bool:
    """Tell whether a copy is sound and has the row that was the last one before the copy began."""
    newest = asked(path, LAST)
    return asked(path, "PRAGMA integrity_check") == "ok" and newest.isdigit() and int(newest) >= last


def copied(written: Written, path: str, directory: Path) -> Path:
    """Copy a database by the code under test, and unpack it by the machine's tar."""
    directory.mkdir()
    archive = Archive(directory / "home.tar")
    database.copy(written.pod, written.home, path, archive, LIMIT)
    archive.close()
    subprocess.run(["tar", "-xf", archive.path, "-C", directory], check=True)
    return directory / path


def plainly_copied(written: Written, directory: Path) -> Path:
    """Copy its three files one after the other; the writer works its log into the main one in between."""
    directory.mkdir()
    live = Path(f"/proc/{written.node.pid}/root{written.volume}/{WAL}")
    for suffix in ("", "-wal", "-shm"):
        pod = written.pod
        cat = ["exec", pod.name, "-c", pod.container, "--", "cat", f"{written.home}/{WAL}{suffix}"]
        with (directory / f"db{suffix}").open("wb") as out:
            argv = pod.cluster.kubectl(*cat)
            subprocess.run(
                argv, stdout=out, stderr=subprocess.DEVNULL, env={**os.environ, **pod.cluster.env}, check=False
            )
        changed, deadline = live.stat().st_mtime_ns, time.monotonic() + CHECKPOINT
        while not suffix and live.stat().st_mtime_ns == changed and time.monotonic() < deadline:
            time.sleep(0.01)
    return directory / "db"


def test_every_copy_is_whole_and_a_plain_one_is_not(written: Written, tmp_path: Path) -> None:
    for number in range(RUNS):
        last = written.last(WAL)
        copy = copied(written, WAL, tmp_path / str(number))
        assert is_whole(copy, last), f"run {number}: {asked(copy, LAST)} where {last} was committed before"
    for number in range(NAIVE_TRIES):
        last = written.last(WAL)
        if not is_whole(plainly_copied(written, tmp_path / f"naive-{number}"), last):
            break
    else:
        pytest.fail(f"{NAIVE_TRIES} plain copies were whole: this test proves nothing here")


WRITE = """
import os, select, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
db.execute("PRAGMA journal_mode = DELETE")
db.execute("CREATE TABLE heartbeat (n INTEGER PRIMARY KEY, payload BLOB)")
last = 0
while not select.select([sys.stdin], [], [], 0.4)[0]:
    db.execute("BEGIN")
    db.executemany("INSERT INTO heartbeat VALUES (?, ?)", [(last + more, os.urandom(2000)) for more in range(1, 11)])
    db.execute("DELETE FROM heartbeat WHERE n < ?", [last - 500])
    db.execute("COMMIT")
    last += 10
    print(last, flush=True)
"""
"""Commits rows to a database with a rollback journal until its standard input ends."""

DIE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("CREATE TABLE heartbeat (n INTEGER PRIMARY KEY, payload BLOB)")
db.executemany("INSERT INTO heartbeat VALUES (?, ?)", ((n, bytes(3000)) for n in range(1, 51)))
db.execute("BEGIN")
db.execute("UPDATE heartbeat SET payload = randomblob(3000)")
db.execute("INSERT INTO heartbeat VALUES (1000, randomblob(100000))")
print("begun", flush=True)
sys.stdin.read()
"""
"""Begins a transaction that is larger than its cache, and stays in the middle of it."""


@contextmanager
def writing(written: Written, program: str, name: str) -> Generator[None]:
    """Run a writer on the volume, from its first word to the block's end."""
    argv = written.node.enter([sys.executable, "-c", program, written.volume / name])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()
        yield
        process.stdin.close()
        process.stdout.read()


def test_a_rollback_journal_is_copied_with_its_database(written: Written, tmp_path: Path) -> None:
    with writing(written, WRITE, "rollback.sqlite3"):
        for number in range(ROLLBACK_RUNS):
            last = written.last("rollback.sqlite3")
            copy = copied(written, "rollback.sqlite3", tmp_path / str(number))
            assert is_whole(copy, last), f"run {number}: {asked(copy, LAST)} where {last} was committed before"


def test_an_interrupted_transaction_is_rolled_back(written: Written, tmp_path: Path) -> None:
    """A writer stands in the middle: its journal goes along, and the copy has what was committed before."""
    with writing(written, DIE, "hot.sqlite3"):
        copy = copied(written, "hot.sqlite3", tmp_path / "hot")
    assert copy.with_name("hot.sqlite3-journal").stat().st_size > 0
    assert (asked(copy, "PRAGMA integrity_check"), asked(copy, LAST)) == ("ok", "50")
