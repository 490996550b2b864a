"""Values of another shape and images of other names, as OpenAB has them since 0.9: proposed, proved, upgraded with.

What the configuration means is judged by the ConfigMap on the cluster and by what the agent logs, not by our words.
"""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.underway import DEADLINE, begun, until
from tests.integration.suites.upgrades import Upgrading, quiet, upgrading
from world import World

TARGET = "0.10.0"
AGENTS = ("openab-kiro", "openab-claude")
PROFILE: dict[str, Any] = {
    "command": "kiro-cli",
    "slack": {"enabled": True, "botToken": "xoxb-0-not-a-token", "appToken": "xapp-0-not-a-token"},
    "gateway": {"enabled": True, "deploy": False, "url": "ws://nobody:8080/ws", "token": "shared-for-the-test"},
    "pool": {"maxSessions": 3},
    "reactions": {"enabled": False},
    "cron": {"usercronEnabled": True, "usercronPath": "cron.toml"},
    "cronjobs": [{"schedule": "0 9 * * 1", "channel": "1097261234567890123", "message": 'say "hello"'}],
    "secretEnv": [{"name": "EXTRA", "secretName": "extra", "secretKey": "key"}],
    "resources": {"requests": {"cpu": "10m"}},
    "tolerations": [{"key": "chat", "operator": "Exists"}],
}
"""Values of an agent that uses whatever the chart has."""


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    """Two flavours on 0.8.1, with an older tag of all."""
    directory = tmp_path_factory.mktemp("shape") / "run"
    with upgrading(world, status, volumes, directory, agents=("kiro", "claude")) as found:
        yield found


def today(release: Upgrading, *arguments: str) -> Run:
    """Run a suite on the source that has the generation of today."""
    source = f"--chart={release.world.registry('today')}/openab"
    return release.run(*arguments[:1], source, *arguments[1:])


def configuration(release: Upgrading, name: str) -> dict[str, Any]:
    """What an agent's config.toml on the cluster means."""
    return tomllib.loads(release.kubectl("get", "configmap", name, r"--output=jsonpath={.data.config\.toml}"))


def understood(release: Upgrading, name: str) -> str:
    """What an agent's log says that it has understood of its configuration, secrets as digests."""
    lines = release.kubectl("logs", f"deploy/{name}", "--container=openab").splitlines()
    return next(line.partition("understood ")[2] for line in lines if "understood " in line)


def environment(release: Upgrading, name: str) -> Any:
    """The variables of an agent's container, with the Secrets that they come from."""
    path = "--output=jsonpath={.spec.template.spec.containers[0].env}"
    return sorted(json.loads(release.kubectl("get", "deploy", name, path)), key=lambda variable: variable["name"])


def test_the_plan_names_the_suite_that_leads_on(release: Upgrading) -> None:
    run = today(release, "suites/plan", f"--target-version={TARGET}")
    assert run.status == 1, run.output
    assert "does-not-render" in run.html
    assert f"pytest suites/values --target-version={TARGET}" in run.output


def test_values_are_proposed_and_proved_and_nothing_changes(release: Upgrading) -> None:
    before = release.standing()
    run = today(release, "suites/values", f"--target-version={TARGET}")
    assert run.status == 0, run.output
    proposed = run.report / f"values-{TARGET}.yaml"
    assert stat.S_IMODE(proposed.stat().st_mode) == 0o600
    assert f"--values={proposed}" in run.output
    values = yaml.safe_load(proposed.read_text())
    for name in ("kiro", "claude"):
        assert tomllib.loads(values["agents"][name]["configToml"]) == configuration(release, f"openab-{name}")
        token = values["agents"][name]["discord"]["botToken"]
        assert not [path for path in run.report.iterdir() if path != proposed and token in path.read_text()]
    assert "image" not in values["agents"]["claude"]
    assert release.standing() == before


