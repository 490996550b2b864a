"""The line to the cluster breaks while a run is under way: it is ridden out, or nothing was begun (issue 13).

What is judged is the release, by kubectl, helm and digests; the run's own words only where they are what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from tests.line import Line, Request, stops
from world import World

GOOD, BAD = "0.8.2", "0.9.0-migration-fails.1"


@pytest.fixture(scope="module")
def lasting(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    """A release that no test leaves otherwise than it was."""
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("lasting")) as found:
        found.shell("head -c 8000000 /dev/urandom > .kiro/large")
        assert found.run("suites/backup").status == 0
        yield found


def records(request: Request) -> bool:
    """Tell whether helm records what became of a revision."""
    return request.method == "PUT" and "/secrets/sh.helm.release.v1." in request.path


def over(found: Line) -> dict[str, str]:
    return {"KUBECONFIG": str(found.kubeconfig)}


def assert_well(release: Upgrading, chart: str = "0.8.1") -> None:
    """The release runs, its volume is as it was, and nothing of ours is left."""
    assert release.chart() == f"{chart} deployed"
    release.kubectl("rollout", "status", f"deploy/{AGENT}", "--timeout=60s")
    assert release.ready()
    assert release.kept()
    assert release.database()[0] == "ok"
    assert release.leftovers() == ""


def test_a_restore_whose_line_breaks_when_the_agent_stands_still(lasting: Upgrading, switched: Line) -> None:
    lasting.shell("rm -rf .kiro/steering")
    switched.cut_once(stops, 5)
    run = lasting.run("suites/restore", f"--backup={lasting.suites.backups()[-1]}", env=over(switched))
    assert switched.cuts == 1
    assert run.status == 0, run.output
    assert any("asking again" in str(event) for event in run.journal)
    assert_well(lasting)


@pytest.mark.parametrize("number", [0, 3])
def test_a_restore_whose_streams_break(lasting: Upgrading, switched: Line, number: int) -> None:
    """The n-th exec or attach breaks as it begins, with all others: the volume is held and looked at anew."""
    lasting.shell("rm -rf .kiro/steering; echo new > newer")
    seen: list[Request] = []

    def judge(request: Request) -> int | None:
        seen.extend([request] if request.is_stream else [])
        if request.is_stream and len(seen) == number + 1:
            switched.cut(1)
            return 0
        return None

    switched.judge = judge
    run = lasting.run("suites/restore", f"--backup={lasting.suites.backups()[-1]}", env=over(switched))
    assert switched.cuts == 1
    assert run.status == 0, run.output
    assert_well(lasting)


@pytest.mark.parametrize("sent", [5_000_000])
def test_a_restore_whose_line_breaks_while_it_writes(lasting: Upgrading, switched: Line, sent: int) -> None:
    lasting.shell("rm .kiro/large; echo new > newer")
    switched.in_stream(sent, lambda: switched.cut(4))
    run = lasting.run("suites/restore", f"--backup={lasting.suites.backups()[-1]}", env=over(switched))
    assert switched.cuts == 1
    assert run.status == 0, run.output
    assert (lasting.volume() / ".kiro/large").stat().st_size == 8_000_000
    assert_well(lasting)


def test_an_upgrade_whose_line_breaks_while_helm_works(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, switched: Line
) -> None:
    """Helm has sent half of it: it is sent once more, and nothing is taken back."""
    with upgrading(world, status, volumes, tmp_path / "release") as release:
        switched.cut_once(
            lambda r: r.method in ("PATCH", "POST") and "/configmaps" in r.path and "dryRun" not in r.path, 3
        )
        run = release.run("suites", f"--target-version={GOOD}", "--approval=auto", env=over(switched))
        assert switched.cuts == 1
        assert run.status == 0, run.output
        assert_well(release, GOOD)


@pytest.mark.parametrize("when", ["stopped", "rolled back"])
def test_a_failing_upgrade_whose_line_breaks_on_the_way_back(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, switched: Line, when: str
) -> None:
    with upgrading(world, status, volumes, tmp_path / "release") as release:
        switched.cut_once(stops if when == "stopped" else records, 5)
        run = release.run("suites", f"--target-version={BAD}", "--approval=auto", env=over(switched))
        assert switched.cuts == 1
        assert run.status == 11, run.output
        assert_well(release)


def test_a_start_that_is_refused_is_asked_for_again(lasting: Upgrading, switched: Line) -> None:
    """A webhook's hiccup, or a right that comes back: nobody else would start the agent."""
    refused: list[Request] = []

    def judge(request: Request) -> int | None:
        if request.method == "PATCH" and "/deployments/" in request.path and '"replicas": 1' in request.body:
            refused.append(request)
            return 403 if len(refused) <= 4 else None
        return None

    switched.judge = judge
    lasting.shell("rm -rf .kiro/steering")
    run = lasting.run("suites/restore", f"--backup={lasting.suites.backups()[-1]}", env=over(switched))
    assert len(refused) == 5
    assert run.status == 0, run.output
    assert_well(lasting)


