"""A backup under a steady writer: databases are consistent and complete, files that only grow are named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from world import World

LAST = "SELECT max(n) FROM heartbeat"
PAUSE = "SELECT max(pause) FROM (SELECT at - lag(at) OVER (ORDER BY n) AS pause FROM heartbeat WHERE n >= {})"
DATABASE = ".local/share/kiro-cli/data.sqlite3"
LOGGING = {"OPENAB_WRITE_INTERVAL": "50ms"}
"""Rows that stay in the log: it is too young to be worked into the main file by itself."""
CHECKPOINTING = {"OPENAB_WRITE_INTERVAL": "5ms", "OPENAB_CHECKPOINT_EVERY": "40", "OPENAB_SESSION_INTERVAL": "10ms"}
"""A row each 5 ms, the log worked into the main file each 40 rows, and a session file that grows all the time."""
AGENTS = ("logging", "checkpointing")


@dataclass(frozen=True)
class Busy:
    """A backup of two busy agents, and the last row that each had committed before it began.

    Attributes:
        pause: the longest time between two rows of the logging agent since then, in milliseconds.
    """

    run: Run
    directory: Path
    last_row: dict[str, int]
    pause: int


@pytest.fixture(scope="module")
def busy(world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """A backup that was taken while the agents wrote."""
    agent = world.agent_values() | {"command": "kiro-cli"}
    agents = {"logging": agent | {"env": LOGGING}, "checkpointing": agent | {"env": CHECKPOINTING}}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {"enabled": False}, **agents}})
        world.fill_home(namespace, "openab-checkpointing")
        suites = Suites.at(tmp_path_factory.mktemp("busy"), status)
        last_row = {agent: int(live(volumes, namespace, f"openab-{agent}", LAST)) for agent in AGENTS}
        with churning(status, namespace, "openab-checkpointing"):
            run = suites.run("suites/backup", f"--namespace={namespace}")
        assert run.status == 0, run.output
        pause = int(live(volumes, namespace, "openab-logging", PAUSE.format(last_row["logging"])))
        yield Busy(run, suites.backups()[-1], last_row, pause)


@contextmanager
def churning(status: Status, namespace: str, deployment: str) -> Generator[None]:
    """Make and remove a file in the agent's home over and over."""
    kubectl = [status.bin / "kubectl", "--kubeconfig", status.kubeconfig, "--namespace", namespace]
    script = "mkdir -p ~/churn; while : >~/churn/passing; do rm ~/churn/passing; sleep 0.02; done"
    command = ["exec", f"deploy/{deployment}", "--container=openab", "--", "timeout", "60", "sh", "-c", script]
    with subprocess.Popen([*kubectl, *command]) as process:
        yield
        process.kill()


def live(volumes: Volumes, namespace: str, claim: str, sql: str) -> str:
    """What a database that its agent writes to now answers."""
    database = volumes.seen_by_node(namespace, claim) / DATABASE
    command = ["sqlite3", "-readonly", "-cmd", ".timeout 5000", database, sql]  # its writer may be at a checkpoint
    inside = volumes.node.enter(command)
    return subprocess.run(inside, check=True, capture_output=True, text=True).stdout.strip()


def query(database: Path, sql: str) -> str:
    """What the sqlite3 command answers."""
    command = ["sqlite3", "-readonly", database, sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("agent", AGENTS)
def test_auth_database_has_every_row(busy: Busy, agent: str) -> None:
    """The database kept on its own is sound and has, without a gap, what was committed before the backup began."""
    database = busy.directory / f"openab-{agent}" / "kiro-auth.sqlite3"
    assert query(database, "PRAGMA integrity_check") == "ok"
    assert int(query(database, LAST)) >= busy.last_row[agent] > 0
    assert query(database, "SELECT max(n) - min(n) + 1 = count(*) FROM heartbeat") == "1"


@pytest.mark.parametrize("agent", AGENTS)
def test_home_has_the_whole_set(busy: Busy, tmp_path: Path, agent: str) -> None:
    """Unpacked, main file and log belong together: sound, and with the same rows as the database on its own."""
    stored = busy.directory / f"openab-{agent}"
    subprocess.run(["tar", "-xpf", stored / "pvc-data" / "home.tar", "-C", tmp_path], check=True)
    assert query(tmp_path / DATABASE, "PRAGMA integrity_check") == "ok"
    assert query(tmp_path / DATABASE, LAST) == query(stored / "kiro-auth.sqlite3", LAST)


def test_no_agent_stands_still(busy: Busy) -> None:
    assert 0 < busy.pause < 1000


def test_database_by_another_name_is_one_too(busy: Busy) -> None:
    """Databases are told by their content: the one without a suffix is among them."""
    agents = json.loads((busy.directory / "backup.json").read_text())["agents"]
    (found,) = (agent["databases"] for agent in agents if agent["deployment"] == "openab-checkpointing")
    assert found == [".kiro/knowledge/index", DATABASE]


def test_passing_files_do_no_harm(busy: Busy) -> None:
    """A directory in which files come and go is there; the moment decides whether its file is, too."""
    lines = (busy.directory / "openab-checkpointing" / "pvc-data" / "contents.jsonl").read_text().splitlines()
    assert {entry["path"] for entry in map(json.loads, lines)} >= {"churn"}


def test_growing_file_is_named(busy: Busy) -> None:
    """The session file that grew during the copy is named as such, in the report and in the Contents."""
    (told,) = (line for line in busy.run.evidence("test_homes_are_copied").splitlines() if "grew meanwhile" in line)
    agent = busy.directory / "openab-checkpointing"
    lines = (agent / "pvc-data" / "contents.jsonl").read_text().splitlines()
    grown = [entry["path"] for entry in map(json.loads, lines) if entry.get("note") == "grew"]
    assert len(grown) == 1
    assert grown[0].startswith(".kiro/sessions/")
    assert grown[0] in told
