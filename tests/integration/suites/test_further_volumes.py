"""Every claim that an agent writes to is backed up, compared, restored, rebuilt; what is not is said (issue 12 A, 9).

The tests are one story, told by rsync copies of the volumes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.test_rebuild import claim, create, differences
from tests.integration.suites.upgrades import Upgrading, quiet
from world import World

AGENT = "openab-kiro"
CLAIMS = {"work": "/home/agent/workspace", "store": "/store"}
"""Claims beside the home's: one is mounted inside the home, one elsewhere."""
READ, SHARED = "models", "host"
"""A claim that the agent only reads, and a directory of the node."""
LOGIN = "~/.codex/auth.json"
FILL = """
umask 027
mkdir -p ~/.codex && echo 'from the backup' > ~/.codex/auth.json
mkdir -p ~/workspace/src /store/deep/er && echo 'in the workspace' > ~/workspace/src/code.txt
echo 'in the store' > /store/deep/er/notes && ln -s deep/er/notes /store/link && printf 'a\\nb' > "/store/od d"
"""


@dataclass(frozen=True)
class Story:
    """The release, the backup of it, and copies of its volumes as they were then."""

    release: Upgrading
    backed_up: Run
    copies: Path

    @property
    def backup(self) -> Path:
        return self.release.suites.backups()[0]

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.backup / "backup.json").read_text())

    def unlike(self, claim: str) -> list[str]:
        """How a volume differs from what it was, by content, mode, owner and time, as rsync has it."""
        return differences(self.release.volumes.of(self.release.namespace, claim), self.copies / claim)


def mount(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


def values(world: World) -> dict[str, Any]:
    """An agent with volumes beside its home."""
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in (*CLAIMS, READ)]
    host = {"name": SHARED, "hostPath": {"path": "/var/tmp"}}
    mounts = [mount(name, path) for name, path in CLAIMS.items()]
    others = [mount(READ, "/models", readOnly=True), mount(SHARED, "/host", readOnly=True)]
    more = {"extraVolumes": [*volumes, host], "extraVolumeMounts": [*mounts, *others]}
    return {"agents": {"kiro": {**quiet(world), **more}}}


