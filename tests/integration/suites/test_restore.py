"""Restore on the real node, judged by rsync, sqlite3, kubectl and helm, not by the code under test."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.conftest import QUIET, Volumes
from tests.integration.suites.underway import DEADLINE, until
from world import World

DEPLOYMENT = "openab-kiro"
DATABASE = ".local/share/kiro-cli/data.sqlite3"
CLOSED = ".kiro/knowledge/index"
"""A database that nobody has open."""
LIVE = ("/.local/share/kiro-cli/", "/.kiro/sessions/")
"""What the agent itself writes when it starts again after a restore."""


@dataclass(frozen=True)
class Release:
    """A release with one quiet agent, its backup, and a copy of its volume that was made when nothing wrote."""

    world: World
    namespace: str
    suites: Suites
    backup: Path
    volume: Path
    copy: Path

    def kubectl(self, *arguments: str) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def shell(self, script: str) -> str:
        """Run a script in the agent's home, as the agent."""
        return self.kubectl("exec", f"deploy/{DEPLOYMENT}", "--container=openab", "--", "sh", "-c", f"cd && {script}")

    def field(self, kind: str, path: str) -> str:
        return self.kubectl("get", kind, f"--output=jsonpath={path}")

    def pod(self) -> str:
        return self.field("pods", "{.items[*].metadata.uid}")

    def restore(self, *arguments: str, backup: Path | None = None) -> Run:
        return self.suites.run(
            "suites/restore", f"--namespace={self.namespace}", f"--backup={backup or self.backup}", *arguments
        )

    def differences(self) -> list[str]:
        """What rsync finds between the volume and the copy, but for what the running agent writes."""
        flags = ["-naHX", "--checksum", "--numeric-ids", "--delete", "--itemize-changes", "--modify-window=-1"]
        excluded = [f"--exclude={path}" for path in LIVE]
        command = ["rsync", *flags, *excluded, f"{self.volume}/", f"{self.copy}/"]
        done = subprocess.run(command, check=True, capture_output=True)
        return [line for line in done.stdout.decode("utf-8", "replace").splitlines() if not line.endswith(" ./")]

    def rows(self) -> int:
        """Rows of the restored database, as the sqlite3 program counts them in a copy of its files."""
        return self._rows(self.volume)

    def backed_up_rows(self) -> int:
        """Rows that it had when it was backed up."""
        return self._rows(self.copy)

    def _rows(self, volume: Path) -> int:
        verdict, count = asked(volume / DATABASE, "PRAGMA integrity_check; SELECT count(*) FROM heartbeat")
        assert verdict == "ok"
        return int(count)


def asked(database: Path, query: str) -> list[str]:
    """What the sqlite3 program answers on a copy of a database's files."""
    with TemporaryDirectory() as directory:
        for path in database.parent.glob(f"{database.name}*"):
            shutil.copy(path, directory)
        command = ["sqlite3", Path(directory, database.name), query]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    agent = {**world.agent_values(), "agentsMd": "# From the chart\n"}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {**agent, "env": {}}}})
        world.fill_home(namespace, DEPLOYMENT)
        # Nothing writes from now on; and a pod's start gives every file to its fsGroup, before anything is compared.
        world.upgrade("openab", namespace, "0.8.1", {"agents": {"kiro": {**agent, "env": QUIET}}}, wait=False)
        world.kubectl("--namespace", namespace, "rollout", "status", f"deploy/{DEPLOYMENT}", "--timeout=60s")
        suites = Suites.at(tmp_path_factory.mktemp("restore"), status)
        volume, copy = volumes.of(namespace, DEPLOYMENT), tmp_path_factory.mktemp("copy")
        subprocess.run(["rsync", "-aHXS", f"{volume}/", f"{copy}/"], check=True)
        run = suites.run("suites/backup", f"--namespace={namespace}")
        assert run.status == 0, run.output
        yield Release(world, namespace, suites, suites.backups()[-1], volume, copy)


def vandalise(release: Release) -> None:
    """Do to a home what bad upgrades do: delete, overwrite, truncate, add, change modes and types."""
    release.shell(
        "rm -rf .kiro/steering && echo '{' > .kiro/agents/default.json && : > .config/gh/hosts.yml"
        " && chmod 755 .config/gh"
        " && mkdir -p new/deep && echo precious > new/deep/file && rm -rf .kiro/skills && echo file > .kiro/skills"
        " && rm -rf odd/links && touch -d 2001-01-01 .bash_history"
    )


