"""Every way to name, split and mount that the chart has known: the right agents, claims, homes and files each time.

What is right is told here in words and by kubectl, not by the code under test.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from world import World

RELEASE_FILES = {
    "values.yaml",
    "helm-history.txt",
    "helm-history.json",
    "manifest.yaml",
    "helm-release.yaml",
    "backup.json",
}
AGENT_FILES = {"kiro-auth.sqlite3", "pvc-data", "claim.yaml"}
"""What each agent with a volume has; nobody has filled the homes, so there is nothing else."""


@dataclass(frozen=True)
class Variation:
    """A release: how it is installed, and what is to be found of it.

    Attributes:
        agents: Deployments of its agents, each with its claim.
        secrets, config_maps: what of those must be kept.
    """

    release: str
    version: str
    agents: Mapping[str, str | None]
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    agent: Mapping[str, Any] = field(default_factory=dict[str, Any])
    chart: str = "openab"
    tool: str = "helm"

    def __str__(self) -> str:
        return self.release


SIDECAR = {"name": "sidecar", "image": "openab.local/openab:0.8.1", "command": ["sleep", "3600"]}
GATEWAY = {
    "enabled": True,
    "url": "ws://my-openab-kiro-gateway:8080/ws",
    "token": "gateway-token-1",
    "telegram": {"botToken": "telegram-token-1"},
}
EXTRA = [{"name": "EXTRA", "secretName": "extra", "secretKey": "key"}]
VARIATIONS = (
    Variation(
        "my-openab",  # the release's name says openab already; two agents, one that is off, and a gateway
        "0.8.2",
        {"my-openab-kiro": "my-openab-kiro", "my-openab-claude": "my-openab-claude"},
        ("my-openab-kiro", "my-openab-claude", "my-openab-kiro-gateway"),
        ("my-openab-kiro", "my-openab-claude"),
        values={"agents": {"claude": {"command": "claude"}, "codex": {"enabled": False}}},
        agent={"gateway": GATEWAY},
    ),
    Variation(
        "prod",  # it does not; a second container stands beside the agent, a Secret of somebody else's is referred to
        "0.8.1",
        {"prod-openab-kiro": "prod-openab-kiro"},
        ("prod-openab-kiro", "extra"),
        ("prod-openab-kiro",),
        agent={"extraContainers": [SIDECAR], "secretEnv": EXTRA},
    ),
    Variation(
        "full",
        "0.8.1",
        {"assistant-kiro": "assistant-kiro"},
        ("assistant-kiro",),
        ("assistant-kiro",),
        values={"fullnameOverride": "assistant"},
    ),
    Variation(
        "chartname",
        "0.7.0",
        {"chartname-bot-kiro": "chartname-bot-kiro"},
        ("chartname-bot-kiro",),
        ("chartname-bot-kiro",),
        values={"nameOverride": "bot"},
    ),
    Variation("agentname", "0.8.0", {"solo": "solo"}, ("solo",), ("solo",), agent={"nameOverride": "solo"}),
    Variation(
        "borrowed",
        "0.8.1",
        {"borrowed-openab-kiro": "somebody-elses"},
        ("borrowed-openab-kiro",),
        ("borrowed-openab-kiro",),
        agent={"persistence": {"existingClaim": "somebody-elses"}},
    ),
    Variation(
        "bare",
        "0.8.1",
        {"bare-openab-kiro": None},
        ("bare-openab-kiro",),
        ("bare-openab-kiro",),
        agent={"persistence": {"enabled": False}},
    ),
    Variation("many", "0.6.4", {"many-openab-kiro": "many-openab-kiro"}, ("many-openab-kiro",), ("many-openab-kiro",)),
    Variation("single", "0.5.0", {"single-openab": "single-openab"}, ("single-openab",), ("single-openab",)),
    Variation(
        "old",
        "0.3.3",
        {"old-agent-broker": "old-agent-broker"},
        ("old-agent-broker",),
        ("old-agent-broker",),
        chart="agent-broker",
    ),
    Variation(
        "third",  # made and maintained by helm 3
        "0.8.1",
        {"third-openab-kiro": "third-openab-kiro"},
        ("third-openab-kiro",),
        ("third-openab-kiro",),
        tool="helm3",
    ),
)
each = pytest.mark.parametrize("variation", VARIATIONS, ids=str)


@dataclass(frozen=True)
class Backups:
    """What one run per release made, all in one namespace that is not the context's."""

    world: World
    namespace: str
    runs: Mapping[str, Run]
    directories: Mapping[str, Path]

    def kubectl(self, *arguments: str) -> str:
        """Ask kubectl about the namespace."""
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def manifest(self, variation: Variation) -> dict[str, Any]:
        """``backup.json`` of a release's backup."""
        return json.loads((self.directories[variation.release] / "backup.json").read_text())


