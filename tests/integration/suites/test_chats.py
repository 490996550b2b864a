"""A new version has to be connected to every chat, and have every job, that the old one had, as its log says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, Upgrading, quiet, upgrading
from world import World

SLACK: dict[str, Any] = {"slack": {"enabled": True, "botToken": "xoxb-0-not-a-token", "appToken": "xapp-0-not-a-token"}}
BAD = "0.9.0-one-chat.1"


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    """An agent on Discord and Slack."""
    directory = tmp_path_factory.mktemp("chats") / "run"
    with upgrading(world, status, volumes, directory, each=SLACK) as found:
        yield found


def test_a_chat_that_is_not_connected_any_more_leads_back(release: Upgrading) -> None:
    assert release.run("suites/backup").status == 0
    run = release.run("suites/upgrade", f"--target-version={BAD}", "--prerelease=none", "--reason=x", "--approval=auto")
    assert run.status == 11, run.output
    assert "connected to Slack, as before" in run.output
    assert (release.chart(), release.ready(), release.kept(), release.leftovers()) == ("0.8.1 deployed", True, True, "")


def test_a_chat_that_the_operator_has_taken_out_is_not_missed(release: Upgrading, tmp_path: Path) -> None:
    given = ("get", "values", "openab", "--namespace", release.namespace, "--output=json")
    values = json.loads(release.world.helm(given))
    del values["agents"]["kiro"]["slack"]
    file = tmp_path / "values.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(values))
    version = (f"--target-version={BAD}", "--prerelease=none", "--reason=x", f"--values={file}")
    gone = [f"variable-gone:openab-kiro.SLACK_{name}_TOKEN" for name in ("BOT", "APP")]
    accepted = (f"--accept={one}" for one in ("adapter-off:openab-kiro.slack", *gone))
    run = release.run("suites", *version, *accepted, "--approval=auto")
    assert run.status == 0, run.output
    assert (release.chart(), release.ready()) == (f"{BAD} deployed", True)


def test_jobs_that_are_not_found_any_more_lead_back(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """The agent's own jobs stand in a file of its home; the new version looks for them elsewhere."""
    each = {"cron": {"usercronEnabled": True}}
    with upgrading(world, status, volumes, tmp_path / "run", each=each) as release:
        release.shell("mkdir -p .openab; printf '[[jobs]]\\nschedule = \"0 9 * * *\"\\n' > .openab/cronjob.toml")
        release.kubectl("rollout", "restart", f"deploy/{AGENT}")
        release.kubectl("rollout", "status", f"deploy/{AGENT}", "--timeout=60s")
        bad = release.run("suites", "--target-version=0.9.0-jobs-elsewhere.1", "--approval=auto")
        assert bad.status == 11, bad.output
        assert f"jobs of {AGENT}: none is loaded" in bad.output
        assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.1 deployed", True, "")
        good = release.run("suites", "--target-version=0.8.2", "--approval=auto")
        assert good.status == 0, good.output
        assert "1 before, 1 now" in good.evidence("test_stable_is_verified")


def test_an_agent_that_only_listens(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Telegram, LINE and Teams call it: it connects nowhere, and listens after the upgrade as before."""
    agent = {**quiet(world), "discord": {"enabled": False}}
    agent["configToml"] = '[telegram]\nmode = "webhook"\n\n[agent]\ncommand = "kiro-cli"\n'
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.10.0-beta.1", {"agents": {"kiro": agent}})
        (tmp_path / "run").mkdir()
        release = Upgrading(world, volumes, namespace, Suites.at(tmp_path / "run", status))
        release.fill()
        source = f"--chart={world.registry('today')}/openab"
        run = release.run("suites", source, "--target-version=0.10.0", "--approval=auto")
        assert run.status == 0, run.output
        assert (release.chart(), release.ready(), release.kept()) == ("0.10.0 deployed", True, True)
