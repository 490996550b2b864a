"""An upgrade rehearsed on a copy, as an operator does it: the release serves on, and nothing of the copy stays."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.memory import peaks
from sandbox import Sandbox, Status
from tests.integration.conftest import ROOT, Suites, new_namespace
from tests.integration.egress import denied
from tests.integration.suites.conftest import QUIET, Volumes
from tests.integration.suites.test_backup_size import LIMIT, SIZE
from tests.integration.suites.upgrades import Upgrading, quiet, upgrading
from world import World
from world.endpoint.chat import token_digest

KIRO, CLAUDE = "openab-kiro", "openab-claude"
GOOD, BAD = "--target-version=0.8.2", "--target-version=0.9.0-one-agent-panics.1"


@pytest.fixture(scope="module")
def up(world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrading]:
    """A release with two agents and a backup, which rehearsals leave alone."""
    directory = tmp_path_factory.mktemp("rehearsal")
    with upgrading(world, status, volumes, directory, agents=("kiro", "claude")) as up:
        assert up.run("suites/backup").status == 0
        yield up


@pytest.fixture(params=range(2), ids=("first", "second"))
def again(request: pytest.FixtureRequest) -> int:
    """Everything twice: what a rehearsal leaves would be in the way of the next."""
    return int(request.param)


def test_a_good_version_passes_with_two_agents(up: Upgrading, again: int) -> None:
    before = up.standing()
    run = up.run("suites/rehearsal", GOOD)
    assert run.status == 0, run.output
    for agent in (KIRO, CLAUDE):
        assert "0.8.2: ran well" in run.evidence("test_target_runs_on_the_copy")
        assert f"{agent}: 0.8.1: ran well" in run.evidence("test_old_version_runs_after_the_target")
    assert "way back: about" in run.output
    assert (up.standing(), up.copies()) == (before, "")


def test_the_agent_that_fails_is_named_alone(up: Upgrading) -> None:
    before = up.standing()
    run = up.run("suites/rehearsal", BAD)
    assert run.status == 1, run.output
    assert f"does-not-run:{CLAUDE} (blocks)" in run.output
    assert f"does-not-run:{KIRO}" not in run.output
    assert (up.standing(), up.copies()) == (before, "")


def test_a_rehearsal_needs_a_backup_of_what_runs(up: Upgrading, tmp_path: Path) -> None:
    elsewhere = replace(up, suites=Suites.at(tmp_path, up.volumes.status))
    run = elsewhere.run("suites/rehearsal", GOOD)
    assert run.status == 1
    assert "has no backup of release openab" in run.output
    assert "pytest suites/backup" in run.output


def test_the_copy_of_a_bot_with_working_logins_reaches_nobody(
    box: Sandbox, world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """In its home is a job that calls a webhook at each start; the agent itself has the token and the address."""
    webhook = f"{world.chat_url}/api/webhooks/1/{'w' * 40}"
    values = {**quiet(world), "cron": {"usercronEnabled": True, "usercronPath": "cronjob.toml"}}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": values}})
        up = Upgrading(world, volumes, namespace, Suites.at(tmp_path, status))
        job = f'[[jobs]]\\nwebhook = "{webhook}"\\nmessage = "acting as the bot of {namespace}"\\n'
        up.shell(f"mkdir -p .openab; printf '{job}' >.openab/cronjob.toml")
        assert up.run("suites/backup").status == 0
        until_called = time.monotonic() + 30
        while not (called := _calls(up, values)) or called[1] < 1:  # the live one does: it could be seen
            assert time.monotonic() < until_called
            time.sleep(0.5)
        run = up.run("suites/rehearsal", GOOD)
        assert run.status == 0, run.output
        assert _calls(up, values) == called
        assert "1 files" in run.evidence("test_logins_are_harmless")
        with denied(box, f"{namespace}-rehearsal"):
            run = up.run("suites/rehearsal", GOOD)
        assert run.status == 0, run.output
        assert "nothing leaves the copy" in run.evidence("test_the_copy_is_cut_off")
        assert _calls(up, values) == called


def test_a_login_that_cannot_be_made_harmless_is_named_and_refused(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path) as up:
        up.shell("mkdir -p .local/share/keyrings; head -c 64 /dev/urandom >.local/share/keyrings/login.keyring")
        assert up.run("suites/backup").status == 0
        run = up.run("suites/rehearsal", GOOD)
        assert run.status == 1
        assert f"logins-left:{KIRO} (blocks)" in run.output
        assert "login.keyring" in run.output
        assert run.verdicts()["test_old_version_runs_on_the_copy"] == "not run"
        run = up.run("suites/rehearsal", GOOD, f"--accept=logins-left:{KIRO}", "--reason=it is locked")
        assert run.status == 0, run.output


def test_the_prerelease_on_a_copy_and_one_outage(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path, "0.8.0") as up:
        run = up.run("suites", "--target-version=0.8.1", "--prerelease=rehearse", "--approval=auto")
        assert run.status == 0, run.output
        assert (up.chart(), up.kept(), up.copies()) == ("0.8.1 deployed", True, "")
        assert run.verdicts()["test_prerelease_is_applied"] == "not needed"
        assert "0.8.1-beta.1 was validated on a copy" in run.output
        history = json.loads(world.helm(["history", "openab", "--namespace", up.namespace, "--output=json"]))
        assert [row["chart"] for row in history] == ["openab-0.8.0", "openab-0.8.1"]


def test_a_bad_prerelease_is_caught_on_the_copy(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    with upgrading(world, status, volumes, tmp_path) as up:
        before = up.standing()
        run = up.run("suites", "--target-version=0.9.1", "--prerelease=rehearse", "--approval=auto")
        assert run.status == 1, run.output
        assert f"does-not-run:{KIRO} (blocks)" in run.output
        assert (up.standing(), up.copies(), up.chart()) == (before, "", "0.8.1 deployed")


def test_a_human_is_told_how_long_the_way_back_takes(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path) as up:
        version = "--target-version=0.9.0-migrates-data.1"
        run = up.run("suites", version, "--rehearse", "--approval=pause")
        assert run.status == 10, run.output
        assert "The way back takes about" in run.output
        assert f"changes data of {KIRO}, so that volumes are restored" in run.output
        run = up.run("suites", version, "--rehearse", "--answer=stable:ROLLBACK")
        assert run.status == 12, run.output
        assert run.verdicts()["test_target_runs_on_the_copy"] == "not needed"
        assert (up.chart(), up.kept(), up.database()[1]) == ("0.8.1 deployed", True, "1")


def test_memory_stays_small(suites: Suites, world: World, namespace: str, volumes: Volumes) -> None:
    """A home of 1 GB is restored, proved and looked at three times; no process of ours reaches 150 MB."""
    agent: dict[str, Any] = {**world.agent_values(), "env": QUIET, "persistence": {"size": "4Gi"}}
    world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
    world.fill_home(namespace, KIRO, "random", size=SIZE // 2)
    up = Upgrading(world, volumes, namespace, suites)
    assert up.run("suites/backup", "--snapshot-above=never").status == 0
    argv = suites.argv(*up.argv("suites/rehearsal", GOOD))
    with subprocess.Popen(argv, cwd=ROOT, env=dict(suites.env), stdout=subprocess.DEVNULL) as process:
        most = peaks(process)
    assert process.returncode == 0
    assert max(most.values()) < LIMIT, most


def _calls(up: Upgrading, values: dict[str, Any]) -> tuple[int, int]:
    """How often a bot with this token has connected, and how often its webhook was called."""
    log = up.world.endpoint.log()
    digest = token_digest(values["discord"]["botToken"])
    sessions = [session for session in log["sessions"] if session["token_sha256"] == digest]
    return len(sessions), sum(f"the bot of {up.namespace}" in json.dumps(called) for called in log["webhooks"])
