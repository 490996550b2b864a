"""Files that go at each start, whatever version starts: told, and held against no version (issue 12 B)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import FILES, Upgrading, upgrading
from world import World

HOME = "/home/agent"
STEERING = ".kiro/steering/rules.md"
SEED = {
    "name": "seed",
    "image": "openab.local/openab:0.8.1",
    "command": ["sh", "-c", f"cd {HOME} && rm -f marker {STEERING}"],
    "volumeMounts": [{"name": "data", "mountPath": HOME}],
}
"""Runs before the agent and removes two of its files: one that the suites know as configuration, and one that not."""
OTHERS = set(FILES) - {"marker", STEERING}


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    directory = tmp_path_factory.mktemp("at-start")
    with upgrading(world, status, volumes, directory, each={"extraInitContainers": [SEED]}) as found:
        yield found


def there(release: Upgrading) -> set[str]:
    return {name for name in FILES if (release.volume() / name).is_file()}


def test_what_only_the_new_version_removes_is_held_against_it(release: Upgrading) -> None:
    """It deletes more than the start does, and is taken back; the old version then starts as it always does."""
    run = release.run("suites", "--target-version=0.9.0-deletes-files.1", "--approval=auto")
    assert run.status == 11, run.output
    assert "hosts.yml" in run.evidence("test_way_back_is_chosen")
    assert (release.chart(), release.ready(), there(release)) == ("0.8.1 deployed", True, OTHERS)
    told = run.output[run.output.index("not this version's work") :]
    assert "'marker'" in told
    assert STEERING in told
    assert (release.leftovers(), release.copies()) == ("", "")


def test_a_good_version_passes_and_what_the_start_removes_is_told(release: Upgrading) -> None:
    """The old version's start is tried on a copy: it removes the same."""
    release.fill()
    assert there(release) == set(FILES)
    run = release.run("suites", "--target-version=0.8.2", "--approval=auto")
    assert run.status == 0, run.output
    assert "writes-at-start:openab-kiro (warns): container seed" in run.html
    told = run.output[run.output.index("not this version's work") :]
    assert "'marker'" in told
    assert STEERING in told
    assert (release.chart(), release.ready(), there(release)) == ("0.8.2 deployed", True, OTHERS)
    assert release.copies() == ""


def test_a_restore_names_who_writes_at_the_start(release: Upgrading) -> None:
    backup = release.suites.backups()[-1]
    run = release.run("suites/restore", f"--backup={backup}", "--items=home")
    assert run.status == 0, run.output
    told = run.evidence("test_what_the_start_changes_is_told")
    assert "container seed: " in told
    assert f"2 removed ('{STEERING}', 'marker')" in told
    assert there(release) == OTHERS