@pytest.fixture(scope="module")
def backups(world: World, status: Status, helm3: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backups]:
    """All releases, installed side by side, and a backup of each."""
    with new_namespace(world) as namespace:
        prepare(world, namespace, tmp_path_factory.mktemp("prepared") / "claim.json")
        for variation in VARIATIONS:
            install(world, status, namespace, variation)
        world.kubectl(
            "--namespace", namespace, "wait", "--for=condition=Available", "deploy", "--all", "--timeout=120s"
        )
        mark_homes(world, namespace)
        suites = {v.release: Suites.at(tmp_path_factory.mktemp(v.release), status) for v in VARIATIONS}
        with ThreadPoolExecutor(3) as pool:
            jobs = {v.release: pool.submit(back_up, suites[v.release], namespace, v, helm3) for v in VARIATIONS}
        runs = {release: job.result() for release, job in jobs.items()}
        failed = [run.output for run in runs.values() if run.status != 0]
        assert not failed, "\n".join(failed)
        yield Backups(world, namespace, runs, {release: suites[release].backups()[-1] for release in runs})


def prepare(world: World, namespace: str, file: Path) -> None:
    """Make what the chart does not: a claim and a Secret that values refer to."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "somebody-elses"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    file.write_text(json.dumps(claim))
    world.kubectl("--namespace", namespace, "create", "--filename", file)
    world.kubectl(
        "--namespace", namespace, "create", "secret", "generic", "extra", "--from-literal=key=of-somebody-else"
    )


def install(world: World, status: Status, namespace: str, variation: Variation) -> None:
    """Install a release; its agents start meanwhile."""
    own = world.agent_values() | dict(variation.agent)
    if variation.chart == "agent-broker" or variation.version == "0.5.0":
        values: dict[str, Any] = {"discord": {"botToken": own["discord"]["botToken"]}, "env": own["env"]}
    else:
        others = variation.values.get("agents", {})
        agents = {name: world.agent_values() | other for name, other in others.items()}
        values = {**variation.values, "agents": {"kiro": own, **agents}}
    if variation.tool == "helm":
        world.install(variation.release, namespace, variation.version, values, wait=False)
        return
    command = [status.bin / variation.tool, "install", variation.release, world.package(variation.version)]
    options = ["--kubeconfig", status.kubeconfig, "--namespace", namespace, "--values", "-"]
    subprocess.run([*command, *options], input=json.dumps(values).encode(), check=True, capture_output=True)


def mark_homes(world: World, namespace: str) -> None:
    """Write each Deployment's name into the home that it mounts, where it mounts one."""
    names = world.kubectl("--namespace", namespace, "get", "deploy", "--output=jsonpath={.items[*].metadata.name}")
    for name in names.split():
        script = f"[ ! -w ~ ] || echo {name} >~/marker"
        world.kubectl("--namespace", namespace, "exec", f"deploy/{name}", "--", "sh", "-c", script)


def back_up(suites: Suites, namespace: str, variation: Variation, helm3: Path) -> Run:
    """Back one release up, with the helm that made it."""
    path = f"{helm3}{os.pathsep}{suites.env['PATH']}" if variation.tool == "helm3" else suites.env["PATH"]
    return suites.run("suites/backup", f"--namespace={namespace}", f"--release={variation.release}", env={"PATH": path})


@each
def test_agents_and_claims(backups: Backups, variation: Variation) -> None:
    """The backup is of exactly the agents that the release has, with the claims that their pods mount."""
    found = {agent["deployment"]: agent["claim"] for agent in backups.manifest(variation)["agents"]}
    assert found == variation.agents
    for deployment, claim in variation.agents.items():
        mounted = backups.kubectl(
            "get",
            "deploy",
            deployment,
            "--output=jsonpath={.spec.template.spec.volumes[*].persistentVolumeClaim.claimName}",
        )
        assert mounted == (claim or "")


@each
def test_each_home_is_its_agents(backups: Backups, variation: Variation) -> None:
    """The home in an agent's directory is that agent's, known by the mark that was left in it."""
    for deployment, claim in variation.agents.items():
        archive = backups.directories[variation.release] / deployment / "pvc-data" / "home.tar"
        members = subprocess.run(["tar", "-tf", archive], check=True, capture_output=True, text=True).stdout.split("\n")
        assert ("./marker" in members) == (claim is not None)
        if claim:
            marker = subprocess.run(["tar", "-xOf", archive, "./marker"], check=True, capture_output=True, text=True)
            assert marker.stdout.strip() == deployment


