"""What lies where in a backup, and what ``backup.json`` says of it."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from openab_sop import __version__
from tests.integration.suites.conftest import BackedUp
from world import World

ITEMS = {
    "agents": ".kiro/agents",
    "steering": ".kiro/steering",
    "skills": ".kiro/skills",
    "hosts.yml": ".config/gh/hosts.yml",
}


@pytest.mark.parametrize("item", ITEMS)
def test_items_equal_the_volumes(quiet_backup: BackedUp, item: str) -> None:
    """Each item for quick restores has the same names and bytes as its path on the volume."""
    kept = quiet_backup.directory / quiet_backup.deployment / item
    subprocess.run(["diff", "--recursive", kept, quiet_backup.volume / ITEMS[item]], check=True)


def test_manifest_says_where_it_is_from(quiet_backup: BackedUp, world: World) -> None:
    """Cluster, release, revision, chart, image and time are those that kubectl and helm tell."""
    told = quiet_backup.manifest
    target = ("--namespace", quiet_backup.namespace, "--output=jsonpath")
    assert told["cluster"] == world.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
    assert (told["namespace"], told["release"]) == (quiet_backup.namespace, "openab")
    (record,) = json.loads(world.helm(["history", "openab", "--namespace", quiet_backup.namespace, "--output=json"]))
    assert (told["revision"], f"{told['chart']}-{told['version']}") == (record["revision"], record["chart"])
    assert told["tool"] == __version__
    age = datetime.now(UTC) - datetime.fromisoformat(told["created"])
    assert timedelta() < age < timedelta(minutes=30)
    (agent,) = told["agents"]
    path = "{.items[0].status.containerStatuses[0].imageID}"
    assert agent["image_id"] == world.kubectl("get", "pods", *target[:2], f"{target[2]}={path}")
    assert agent["items"] == dict.fromkeys([*ITEMS, "kiro-auth.sqlite3"], "kept")


def test_manifest_lists_every_file_with_its_digest(quiet_backup: BackedUp) -> None:
    """sha256sum agrees with all that it lists, and there is no other file."""
    told = {entry["path"]: entry for entry in quiet_backup.manifest["contents"]}
    found = {
        str(path.relative_to(quiet_backup.directory)): path.stat().st_size
        for path in quiet_backup.directory.rglob("*")
        if path.is_file() and path.name != "backup.json"
    }
    assert {path: entry["size"] for path, entry in told.items()} == found
    lines = "".join(f"{entry['sha256']}  {path}\n" for path, entry in told.items())
    check = ["sha256sum", "--check", "--quiet", "--strict", "-"]
    subprocess.run(check, cwd=quiet_backup.directory, input=lines.encode(), check=True)


def test_counts_are_the_volumes(quiet_backup: BackedUp) -> None:
    """Names and files are as many as find sees, the mount points of the chart's files left out."""
    (agent,) = quiet_backup.manifest["agents"]
    skip = ["!", "-name", "AGENTS.md", "!", "-name", "CLAUDE.md", "!", "-name", "GEMINI.md"]
    for name, only in (("entries", []), ("files", ["-type", "f"])):
        command = ["find", quiet_backup.volume, *skip, *only, "-printf", "x"]
        seen = subprocess.run(command, check=True, capture_output=True).stdout
        assert agent[name] == len(seen)


def test_secret_is_whole_and_private(quiet_backup: BackedUp, world: World) -> None:
    """The Secret's file has the data that the cluster has, for its owner alone."""
    path = quiet_backup.directory / "secret-openab-kiro.yaml"
    target = ("--namespace", quiet_backup.namespace, "--output=json")
    assert (
        yaml.safe_load(path.read_text())["data"]
        == json.loads(world.kubectl("get", "secret", "openab-kiro", *target))["data"]
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