def test_the_upgrade_with_them_changes_the_version_alone_and_comes_back(release: Upgrading, tmp_path: Path) -> None:
    configurations = {name: configuration(release, name) for name in AGENTS}
    variables = {name: environment(release, name) for name in AGENTS}
    read = {name: understood(release, name) for name in AGENTS}
    out = tmp_path / "values.yaml"
    assert today(release, "suites/values", f"--target-version={TARGET}", f"--out={out}").status == 0
    run = today(release, "suites", f"--target-version={TARGET}", f"--values={out}", "--approval=auto")
    assert run.status == 0, run.output
    assert release.chart() == f"{TARGET} deployed"
    assert {name: release.image(name) for name in AGENTS} == {
        n: f"{TARGET}-{n.removeprefix('openab-')}" for n in AGENTS
    }
    assert {name: configuration(release, name) for name in AGENTS} == configurations
    assert {name: environment(release, name) for name in AGENTS} == variables
    assert {name: understood(release, name) for name in AGENTS} == read
    assert all(release.kept(name) for name in AGENTS)

    fits = today(release, "suites/values", "--target-version=0.10.1")
    assert fits.status == 0, fits.output
    assert "fit 0.10.1 as they are" in fits.output
    failed = today(release, "suites", "--target-version=0.10.1", "--approval=auto")
    assert failed.status == 11, failed.output
    assert release.chart() == f"{TARGET} deployed"

    back = today(release, "suites/rollback", "--yes")
    assert back.status == 0, back.output
    assert release.chart() == "0.8.1 deployed"
    assert {name: configuration(release, name) for name in AGENTS} == configurations
    assert all(release.kept(name) for name in AGENTS)
    assert release.leftovers() == ""


def test_an_edit_by_hand_becomes_part_of_the_values(release: Upgrading, tmp_path: Path) -> None:
    text = release.kubectl("get", "configmap", AGENTS[0], r"--output=jsonpath={.data.config\.toml}")
    edited = text.replace("max_sessions = 10", "max_sessions = 12  # by hand")
    release.kubectl("patch", "configmap", AGENTS[0], "--patch", json.dumps({"data": {"config.toml": edited}}))
    try:
        run = today(release, "suites/values", f"--target-version={TARGET}", f"--out={tmp_path / 'v.yaml'}")
    finally:
        release.kubectl("patch", "configmap", AGENTS[0], "--patch", json.dumps({"data": {"config.toml": text}}))
    assert run.status == 0, run.output
    assert "was edited by hand" in run.output
    assert "max_sessions = 12  # by hand" in (tmp_path / "v.yaml").read_text()


@pytest.mark.parametrize("step", ["test_prerelease_is_applied", "test_stable_is_applied"])
def test_a_run_with_them_that_is_killed_goes_on_with_them(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, step: str
) -> None:
    """The proposal is gone by then: the upgrade has kept it."""
    with upgrading(world, status, volumes, tmp_path / "run") as release:
        before = configuration(release, AGENTS[0])
        out = tmp_path / "values.yaml"
        assert today(release, "suites/values", f"--target-version={TARGET}", f"--out={out}").status == 0
        source = f"--chart={release.world.registry('today')}/openab"
        command = ("suites", source, f"--target-version={TARGET}", "--approval=auto")
        killed_in(release, step, *command, f"--values={out}")
        out.unlink()
        run = release.run(*command)
        assert run.status == 0, run.output
        assert (release.chart(), release.ready(), release.kept()) == (f"{TARGET} deployed", True, True)
        assert configuration(release, AGENTS[0]) == before
        assert release.leftovers() == ""


def killed_in(release: Upgrading, step: str, *arguments: str) -> None:
    """Start a run, and kill it with all that it has started as soon as a step has begun."""
    known = set(release.suites.reports.glob("*"))
    run = release.suites.begin(*release.argv(*arguments))
    try:
        until(run, lambda: begun(release.suites.reports, known, step))
    finally:
        run.kill(group=True)
        run.wait(DEADLINE)


def without_variables(agent: dict[str, Any]) -> None:
    agent["env"].clear()


def elsewhere(agent: dict[str, Any]) -> None:
    agent["workingDir"] = "/home/node"


def not_toml(agent: dict[str, Any]) -> None:
    agent["configToml"] = "[discord\n"


def otherwise(agent: dict[str, Any]) -> None:
    agent["configToml"] = agent["configToml"].replace("max_sessions = 10", "max_sessions = 1")


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (not_toml, "not-equal:ConfigMap/openab-kiro:data.config.toml"),
        (otherwise, "not-equal:ConfigMap/openab-kiro:data.config.toml.pool.max_sessions"),
        (elsewhere, "not-equal:Deployment/openab-kiro"),
        (without_variables, "not-equal:Deployment/openab-kiro"),
    ],
)
def test_a_proposal_that_was_edited_is_not_ready(release: Upgrading, tmp_path: Path, change: Any, subject: str) -> None:
    out, edited = tmp_path / "values.yaml", tmp_path / "edited.yaml"
    assert today(release, "suites/values", f"--target-version={TARGET}", f"--out={out}").status == 0
    values = yaml.safe_load(out.read_text())
    change(values["agents"]["kiro"])
    edited.touch(mode=0o600)
    edited.write_text(yaml.safe_dump(values))
    run = today(release, "suites/values", f"--target-version={TARGET}", f"--values={edited}")
    assert run.status == 1, run.output
    assert subject in run.output