def test_whole_home_comes_back(release: Release) -> None:
    vandalise(release)
    claim = release.field(f"pvc/{DEPLOYMENT}", "{.metadata.uid}")
    assert release.differences()
    run = release.restore()
    assert run.status == 0, run.output
    assert release.differences() == []
    assert release.rows() >= 0
    assert release.field(f"pvc/{DEPLOYMENT}", "{.metadata.uid}") == claim


def test_what_was_newer_is_set_aside(release: Release) -> None:
    release.shell("mkdir -p later && printf 'never backed up' > later/note")
    run = release.restore()
    assert run.status == 0, run.output
    assert not (release.volume / "later").exists()
    (newest, *_) = sorted(release.suites.backup_root.glob("openab-aside-*"), reverse=True)
    with tarfile.open(newest / DEPLOYMENT / "aside.tar") as tar:
        content = tar.extractfile("./later/note")
        assert content is not None
        assert content.read() == b"never backed up"
    assert "'later/note'" in (newest / DEPLOYMENT / "aside.txt").read_text()
    told = next(line for line in run.output.splitlines() if line.startswith(f"set aside of {DEPLOYMENT}: "))
    command = told.partition("back with: ")[2]
    subprocess.run(["sh", "-c", command], check=True, env=dict(release.suites.env), timeout=60)
    assert (release.volume / "later" / "note").read_bytes() == b"never backed up"


def test_files_from_config_maps_are_left_alone(release: Release) -> None:
    assert release.restore().status == 0
    assert release.shell("cat AGENTS.md") == "# From the chart\n"


def test_stale_logs_of_a_database_are_gone(release: Release) -> None:
    """A log that is not the database's, beside it when the agent starts, would ruin it."""
    release.shell(
        " && ".join(f"printf junk > {path}-{log}" for path in (DATABASE, CLOSED) for log in ("wal", "journal"))
    )
    release.shell(f"printf junk > {CLOSED}-shm")
    assert release.restore().status == 0
    for name in (f"{DATABASE}-journal", f"{CLOSED}-wal", f"{CLOSED}-shm", f"{CLOSED}-journal"):
        assert not (release.volume / name).exists()
    assert release.rows() >= 0
    assert asked(release.volume / CLOSED, "PRAGMA integrity_check; SELECT count(*) FROM passage") == ["ok", "40"]


def test_holes_stay_holes(release: Release) -> None:
    release.shell("rm odd/sizes/sparse")
    assert release.restore().status == 0
    found = (release.volume / "odd/sizes/sparse").stat()
    assert found.st_size == 64 << 20
    assert found.st_blocks * 512 < 1 << 20


ITEMS = {
    "agents": ".kiro/agents",
    "steering": ".kiro/steering",
    "skills": ".kiro/skills",
    "hosts.yml": ".config/gh/hosts.yml",
    "kiro-auth.sqlite3": DATABASE,
}


def test_items_come_back_by_themselves(release: Release) -> None:
    release.shell(f"rm -rf {' '.join(ITEMS.values())} {DATABASE}-wal {DATABASE}-shm")
    assert release.restore("--items=agents,skills").status == 0
    there = {name for name, path in ITEMS.items() if (release.volume / path).exists()}
    assert there - {"kiro-auth.sqlite3"} == {"agents", "skills"}  # an agent makes a new database at its start
    run = release.restore("--items=steering,hosts.yml,kiro-auth.sqlite3")
    assert run.status == 0, run.output
    assert release.rows() >= release.backed_up_rows() > 0
    for path in ITEMS.values():
        assert (release.volume / path).exists()
        assert not (release.volume / path / Path(path).name).exists()  # no steering/steering
    assert release.restore().status == 0
    assert release.differences() == []


def test_logins_and_state_come_back_by_themselves(release: Release) -> None:
    """Of the logins only those that the backup has; what else is there stays, and what neither has is refused."""
    release.shell("rm -rf .config/gh .kiro/steering; mkdir -p .codex; echo newer > .codex/auth.json; echo own > own")
    run = release.restore("--items=logins")
    assert run.status == 0, run.output
    hosts = ".config/gh/hosts.yml"
    assert (release.volume / hosts).read_bytes() == (release.copy / hosts).read_bytes()
    assert (release.volume / ".codex/auth.json").read_text() == "newer\n"
    assert not (release.volume / ".kiro/steering").exists()
    run = release.restore("--items=state")
    assert run.status == 0, run.output
    assert (release.volume / ".kiro/steering").exists()
    assert ((release.volume / "own").read_text(), (release.volume / ".codex/auth.json").exists()) == ("own\n", True)
    assert release.restore().status == 0
    assert release.differences() == []


