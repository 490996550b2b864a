"""Values that come with a version: a chart that does not take the release's own is upgraded to with others."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, upgrading
from world import World

ADVICE = "; ".join(f"step {number} of what to write in its place" for number in range(60))
"""Longer than what is quoted of other errors: helm's own words are to be shown whole."""
SHAPE = "{{- if not .Values.shape }}{{ fail " + json.dumps(f"values of another shape: {ADVICE}") + " }}{{- end }}\n"


@pytest.fixture
def release(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path / "run") as found:
        yield found


@pytest.fixture(scope="module")
def shaped(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Version 0.8.2 of the family, which takes values of a new shape alone."""
    directory = tmp_path_factory.mktemp("shaped")
    with tarfile.open(world.package("0.8.2")) as archive:
        archive.extractall(directory / "chart", filter="data")
    (directory / "chart/openab/templates/shape.yaml").write_text(SHAPE)
    world.helm(["package", str(directory / "chart/openab"), "--destination", str(directory)])
    return f"--chart={directory / 'openab-0.8.2.tgz'}"


def own(release: Upgrading) -> dict[str, Any]:
    """The values that helm has of the release."""
    return json.loads(
        release.world.helm(["get", "values", "openab", "--output=json", "--namespace", release.namespace])
    )


def write(release: Upgrading, path: Path, **more: Any) -> str:
    """Values of the new shape for a release, as an option."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump({**own(release), "shape": "new", **more}))
    return f"--values={path}"


def upgrade(release: Upgrading, shaped: str, *arguments: str) -> Any:
    """Upgrade to the chart of another shape; notes stand for the pre-release that it has not."""
    return release.run("suites", shaped, "--target-version=0.8.2", *arguments)


def test_values_that_do_not_render_are_a_finding_with_helms_whole_words(release: Upgrading, shaped: str) -> None:
    """No step before the plan fails for them."""
    run = upgrade(release, shaped)
    assert run.status == 1, run.output
    assert run.verdicts()["test_nodes_have_room"] == "passed"
    assert "does-not-render" in run.html
    assert ADVICE in run.html
    assert "--values=FILE" in run.output
    assert release.chart() == "0.8.1 deployed"


def test_it_is_upgraded_with_them_and_comes_back_without(release: Upgrading, shaped: str, tmp_path: Path) -> None:
    before = own(release)
    given = write(release, tmp_path / "new.yaml")
    paused = upgrade(release, shaped, given)
    assert paused.status == 10, paused.output
    assert (release.chart(), own(release)["shape"]) == ("0.8.2 deployed", "new")

    others = upgrade(
        release, shaped, write(release, tmp_path / "others.yaml", more="other"), "--answer=stable:CONFIRMED"
    )
    assert others.status == 1, others.output
    assert "began with values of SHA-256" in others.output

    back = upgrade(release, shaped, "--answer=stable:ROLLBACK")  # what it began with is known
    assert back.status == 12, back.output
    assert (release.chart(), own(release), release.kept()) == ("0.8.1 deployed", before, True)

    done = upgrade(release, shaped, given, "--approval=auto")
    assert done.status == 0, done.output
    assert (release.chart(), own(release)["shape"]) == ("0.8.2 deployed", "new")
    assert (release.kept(), release.leftovers()) == (True, "")
    assert list(release.suites.backup_root.rglob("sessions/*/*/*/values-*.yaml")) == []


def test_configuration_alone_is_changed_with_all_the_gates(release: Upgrading, tmp_path: Path) -> None:
    given = write(release, tmp_path / "new.yaml")
    same = release.run("suites", "--target-version=0.8.1", given)
    assert same.status == 0, same.output
    assert "--force" in same.output
    assert "shape" not in own(release)
    run = release.run("suites", "--target-version=0.8.1", given, "--force", "--approval=auto")
    assert run.status in (0, 1), run.output
    if run.status == 1:  # a value without an effect is named, and may be let pass
        assert "value-ignored:shape" in run.html
        passed = ("--accept=value-ignored:shape", "--reason=the next version heeds it")
        run = release.run("suites", "--target-version=0.8.1", given, "--force", "--approval=auto", *passed)
    assert run.status == 0, run.output
    assert (own(release)["shape"], release.kept(), release.leftovers()) == ("new", True, "")
