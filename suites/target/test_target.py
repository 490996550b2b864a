"""Target: choose version, pre-release and values, and check that the nodes have room (SOP 1)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop.cluster.lease import Board, Lease
from openab_sop.errors import NothingToDo, StepSkipped
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import UpgradeState, UpgradeStateFile
from openab_sop.settings import Settings
from openab_sop.targets import capacity
from openab_sop.targets import target as targets
from openab_sop.targets.chart_source import ChartSource
from openab_sop.targets.notes import Notes
from openab_sop.targets.target import Choice, Target
from openab_sop.targets.values import TargetValues
from openab_sop.targets.version import Version
from openab_sop.upgrades import unfinished
from openab_sop.upgrades.answers import Reply


def test_answer_is_awaited(reply: Reply | None, under_way: UpgradeState | None, evidence: Evidence) -> None:
    """3.3 Check that a given answer is the one that the upgrade in progress waits for."""
    if reply is None:
        raise StepSkipped("no answer was given")
    reply.require_awaited(under_way)
    evidence("under way", under_way.doing if under_way else "nothing")


def test_target_version_is_known(source: ChartSource, target_version: Version, evidence: Evidence) -> None:
    """1.3a Choose the target: the version named, or the newest stable one of the chart source."""
    evidence("source", source)
    evidence("target", target_version)


def test_target_is_not_what_runs(
    release: Release,
    target_version: Version,
    under_way: UpgradeState | None,
    board: Board,
    state_file: UpgradeStateFile,
    settings: Settings,
    audit: Audit,
    evidence: Evidence,
) -> None:
    """1.4 Check that the target is not what runs already, or that its upgrade is not finished."""
    if under_way is None:
        Lease(release.cluster, release.name).require_free()
        unfinished.require_running(release, board, state_file.read())
    try:
        evidence("to do", targets.check_needed(release, target_version, under_way, force=settings.force))
    except NothingToDo:
        if paused := unfinished.require_well(release):
            audit.facts["scaled to nothing"] = f"WARNING: {', '.join(paused)}"
        raise


def test_prerelease_is_chosen(choice: Choice, audit: Audit, evidence: Evidence) -> None:
    """1.5 Choose the pre-release to validate first, or record why none is; the plan blocks without either."""
    evidence("pre-release", choice)
    if choice.unvalidated:
        audit.facts["pre-release"] = f"WARNING: {choice.why}"


def test_charts_are_pulled(target: Target, evidence: Evidence) -> None:
    """1.3b Pull the charts once: every later step uses these bytes."""
    evidence("charts", "\n  ".join(f"{path}, SHA-256 {digest}" for path, digest in target.archives.items()))


def test_values_are_known(target_values: TargetValues, audit: Audit, evidence: Evidence) -> None:
    """3.2 Choose the values that the target is rendered with: the release's own, or those named."""
    evidence("values", target_values.origin)
    if target_values.given:
        audit.facts["values"] = f"{target_values.origin} (SHA-256 {target_values.digest[:16]})"


def test_release_notes_are_shown(notes: Notes, audit: Audit, evidence: Evidence) -> None:
    """1.6 Show the release notes: breaking changes, changed values and migrations first."""
    audit.facts |= notes.highlights()
    evidence("release notes", notes)


@pytest.mark.gate
def test_nodes_have_room(
    release: Release,
    target: Target,
    target_values: TargetValues,
    under_way: UpgradeState | None,
    audit: Audit,
    evidence: Evidence,
) -> None:
    """1.7 Check that the pods of the target fit a node that their volumes allow."""
    room = capacity.check(release, target.chart, target_values, under_way)
    audit.facts |= room.highlights()
    room.require()
    evidence("verdict", room)