def test_a_volume_that_somebody_else_uses_is_not_written(release: Release, tmp_path: Path) -> None:
    """Another pod has the claim: nothing is written, and the agent is not even stopped."""
    pod = release.pod()
    image, claim = "openab.local/openab:0.8.1", {"claimName": DEPLOYMENT}
    container = {"name": "w", "image": image, "command": ["sleep", "600"]}
    mounted = {**container, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    spec = {"containers": [mounted], "volumes": [{"name": "v", "persistentVolumeClaim": claim}]}
    (tmp_path / "pod.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "guest"}, "spec": spec})
    )
    release.shell("echo mine > .kiro/agents/default.json")
    release.kubectl("create", "--filename", str(tmp_path / "pod.json"))
    try:
        release.kubectl("wait", "pod/guest", "--for=condition=Ready", "--timeout=60s")
        run = release.restore()
        assert pod in release.pod().split()
    finally:
        release.kubectl("delete", "pod", "guest", "--grace-period=0", "--force")
    assert run.status == 1, run.output
    assert f"claim {DEPLOYMENT}: it is in use by guest" in run.output
    assert release.pod() == pod
    assert (release.volume / ".kiro/agents/default.json").read_text() == "mine\n"
    assert release.restore().status == 0


def test_only_the_named_items_are_touched(release: Release) -> None:
    release.shell("rm -rf .kiro/steering && echo mine > .kiro/agents/default.json && echo kept > only-here")
    run = release.restore("--items=steering")
    assert run.status == 0, run.output
    assert (release.volume / "only-here").read_text() == "kept\n"
    assert (release.volume / ".kiro/agents/default.json").read_text() == "mine\n"
    assert {path.name for path in (release.volume / ".kiro/steering").iterdir()} == {
        path.name for path in (release.copy / ".kiro/steering").iterdir()
    }
    assert release.restore().status == 0


def test_secret_comes_back(release: Release) -> None:
    before = release.field(f"secret/{DEPLOYMENT}", "{.data}")
    pod = release.pod()
    release.kubectl("patch", "secret", DEPLOYMENT, "--patch", json.dumps({"data": {"discord-bot-token": "d3Jvbmc="}}))
    assert release.restore("--items=secret").status == 0
    assert release.field(f"secret/{DEPLOYMENT}", "{.data}") == before
    release.kubectl("delete", "secret", DEPLOYMENT)
    assert release.restore("--items=secret").status == 0
    assert release.field(f"secret/{DEPLOYMENT}", "{.data}") == before
    assert release.pod() == pod  # no agent stands still for a Secret


def test_an_agent_that_would_not_start_again_is_not_stopped(release: Release) -> None:
    """Its Secret is gone: it runs on with what it has read, and after a stop it could not."""
    pod = release.pod()
    release.shell("rm -rf .kiro/steering")
    release.kubectl("delete", "secret", DEPLOYMENT)
    run = release.restore()
    assert run.status == 1, run.output
    assert f"Secret {DEPLOYMENT}: pods of {DEPLOYMENT} cannot start without it" in run.output
    assert release.pod() == pod
    assert release.restore("--items=home,secret").status == 0
    assert release.field("deploy", "{.items[0].status.availableReplicas}") == "1"
    assert (release.volume / ".kiro/steering").exists()


def test_helm_notices_nothing(release: Release) -> None:
    """No replica count, annotation or field owner of ours is left, and helm's next upgrade meets no conflict."""
    release.shell("rm -rf .kiro/steering")
    assert release.restore().status == 0
    managers = release.kubectl("get", "deploy", DEPLOYMENT, "--show-managed-fields", "--output=json")
    assert "openab-sop" not in managers
    release.world.helm(
        ["upgrade", "openab", release.world.package("0.8.1"), "--reuse-values", "--namespace", release.namespace]
    )


def test_no_helper_is_left(release: Release) -> None:
    assert release.restore().status == 0
    assert release.field("pods", "{.items[?(@.metadata.labels.openab-sop/agent)].metadata.name}") == ""


def test_a_second_restore_changes_nothing(release: Release) -> None:
    assert release.restore().status == 0
    verdicts = release.restore().verdicts()
    assert verdicts["test_secrets_are_restored"] == "not needed"
    assert release.differences() == []


def test_a_damaged_backup_touches_nothing(release: Release, tmp_path: Path) -> None:
    damaged = tmp_path / release.backup.name
    subprocess.run(["cp", "-a", release.backup, damaged], check=True)
    with (damaged / DEPLOYMENT / "pvc-data" / "home.tar").open("r+b") as file:
        file.seek(100_000)
        file.write(b"damage")
    pod = release.pod()
    run = release.restore(backup=damaged)
    assert run.status == 1
    assert "home.tar" in run.output
    assert release.pod() == pod


def test_a_backup_of_another_release_touches_nothing(release: Release, tmp_path: Path) -> None:
    foreign = tmp_path / release.backup.name
    subprocess.run(["cp", "-a", release.backup, foreign], check=True)
    manifest = json.loads((foreign / "backup.json").read_text())
    (foreign / "backup.json").write_text(json.dumps({**manifest, "release": "other"}))
    pod = release.pod()
    run = release.restore(backup=foreign)
    assert run.status == 1
    assert "it is of release other" in run.output
    assert release.pod() == pod


def test_a_claim_that_is_not_the_backups_is_refused(release: Release, tmp_path: Path) -> None:
    """The volume holds something else: it stays as it is, and the agent runs again."""
    other = tmp_path / release.backup.name
    subprocess.run(["cp", "-a", release.backup, other], check=True)
    manifest = json.loads((other / "backup.json").read_text())
    manifest["agents"][0]["claim_uid"] = "00000000-0000-0000-0000-000000000000"
    (other / "backup.json").write_text(json.dumps(manifest))
    release.shell("echo precious > only-on-this-volume")
    run = release.restore(backup=other)
    assert run.status == 11, run.output
    assert "not the one that was backed up" in run.output
    assert release.shell("cat only-on-this-volume") == "precious\n"
    assert release.restore().status == 0


@pytest.mark.parametrize("action", ["stop agent", "restore volume", "start agent"])
def test_a_killed_restore_is_completed_by_the_next(release: Release, action: str) -> None:
    """The same command again ends in a verified state, whatever the first was doing when it was killed."""
    vandalise(release)
    before = set(release.suites.reports.iterdir())
    where = (f"--namespace={release.namespace}", f"--backup={release.backup}")
    process = release.suites.begin("suites/restore", *where)
    until(process, lambda: began(release, before, action))
    process.kill()
    process.wait(DEADLINE)
    run = release.restore()
    assert run.status == 0, run.output
    assert release.differences() == []
    assert release.field(f"deploy/{DEPLOYMENT}", "{.status.availableReplicas}") == "1"


def test_a_new_and_empty_claim_is_filled(release: Release) -> None:
    release.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=0")
    release.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")
    claim = json.loads(release.kubectl("get", "pvc", DEPLOYMENT, "--output=json"))
    release.kubectl("delete", "pvc", DEPLOYMENT)
    spec = {key: claim["spec"][key] for key in ("accessModes", "resources", "storageClassName")}
    kept = {key: claim["metadata"][key] for key in ("name", "labels")}
    fresh = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": kept, "spec": spec}
    path = release.suites.reports / "claim.json"
    path.write_text(json.dumps(fresh))
    release.kubectl("create", "--filename", str(path))
    run = release.restore()
    assert run.status == 0, run.output
    release.kubectl("scale", "deploy", DEPLOYMENT, "--replicas=1")
    release.kubectl("rollout", "status", f"deploy/{DEPLOYMENT}", "--timeout=60s")
    assert "steering" in release.shell("ls .kiro")


def began(release: Release, before: set[Path], action: str) -> bool:
    """Whether the journal of a run that is not among `before` says that an action began."""
    journals = [path / "journal.jsonl" for path in set(release.suites.reports.iterdir()) - before]
    lines = [line for path in journals if path.exists() for line in path.read_text().splitlines(keepends=True)]
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return any(event["event"] == "action begins" and event["action"] == action for event in events)