def test_an_agent_that_uses_everything(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Slack, a gateway, cron, a Secret of others, placement, a tag of all, a key that is no flavour."""
    bot = {**quiet(world), **PROFILE}
    values = {"image": {"tag": "0.8.1"}, "agents": {"kiro": {"enabled": False}, "bot": bot}}
    with new_namespace(world) as namespace:
        secret = ("create", "secret", "generic", "extra", "--from-literal=key=of-somebody-else")
        world.kubectl("--namespace", namespace, *secret)
        world.install("openab", namespace, "0.8.1", values)
        (tmp_path / "run").mkdir()
        release = Upgrading(world, volumes, namespace, Suites.at(tmp_path / "run", status))
        release.fill("openab-bot")
        before = [look(release, "openab-bot") for look in (configuration, environment, understood)]
        out = tmp_path / "values.yaml"
        run = today(release, "suites/values", f"--target-version={TARGET}", f"--out={out}")
        assert run.status == 0, run.output
        proposed = yaml.safe_load(out.read_text())
        assert proposed["agents"]["bot"]["image"] == f"openab.local/openab:{TARGET}-kiro"
        assert "image" not in proposed
        assert not {"pool", "reactions", "cron", "cronjobs"} & proposed["agents"]["bot"].keys()
        done = today(release, "suites", f"--target-version={TARGET}", f"--values={out}", "--approval=auto")
        assert done.status == 0, done.output
        assert [look(release, "openab-bot") for look in (configuration, environment, understood)] == before
        assert release.kept("openab-bot")


def test_one_agent_of_long_ago_comes_to_today(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Helm cannot change its Deployment's selector: the plan says so, and the way that it names leads there."""
    values = {"discord": {"botToken": "t0ken-of-long-ago"}, "env": quiet(world)["env"]}
    with new_namespace(world) as namespace:
        world.install("openab", namespace, "0.5.0", values)
        (tmp_path / "run").mkdir()
        release = Upgrading(world, volumes, namespace, Suites.at(tmp_path / "run", status))
        release.fill("openab")
        out = tmp_path / "values.yaml"
        run = today(release, "suites/values", f"--target-version={TARGET}", f"--out={out}")
        assert run.status == 0, run.output
        blocked = today(release, "suites/plan", f"--target-version={TARGET}", f"--values={out}")
        assert blocked.status == 1, blocked.output
        assert "selector-changed:openab" in blocked.html
        assert release.run("suites/backup").status == 0
        world.helm(["uninstall", "openab", "--namespace", namespace, "--wait"])
        world.helm(["install", "openab", world.package(TARGET), "--namespace", namespace, "--values", out, "--wait"])
        (backup,) = release.suites.backups()
        back = release.run(
            "suites/restore", f"--backup={backup}", "--accept=other-claim:openab", "--reason=installed anew"
        )
        assert back.status == 0, back.output
        assert (release.chart(), release.ready(), release.kept("openab")) == (f"{TARGET} deployed", True, True)


def test_a_claim_that_would_be_renamed_stays_the_agents(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """The chart names claims otherwise: without other values the agent would start on an empty one."""
    version = "--target-version=0.9.0-renames-claim.1"
    with upgrading(world, status, volumes, tmp_path / "run") as release:
        claim, out = release.claim(), tmp_path / "values.yaml"
        blocked = release.run("suites/plan", version)
        assert (blocked.status, "claim-orphaned:openab-kiro" in blocked.html) == (1, True), blocked.output
        assert release.run("suites/values", version, f"--out={out}").status == 0
        run = release.run("suites", version, f"--values={out}", "--approval=auto")
        assert run.status == 0, run.output
        assert (release.chart(), release.ready(), release.kept()) == ("0.9.0-renames-claim.1 deployed", True, True)
        assert (release.claim(), release.kubectl("get", "pvc", "--output=name")) == (
            claim,
            f"persistentvolumeclaim/{AGENTS[0]}\n",
        )
        back = release.run("suites/rollback", "--yes")
        assert back.status == 0, back.output
        assert (release.chart(), release.claim(), release.kept(), release.leftovers()) == (
            "0.8.1 deployed",
            claim,
            True,
            "",
        )
