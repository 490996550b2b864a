"""A chart for one chat is a release like any other: found, backed up, planned, upgraded, brought back (issue 15)."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from openab_sop.upstream.charts import SISTERS
from sandbox import Status
from tests.integration.conftest import Suites, new_namespace
from world import World

RELEASE = "chat"
SHORT = ("--settle=2", "--ready-timeout=15", "--connect-timeout=15", "--approval=auto")


def sister(world: World, name: str, version: str, directory: Path) -> Path:
    """Package a version of the family under a sister's name."""
    with tarfile.open(world.package(version)) as archive:
        archive.extractall(directory / version, filter="data")
    about = directory / version / "openab" / "Chart.yaml"
    about.write_text(yaml.safe_dump({**yaml.safe_load(about.read_text()), "name": name}))
    world.helm(["package", about.parent, f"--destination={directory}"])
    return directory / f"{name}-{version}.tgz"


@pytest.mark.parametrize("name", SISTERS[:1])
def test_it_is_maintained_as_any_other(world: World, status: Status, tmp_path: Path, name: str) -> None:
    place = f"{status.registry}/sisters"
    packages = {version: sister(world, name, version, tmp_path) for version in ("0.8.1", "0.8.2", "0.9.0")}
    for package in packages.values():
        world.helm(["push", package, place, "--plain-http"])
    values = tmp_path / "values.json"
    values.touch(mode=0o600)
    values.write_text(json.dumps({"agents": {"kiro": {**world.agent_values(), "env": {"OPENAB_WRITE_INTERVAL": "0"}}}}))
    with new_namespace(world) as namespace:
        there = ("--namespace", namespace)
        world.helm(["install", RELEASE, packages["0.8.1"], *there, "--values", values, "--wait"])
        suites = Suites.at(tmp_path, status)
        source = (f"--namespace={namespace}", f"--chart={place}/{name}", f"--notes-url={world.release_notes_url}")

        unknown = suites.run("suites/plan", *source, "--target-version=0.8.2")
        assert "not-validated:0.8.2" in unknown.output  # the notes of OpenAB's own 0.8.2 say nothing of it
        straight = ("--prerelease=none", "--reason=there is none")
        good = suites.run("suites", *source, *SHORT, "--target-version=0.8.2", *straight, timeout=600)
        assert good.status == 0, good.output
        assert chart(world, namespace) == f"{name}-0.8.2 deployed"
        bad = suites.run("suites", *source, *SHORT, "--target-version=0.9.0", *straight, timeout=600)
        assert bad.status == 11, bad.output
        assert chart(world, namespace) == f"{name}-0.8.2 deployed"

        big = f"--chart={world.registry('trials')}/openab"
        other = suites.run("suites/target", *source[:1], big, "--target-version=0.9.0")
        assert (other.status, f"gives openab 0.9.0 for {name} 0.9.0" in " ".join(other.output.split())) == (1, True)


def chart(world: World, namespace: str) -> str:
    """What runs, as helm lists it."""
    (release,) = json.loads(world.helm(["list", "--namespace", namespace, "--output=json"]))
    return f"{release['chart']} {release['status']}"