@each
def test_files_of_the_backup(backups: Backups, variation: Variation) -> None:
    """Release-wide files at the top, one directory for each agent, and nothing else."""
    directory = backups.directories[variation.release]
    secrets = {f"secret-{name}.yaml" for name in variation.secrets}
    config_maps = {f"configmap-{name}.yaml" for name in variation.config_maps}
    chart = {f"{variation.chart}-{variation.version}.tgz"}
    expected = RELEASE_FILES | secrets | config_maps | chart | set(variation.agents)
    assert {path.name for path in directory.iterdir()} == expected
    for deployment, claim in variation.agents.items():
        kept = AGENT_FILES if claim else AGENT_FILES - {"kiro-auth.sqlite3", "claim.yaml"}
        assert {path.name for path in (directory / deployment).iterdir()} == kept


@each
def test_values_and_revision(backups: Backups, variation: Variation) -> None:
    """Values, revision and version are those that helm tells."""
    target = (variation.release, "--namespace", backups.namespace, "--output=json")
    values = json.loads(backups.world.helm(["get", "values", *target]))
    kept = backups.world.helm(["get", "values", variation.release, "--namespace", backups.namespace, "--output=yaml"])
    assert values
    assert (backups.directories[variation.release] / "values.yaml").read_text() == kept
    (record,) = json.loads(backups.world.helm(["history", *target]))
    manifest = backups.manifest(variation)
    told = (manifest["revision"], f"{manifest['chart']}-{manifest['version']}", manifest["namespace"])
    assert told == (record["revision"], record["chart"], backups.namespace)


@each
def test_private(backups: Backups, variation: Variation) -> None:
    """Nobody else may look: 0700 and 0600 from the backup root down, session and reports included."""
    directory = backups.directories[variation.release]
    report = backups.runs[variation.release].report
    for root in (directory.parent, report):
        for path in (root, *root.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@each
def test_what_was_never_there_is_not_needed(backups: Backups, variation: Variation) -> None:
    """Items that no agent has in its pod are absent, which is an outcome of its own."""
    verdicts = backups.runs[variation.release].verdicts()
    absent = ["test_agents_config", "test_steering", "test_skills", "test_github_login"]
    persistent = any(variation.agents.values())
    assert [verdicts[test] for test in absent] == ["not needed"] * 4
    assert verdicts["test_auth_database"] == ("passed" if persistent else "not needed")
    for agent in backups.manifest(variation)["agents"]:
        assert set(agent["items"].values()) == ({"absent", "kept"} if persistent else {"absent"})


def test_companion_is_named(backups: Backups) -> None:
    """The gateway is told as a companion, and is no agent."""
    told = backups.runs["my-openab"].evidence("test_agents_are_resolved")
    assert "companions: my-openab-kiro-gateway" in told


def test_chart_archive_installs_the_same(backups: Backups) -> None:
    """The chart in the backup renders the manifest that runs: it is enough to install from."""
    directory = backups.directories["my-openab"]
    archive, values = directory / "openab-0.8.2.tgz", directory / "values.yaml"
    rendered = backups.world.helm(
        ["template", "my-openab", archive, "--namespace", backups.namespace, "--values", values]
    )
    assert rendered.split() == (directory / "manifest.yaml").read_text().split()


def test_two_kubeconfig_files_and_a_context_elsewhere(
    world: World, status: Status, backups: Backups, tmp_path: Path
) -> None:
    """KUBECONFIG may name several files, one with the users and one with the rest."""
    whole = json.loads(world.kubectl("config", "view", "--raw", "--output=json"))
    users, rest = tmp_path / "users", tmp_path / "rest"
    users.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "users": whole.pop("users")}))
    rest.write_text(json.dumps(whole))
    suites = Suites.at(tmp_path, status)
    arguments = ("suites/preparation", f"--namespace={backups.namespace}", "--release=agentname")
    run = suites.run(*arguments, env={"KUBECONFIG": f"{users}{os.pathsep}{rest}"})
    assert run.status == 0, run.output
    assert f"kubeconfig: {users}{os.pathsep}{rest} (from KUBECONFIG)" in run.evidence(
        "test_kubeconfig_and_context_are_resolved"
    )