@pytest.fixture(scope="module")
def story(world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with new_namespace(world) as namespace:
        create(world, *(claim(namespace, name, "sandbox") for name in (*CLAIMS, READ)))
        world.install("openab", namespace, "0.8.1", values(world))
        release = Upgrading(world, volumes, namespace, Suites.at(tmp_path_factory.mktemp("volumes"), status))
        release.fill()
        release.shell(FILL)
        release.kubectl("delete", "pod", "--all", "--wait")  # a pod's start gives every file to its fsGroup
        release.kubectl("rollout", "status", f"deployment/{AGENT}", "--timeout=120s")
        run = release.suites.run("suites/backup", f"--namespace={namespace}")
        assert run.status == 0, run.output
        copies = tmp_path_factory.mktemp("copies")
        for name in CLAIMS:
            subprocess.run(["rsync", "-aHXS", f"{volumes.of(namespace, name)}/", f"{copies / name}/"], check=True)
        yield Story(release, run, copies)


def test_each_is_in_the_backup_and_its_own_part_of_it(story: Story) -> None:
    assert [(v["volume"], v["home"], v["claim"]) for v in story.manifest["volumes"]] == [
        (name, path, name) for name, path in CLAIMS.items()
    ]
    archives = {name: story.backup / AGENT / "volumes" / name / "pvc-data/home.tar" for name in CLAIMS}
    listed = {name: subprocess.check_output(["tar", "-tf", path], text=True) for name, path in archives.items()}
    assert "src/code.txt" in listed["work"]
    assert "deep/er/notes" in listed["store"]
    home = subprocess.check_output(["tar", "-tf", story.backup / AGENT / "pvc-data/home.tar"], text=True)
    assert "workspace/src" not in home


def test_what_is_not_in_it_is_said(story: Story) -> None:
    said = story.manifest["uncovered"]
    assert [line for line in said if READ in line] == [f"{AGENT}: claim {READ}, which the agent only reads"]
    assert [line for line in said if SHARED in line] == [f"{AGENT}: volume {SHARED} (hostPath), which is no claim"]
    assert len(said) == 2
    summary = story.backed_up.output.partition("= summary =")[2]
    assert "not in the backup: WARNING: " in summary
    assert READ in summary


def test_they_come_back(story: Story) -> None:
    """A login that was refreshed since stays, and that is said: the one in the backup is dead."""
    story.release.shell("rm -r ~/workspace/src && echo newer > /store/deep/er/notes && touch /store/more")
    story.release.shell(f"echo refreshed > {LOGIN}")
    assert story.unlike("work")
    run = story.release.suites.run(
        "suites/restore", f"--namespace={story.release.namespace}", f"--backup={story.backup}"
    )
    assert run.status == 0, run.output
    assert {name: story.unlike(name) for name in CLAIMS} == {name: [] for name in CLAIMS}
    assert story.release.ready()
    assert story.release.shell(f"cat {LOGIN}") == "refreshed\n"
    assert f"logins: newer than the backup, left as they are: {AGENT}:.codex/auth.json" in run.output
    (aside,) = (story.release.suites.backup_root).glob("openab-aside-*")
    assert "more" in (aside / AGENT / "volumes/store/aside.txt").read_text()


def test_a_rehearsal_has_them_too(story: Story) -> None:
    """The copy's volumes are filled and proved as the home is, and what a version leaves on them is looked at."""
    run = story.release.run("suites/rehearsal", "--target-version=0.8.2")
    assert run.status == 0, run.output
    assert {name: story.unlike(name) for name in CLAIMS} == {name: [] for name in CLAIMS}
    assert all(f"claim {name}" in run.evidence("test_backup_is_restored") for name in CLAIMS)


def test_a_rollback_leaves_them_and_brings_back_what_is_gone(story: Story) -> None:
    """The version that is taken back has removed a file of a further volume; what is newer there stays."""
    release = story.release
    run = release.run("suites", "--target-version=0.9.0-gateway-panics.1", "--approval=auto")  # without a gateway
    assert run.status == 0, run.output
    assert f"'{AGENT}/volumes/work': 'nothing changed'" in run.evidence("test_stable_is_verified")
    release.shell("rm ~/workspace/src/code.txt && echo new > ~/workspace/src/new.txt")
    run = release.run("suites/rollback", f"--backup={release.suites.backups()[-1]}")
    assert run.status == 0, run.output
    assert release.chart() == "0.8.1 deployed"
    assert [line.split()[1] for line in story.unlike("work") if line.startswith(">f")] == ["src/new.txt"]
    assert story.unlike("store") == []
    assert release.shell("cat ~/workspace/src/new.txt") == "new\n"


def test_they_are_rebuilt_from_nothing(story: Story) -> None:
    release = story.release
    release.shell("rm ~/workspace/src/new.txt")
    release.kubectl("delete", "namespace", release.namespace, "--wait")
    release.world.kubectl("create", "namespace", release.namespace)
    rebuild = ("suites/rebuild", f"--namespace={release.namespace}", f"--backup={story.backup}")
    refused = release.suites.run(*rebuild)
    assert refused.status == 1, refused.output
    host = f"--accept=host-access:Deployment/{AGENT}.hostPath=/var/tmp"
    assert f"{host} --reason=TEXT" in refused.output
    rebuild = (*rebuild, host, "--reason=it had it before")
    refused = release.suites.run(*rebuild)
    assert refused.status == 1, refused.output
    assert f"PersistentVolumeClaim {READ}: pods of {AGENT} cannot start without it" in refused.output
    assert release.kubectl("get", "deployments,pods,pvc,secrets", "--output=name") == ""
    create(release.world, claim(release.namespace, READ, "sandbox"))  # nobody's backup has it
    run = release.suites.run(*rebuild)
    assert run.status == 0, run.output
    assert {name: story.unlike(name) for name in CLAIMS} == {name: [] for name in CLAIMS}
    assert release.kept()


def test_a_restore_to_another_user_is_refused_before_anything_stops(story: Story) -> None:
    release = story.release
    release.kubectl("patch", "deployment", AGENT, "--patch", json.dumps(_of_user(2000)))
    release.kubectl("rollout", "status", f"deployment/{AGENT}", "--timeout=120s")
    run = release.suites.run("suites/restore", f"--namespace={release.namespace}", f"--backup={story.backup}")
    assert run.status == 1, run.output
    assert "its pods have runAsUser 2000 now" in run.output
    assert run.verdicts()["test_agents_are_stopped"] == "not run"
    assert release.ready()


def _of_user(uid: int) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"securityContext": {"runAsUser": uid}}}}}
