"""Every version of the stand-in on one copy after the other: each misbehaviour is named, no good version is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from openab_sop.errors import SettingsError
from openab_sop.rehearsals import scratch
from openab_sop.rehearsals.rehearsal import Rehearsal
from sandbox import Status
from tests.integration.rehearsals.ground import Ground, ground
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import upgrading
from world import World

KIRO, CLAUDE = "openab-kiro", "openab-claude"
FOUND = {
    "0.8.1-beta.1": set[str](),
    "0.8.2": set[str](),
    "0.9.0-refuses-arguments.1": {"does-not-run"},
    "0.9.0-panics-at-start.1": {"does-not-run"},
    "0.9.0-never-ready.1": {"does-not-run"},
    "0.9.0-migration-fails.1": {"does-not-run", "data-changed", "no-way-back"},
    "0.9.0-no-image.1": {"does-not-run"},
    "0.9.0-loses-connection.1": {"does-not-run"},
    "0.9.0-wrong-process.1": {"process-missing"},
    "0.9.0-logs-errors.1": {"errors-logged"},
    "0.9.0-migrates-data.1": {"data-changed", "no-way-back"},
    "0.9.0-deletes-files.1": {"files-gone"},
    "0.9.0-ignores-sigterm.1": {"does-not-end"},
    "0.9.0-same-image.1": {"same-image"},
    "0.9.0-no-tar.1": {"tools-missing"},
    "0.9.0-renames-claim.1": {"home-elsewhere"},
}
"""By version: the rules that find something of the agent."""
TOLD = {"data-changed", "no-way-back"}
"""Rules that only tell."""


def quietly(*_: object) -> None:
    """Tells nobody."""


@pytest.fixture(scope="module")
def place(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    directory, volumes = tmp_path_factory.mktemp("rehearsals"), Volumes(world, status)
    with upgrading(world, status, volumes, directory / "release") as up, ground(up, status, directory) as place:
        yield place


@pytest.fixture(scope="module")
def rehearsal(place: Ground) -> Iterator[Rehearsal]:
    """A rehearsal that has seen the old version."""
    rehearsal = place.rehearsal("0.8.2")
    try:
        rehearsal.prepare()
        rehearsal.isolate()
        rehearsal.restore(quietly)
        assert rehearsal.prove().passed
        rehearsal.make_harmless()
        assert not rehearsal.run_old()[KIRO].symptom
        rehearsal.refresh(quietly)
        yield rehearsal
    finally:
        rehearsal.close()
    assert place.upgrading.copies() == ""


@pytest.mark.parametrize("version", FOUND)
def test_what_only_the_new_version_does_is_found(place: Ground, rehearsal: Rehearsal, version: str) -> None:
    before = place.upgrading.standing()
    rehearsal.target = place.target(version)
    rehearsal.run_new("stable", quietly)
    rehearsal.run_back("stable")
    found = [rule_finding for rule_finding in rehearsal.judge().findings if version in rule_finding.versions]
    assert {rule_finding.rule.name for rule_finding in found} == FOUND[version], "\n".join(map(str, found))
    assert any(rule_finding.stops for rule_finding in found) == bool(FOUND[version] - TOLD)
    assert place.upgrading.standing() == before


def test_what_was_found_can_be_accepted_and_nothing_else(place: Ground, rehearsal: Rehearsal) -> None:
    rehearsal.target = place.target("0.9.0-logs-errors.1")
    rehearsal.run_new("stable", quietly)
    others = {rule_finding.id: "seen above" for rule_finding in rehearsal.judge().findings if rule_finding.stops}
    assert f"errors-logged:{KIRO}" in others
    rehearsal.options = replace(rehearsal.options, accepted=others)
    assert rehearsal.judge().passed
    rehearsal.options = replace(rehearsal.options, accepted={"errors-logged:nobody": "by mistake"})
    with pytest.raises(SettingsError, match="the rehearsal has no such finding"):
        rehearsal.judge()


def test_what_another_machine_left_goes_once_it_has_expired(place: Ground) -> None:
    cluster = place.helm.cluster
    for run, year in (("0badcafe", 2026), ("0badbeef", 2126)):
        metadata = {
            "name": f"{cluster.namespace}-rehearsal-{run}",
            "labels": {scratch.REHEARSAL: run, scratch.OF: cluster.namespace},
            "annotations": {
                "openab-sop/owner": "elsewhere/1/1/1",
                "openab-sop/expires": f"{year}-01-01T00:00:00+00:00",
            },
        }
        made = cluster.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    removed = " ".join(scratch.sweep(cluster))
    cluster.delete("Namespace", f"{cluster.namespace}-rehearsal-0badbeef", made["metadata"]["uid"])
    assert "0badcafe" in removed
    assert "0badbeef" not in removed
