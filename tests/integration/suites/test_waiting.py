"""An upgrade that waits for an answer is safe from everybody, its operator included (issue 13).

The release is judged by kubectl, helm and digests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Suites
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.test_encryption import identity
from tests.integration.suites.test_upgrade import at_terminal
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from world import World

TARGET = "--target-version=0.8.2"
CONFIRMED = "--answer=stable:CONFIRMED"


@pytest.fixture
def release(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path / "run") as found:
        yield found


def pause(release: Upgrading, *arguments: str) -> None:
    """Bring it to the last gate, where it waits."""
    run = release.run("suites", TARGET, *arguments)
    assert run.status == 10, run.output
    assert release.chart() == "0.8.2 deployed"


def doing(release: Upgrading) -> str:
    """What is under way, as anybody sees it on the cluster."""
    return release.kubectl(
        "get",
        "leases",
        "openab-sop-openab",
        "--ignore-not-found",
        r"--output=jsonpath={.metadata.annotations.openab-sop/doing}",
    )


def elsewhere(release: Upgrading, status: Status, directory: Path) -> Upgrading:
    """The same release from another machine that reaches the backups, and has no session of its own."""
    directory.mkdir()
    suites = Suites.at(directory, status)
    suites.backup_root.mkdir()
    for backup in release.suites.backups():
        shutil.copytree(backup, suites.backup_root / backup.name)
    return replace(release, suites=suites)


def test_an_answer_without_the_key_changes_nothing_and_with_it_ends_well(release: Upgrading, tmp_path: Path) -> None:
    public = identity(tmp_path / "key")
    pause(release, f"--encrypt-to={public}", f"--identity={tmp_path / 'key'}")
    pods = release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")
    forgotten = release.run("suites", TARGET, CONFIRMED)
    assert forgotten.status == 1, forgotten.output
    assert "an answer is awaited at the gate stable" in forgotten.output
    assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") == pods
    run = release.run("suites", TARGET, CONFIRMED, f"--identity={tmp_path / 'key'}")
    assert run.status == 0, run.output
    assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.2 deployed", True, "")


def test_another_machine_sees_it_answers_it_and_goes_back(release: Upgrading, status: Status, tmp_path: Path) -> None:
    pause(release)
    assert "awaited at the gate stable" in doing(release)
    other = elsewhere(release, status, tmp_path / "other")
    nobody = other.run("suites", TARGET, "--answer=prerelease:CONFIRMED")
    assert nobody.status == 1, nobody.output
    assert "awaited is stable" in nobody.output
    rolled = other.run("suites", TARGET, "--answer=stable:ROLLBACK")
    assert rolled.status == 12, rolled.output
    assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.1 deployed", True, "")
    here = release.run("suites", TARGET, CONFIRMED)
    assert here.status == 1, here.output
    assert "no upgrade is under way" in here.output
    assert release.chart() == "0.8.1 deployed"


def test_an_answer_that_nobody_asked_for_is_no_upgrade(release: Upgrading) -> None:
    run = release.run("suites", TARGET, CONFIRMED)
    assert run.status == 1, run.output
    assert "nobody has asked" in run.output
    assert release.chart() == "0.8.1 deployed"
    assert release.suites.backups() == []


def test_a_baseline_is_not_deleted_as_safe_and_without_it_the_last_answer_is_recorded(release: Upgrading) -> None:
    pause(release)
    baseline = json.loads(next(release.suites.backup_root.rglob("upgrade.json")).read_text())["backup"]
    assert release.run("suites/backup").status == 0  # the newest of the release is another now
    refused = release.suites.run("suites/cleanup", f"--delete={baseline}")
    assert refused.status == 1, refused.output
    assert f"{baseline} is needed to roll back 0.8.2 to 0.8.1" in refused.output
    assert (release.suites.backup_root / baseline).is_dir()
    assert release.suites.run("suites/cleanup", f"--delete={baseline}", "--force").status == 0
    gone = release.run("suites", TARGET, CONFIRMED)
    assert gone.status == 1, gone.output
    assert "--accept=baseline-gone" in gone.output
    run = release.run("suites", TARGET, CONFIRMED, "--accept=baseline-gone", "--reason=it was deleted")
    assert run.status == 0, run.output
    assert "it was deleted" in run.html
    assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.2 deployed", True, "")


def test_a_release_that_somebody_has_rolled_back_by_hand_closes_the_record(release: Upgrading) -> None:
    pause(release)
    release.world.helm(["rollback", "openab", "1", "--namespace", release.namespace, "--wait"])
    run = release.run("suites", TARGET, "--approval=auto")
    assert run.status == 0, run.output
    assert "somebody has brought the release to revision 3" in run.output
    assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.2 deployed", True, "")


def test_what_waits_can_be_closed_as_it_is(release: Upgrading) -> None:
    nothing = release.run("suites/rollback", "--abandon", "--reason=no")
    assert nothing.status == 1, nothing.output
    pause(release)
    run = release.run("suites/rollback", "--abandon", "--reason=we stay on it")
    assert run.status == 0, run.output
    assert "we stay on it" in run.html
    assert (release.chart(), release.ready(), doing(release), release.leftovers()) == ("0.8.2 deployed", True, "", "")
    assert release.run("suites", TARGET).status == 0


def test_killed_when_the_agents_stood_still_is_never_already_done(
    release: Upgrading, status: Status, tmp_path: Path
) -> None:
    """Whoever runs the same command next, from wherever, is told what did not end, or ends it."""
    assert release.run("suites/backup").status == 0
    backup = release.suites.backups()[-1]
    release.kubectl("annotate", "deploy", AGENT, "openab-sop/replicas=1")
    release.kubectl("scale", "deploy", AGENT, "--replicas=0")
    held = {"holderIdentity": "a/b/1/2", "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z"}
    notes = {"openab-sop/doing": f"pytest suites/restore --backup={backup.name}"}
    metadata = {"name": "openab-sop-openab", "annotations": notes}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": held}
    (tmp_path / "lease.json").write_text(json.dumps(lease))
    release.kubectl("create", "--filename", str(tmp_path / "lease.json"))
    other = elsewhere(release, status, tmp_path / "other")
    for one in (release, other):
        run = one.run("suites", "--target-version=0.8.1")
        assert run.status == 1, run.output
        assert f"pytest suites/restore --backup={backup.name}" in run.output
    again = other.run("suites/restore", f"--backup={backup.name}")
    assert again.status == 0, again.output
    assert (release.ready(), release.kept(), release.leftovers()) == (True, True, "")


def test_a_good_upgrade_can_be_rolled_back_although_a_later_one_failed(release: Upgrading) -> None:
    good = release.run("suites", TARGET, "--approval=auto")
    assert good.status == 0, good.output
    bad = release.run("suites", "--target-version=0.9.0-migration-fails.1", "--approval=auto")
    assert bad.status == 11, bad.output
    assert release.chart() == "0.8.2 deployed"
    shown = release.run("suites/rollback", "--dry-run")
    assert shown.status == 0, shown.output
    assert "roll openab back from 0.8.2 to 0.8.1" in shown.output
    assert release.chart() == "0.8.2 deployed"
    status, shown = at_terminal(release, "suites/rollback", says={"Go on?": "no"})
    assert status == 1, shown
    assert (release.chart(), release.ready()) == ("0.8.2 deployed", True)
    status, shown = at_terminal(release, "suites/rollback", says={"Go on?": "yes"})
    assert status == 0, shown
    assert "rule by-hand" in shown
    assert (release.chart(), release.kept(), release.leftovers()) == ("0.8.1 deployed", True, "")
    again = release.run("suites", TARGET, "--approval=auto")
    assert again.status == 0, again.output
