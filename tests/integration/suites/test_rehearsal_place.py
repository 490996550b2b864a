"""Where the copy of a release lives: what a caller may do, what a quota leaves, and what a killed rehearsal leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.callers import account
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.underway import DEADLINE, until
from tests.integration.suites.upgrades import Upgrading, quiet, upgrading
from world import World

GOOD = "--target-version=0.8.2"
GROUPS = ["", "apps", "networking.k8s.io", "coordination.k8s.io"]
VERBS = ["get", "list", "create", "update", "patch", "delete"]
ALL = [{"apiGroups": GROUPS, "resources": ["*"], "verbs": VERBS}]
"""Rights of a caller who has the release's namespace and nothing else, and no Jobs."""
READS = [
    {"apiGroups": GROUPS, "resources": ["*"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
]
LEASHED = "deployments,jobs,pvc,secrets,configmaps,pods"


@pytest.fixture(scope="module")
def up(world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrading]:
    """A release with a backup, which rehearsals leave alone."""
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("place")) as up:
        assert up.run("suites/backup").status == 0
        yield up


def as_caller(up: Upgrading, status: Status, directory: Path, rights: list[dict[str, list[str]]]) -> Run:
    """A backup and a rehearsal by a caller with these rights in the release's namespace."""
    caller = account(up.world, status, up.namespace, rights, directory / f"caller-{token_hex(4)}")
    own, env = replace(up, suites=Suites.at(directory, status)), {"KUBECONFIG": str(caller)}
    assert own.run("suites/backup", env=env).status == 0
    return own.run("suites/rehearsal", GOOD, env=env)


@contextmanager
def quota(up: Upgrading, name: str, hard: str) -> Generator[None]:
    """A quota in the release's namespace."""
    up.kubectl("create", "quota", name, f"--hard={hard}")
    try:
        yield
    finally:
        up.kubectl("delete", "quota", name)


def test_without_namespaces_the_copy_is_in_the_releases_own(up: Upgrading, status: Status, tmp_path: Path) -> None:
    before = up.standing()
    run = as_caller(up, status, tmp_path, ALL)
    assert run.status == 0, run.output
    assert "its own, since this caller may make none" in run.evidence("test_a_copy_can_be_made")
    assert (up.standing(), up.copies(), up.leftovers()) == (before, "", "")


def test_who_may_make_no_copy_is_told_what_is_possible(up: Upgrading, status: Status, tmp_path: Path) -> None:
    run = as_caller(up, status, tmp_path, READS)
    assert run.status == 1
    assert "this caller may make no copy" in run.output
    assert "create deployments.apps" in run.output
    assert "pytest suites/plan" in run.output


def test_a_quota_that_leaves_no_room_is_named(up: Upgrading, status: Status, tmp_path: Path) -> None:
    with quota(up, "tight", "persistentvolumeclaims=1"):
        run = as_caller(up, status, tmp_path, ALL)
    assert run.status == 1
    assert "no claim for the copy can be made" in run.output
    assert "exceeded quota: tight" in run.output
    assert "there still are the plan" in run.output
    assert (up.copies(), up.leftovers()) == ("", "")


def test_a_quota_that_keeps_the_copy_from_starting_is_named(up: Upgrading, status: Status, tmp_path: Path) -> None:
    """The agent and one helper fit, its copy does not: nothing is said of the new version."""
    with quota(up, "few", "count/deployments.apps=1"):
        run = as_caller(up, status, tmp_path, ALL)
    assert run.status == 1
    assert "exceeded quota: few" in run.output
    assert run.verdicts()["test_target_runs_on_the_copy"] == "not run"
    assert (up.copies(), up.leftovers()) == ("", "")


def test_a_storage_class_that_is_gone_gives_way_to_the_default_one(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    (default,) = json.loads(world.kubectl("get", "storageclasses", "--output=json"))["items"][:1]
    lost = {**default, "metadata": {"name": "t-rehearsal-lost"}}
    path = tmp_path / "class.json"
    path.write_text(json.dumps(lost))
    with new_namespace(world) as namespace:
        world.kubectl("apply", "--filename", path)
        values = {**quiet(world), "persistence": {"storageClass": "t-rehearsal-lost"}}
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": values}})
        world.kubectl("delete", "storageclass", "t-rehearsal-lost")
        up = Upgrading(world, volumes, namespace, Suites.at(tmp_path, status))
        assert up.run("suites/backup").status == 0
        run = up.run("suites/rehearsal", GOOD)
    assert run.status == 0, run.output
    assert "the default one: there is no t-rehearsal-lost" in run.evidence("test_backup_is_restored")


@pytest.mark.parametrize(
    ("killed_in", "then", "told_by"),
    [
        ("test_backup_is_restored", "suites/cleanup", "test_copies_are_removed"),
        ("test_target_runs_on_the_copy", "suites/rehearsal", "test_a_copy_can_be_made"),
    ],
)
def test_the_cluster_and_the_next_run_remove_what_a_killed_one_left(
    up: Upgrading, killed_in: str, then: str, told_by: str
) -> None:
    before = up.standing()
    process = up.suites.begin(*up.argv("suites/rehearsal", GOOD))
    until(process, lambda: _begun(up, killed_in))
    time.sleep(2)
    process.kill()
    process.wait(DEADLINE)
    (namespace,) = (name.removeprefix("namespace/") for name in up.copies().split())
    deadline = time.monotonic() + 60
    while left := up.world.kubectl("-n", namespace, "get", LEASHED, "-l", "openab-sop/rehearsal", "--output=name"):
        assert time.monotonic() < deadline, left  # the leash is gone, and with it all that was on it
        time.sleep(1)
    assert up.standing() == before
    run = up.run(then, GOOD)
    assert run.status == 0, run.output
    assert namespace in run.evidence(told_by)
    assert up.copies() == ""


def _begun(up: Upgrading, step: str) -> bool:
    """Whether the newest run has begun a step."""
    journals = sorted(up.suites.reports.glob("*-rehearsal*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = journals[-1].read_text().splitlines() if journals else []
    return any(f"::{step}" in line and '"step begins"' in line for line in lines)
