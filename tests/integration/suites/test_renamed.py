"""An agent is its claim and its home, however its Deployment is called by now, and if it has none (issue 12 A).

Values rename it or switch it off; the plan blocks that, and it is accepted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from world import World

ALL = ("suites", "--approval=auto")
OTHER, RENAMED = "openab-claude", "solo"
ACCEPTED = (f"--accept=agent-renamed:{AGENT}", "--reason=wanted")
AFTER = {"nameOverride": RENAMED, "persistence": {"existingClaim": AGENT}}
"""Values by which an agent's Deployment gets another name and keeps its claim."""
OFF = {"enabled": False}
"""All values of an agent that is no part of the release any more."""


def values(release: Upgrading, directory: Path, **agents: Any) -> Path:
    """The release's own values, with those of some agents otherwise."""
    own = json.loads(release.world.helm(["get", "values", "openab", "--output=json", "--namespace", release.namespace]))
    for name, more in agents.items():
        own["agents"][name] = OFF if more is OFF else {**own["agents"][name], **more}
    given = directory / "values.json"
    given.touch(0o600)
    given.write_text(json.dumps(own))
    return given


def deployments(release: Upgrading) -> list[str]:
    return release.kubectl("get", "deployments", "--output=name").replace("deployment.apps/", "").split()


def test_files_that_the_version_deletes_are_missed(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path / "run") as release:
        claim, given = release.claim(), values(release, tmp_path, kiro=AFTER)
        run = release.run(*ALL, "--target-version=0.9.0-deletes-files.1", f"--values={given}", *ACCEPTED)
        assert run.status == 11, run.output
        assert ".kiro/steering/rules.md" in run.output
        assert (release.chart(), deployments(release)) == ("0.8.1 deployed", [AGENT])
        assert (release.claim(), release.ready(), release.kept(), release.leftovers()) == (claim, True, True, "")


def test_a_rollback_restores_what_the_old_version_cannot_read_and_no_more(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path / "run") as release:
        claim, before, given = release.claim(), release.database(), values(release, tmp_path, kiro=AFTER)
        way = ("--target-version=0.9.0-migrates-data.1", f"--values={given}", *ACCEPTED)
        paused = release.run("suites", *way)
        assert (paused.status, deployments(release)) == (10, [RENAMED]), paused.output
        assert release.database()[1] != before[1]
        release.shell("echo of today >newer; echo other >.config/gh/hosts.yml", RENAMED)
        run = release.run("suites/upgrade", *way, "--answer=stable:ROLLBACK")
        assert run.status == 12, run.output
        assert (release.chart(), deployments(release)) == ("0.8.1 deployed", [AGENT])
        assert (release.claim(), release.ready(), release.leftovers()) == (claim, True, "")
        names = ("newer", ".config/gh/hosts.yml")
        assert [(release.volume() / name).read_text() for name in names] == ["of today\n", "other\n"]
        assert release.database()[:2] == before[:2]


def test_a_backup_from_before_is_restored_into_what_bears_the_claim_now(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    with upgrading(world, status, volumes, tmp_path / "run") as release:
        assert release.run("suites/backup").status == 0
        given, space = values(release, tmp_path, kiro=AFTER), f"--namespace={release.namespace}"
        world.helm(["upgrade", "openab", world.package("0.8.1"), space, f"--values={given}", "--wait"])
        assert deployments(release) == [RENAMED]
        release.shell("rm -r .kiro/skills marker; echo newer >more", RENAMED)
        run = release.run("suites/restore", f"--backup={release.suites.backups()[-1]}", "--yes")
        assert run.status == 0, run.output
        assert f"{AGENT} (claim {AGENT}, now of Deployment {RENAMED})" in run.html
        assert (deployments(release), release.ready(), release.kept()) == ([RENAMED], True, True)
        assert not (release.volume() / "more").exists()
        assert release.leftovers() == ""


@pytest.mark.parametrize("kept", [True, False], ids=["with its claim", "without"])
def test_an_agent_that_vanishes_by_consent_is_named_and_comes_back_with_its_files(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, kept: bool
) -> None:
    """A rollback by hand brings its claim back, filled, where Helm has deleted that."""
    with upgrading(world, status, volumes, tmp_path / "run", agents=("kiro", "claude")) as release:
        claim, given = release.claim(OTHER), values(release, tmp_path, claude=OFF)
        accepted = [f"--accept=agent-vanishes:{OTHER}", "--reason=it retires"]
        if not kept:
            release.kubectl("annotate", "pvc", OTHER, "helm.sh/resource-policy-")
            accepted.append(f"--accept=claim-deleted:{OTHER}")
        run = release.run(*ALL, "--target-version=0.8.2", f"--values={given}", *accepted)
        assert (run.status, deployments(release)) == (0, [AGENT]), run.output
        assert f"{OTHER}: no agent has it any more" in run.output.partition("= summary =")[2]
        back = release.run("suites/rollback", "--yes")
        assert back.status == 0, back.output
        assert (release.chart(), sorted(deployments(release))) == ("0.8.1 deployed", [OTHER, AGENT])
        assert (release.ready(), release.kept(), release.kept(OTHER), release.leftovers()) == (True, True, True, "")
        assert (release.claim(OTHER) == claim) == kept