def test_a_server_that_is_not_well_now_and_then(lasting: Upgrading, switched: Line) -> None:
    """Every fifth request gets 429, 500 or 503."""
    answers = (429, 500, 503)
    switched.judge = lambda r: answers[r.number % 3] if r.number % 5 == 4 and not r.is_stream else None
    lasting.shell("rm -rf .kiro/steering")
    run = lasting.run("suites/restore", f"--backup={lasting.suites.backups()[-1]}", env=over(switched))
    assert run.status == 0, run.output
    assert_well(lasting)


def test_a_cluster_that_is_away_is_told_before_anything_is_done(lasting: Upgrading, switched: Line) -> None:
    switched.cut(60)
    run = lasting.run("suites/backup", env=over(switched))
    assert run.status == 1, run.output
    assert "does not answer" in run.output
    assert "kubectl --context sandbox version" in run.output


def test_a_stream_that_stands_still_ends_with_its_name(lasting: Upgrading, switched: Line) -> None:
    """Nothing was begun: it is not tried again, and the agent runs on."""

    def judge(request: Request) -> None:
        if request.is_stream:
            switched.freeze()

    switched.judge = judge
    run = lasting.run("suites/backup", "--full", "--stall-timeout=3", env=over(switched))
    assert run.status == 1, run.output
    assert "nothing for 3 s" in run.output
    assert AGENT in run.output
    assert_well(lasting)


@pytest.fixture
def upgraded(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> Iterator[Upgrading]:
    """A release that was upgraded well, and may be rolled back by hand."""
    with upgrading(world, status, volumes, tmp_path / "run") as found:
        assert found.run("suites", f"--target-version={GOOD}", "--approval=auto").status == 0
        yield found


def test_a_rollback_that_the_cluster_would_not_record_is_gone_on_with(upgraded: Upgrading, switched: Line) -> None:
    """What was refused as it began has not "ended from elsewhere": the next run does it."""
    switched.judge = lambda request: 403 if request.method == "PATCH" else None
    refused = upgraded.run("suites/rollback", env=over(switched))
    assert refused.status in (1, 15), refused.output
    assert_can_go_back(upgraded)


def test_a_rollback_whose_lock_was_deleted_is_asked_for_anew(upgraded: Upgrading, switched: Line) -> None:
    def delete(request: Request) -> None:
        if stops(request):
            upgraded.kubectl("delete", "leases", "--all")

    switched.after = delete
    lost = upgraded.run("suites/rollback", env=over(switched))
    assert lost.status in (14, 15), lost.output
    assert_can_go_back(upgraded)


def assert_can_go_back(release: Upgrading) -> None:
    """The agents run, on the new version, and the next rollback leads to the old one."""
    assert release.chart() == f"{GOOD} deployed"
    release.kubectl("rollout", "status", f"deploy/{AGENT}", "--timeout=60s")
    assert release.ready()
    back = release.run("suites/rollback")
    assert back.status == 0, back.output
    assert_well(release)
