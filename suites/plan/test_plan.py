"""Plan: judge what the upgrade would do by every known kind of bad upgrade; nothing is changed (SOP 3.1)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop.plans.planning import Planning


def test_plan_is_drawn(planning: Planning, audit: Audit, evidence: Evidence) -> None:
    """3.1a Read the cluster, Helm's record and each version as rendered; the API judges each object."""
    evidence("plan", planning.draw())
    audit.facts |= planning.highlights()


@pytest.mark.collecting
def test_volumes_are_kept(planning: Planning, evidence: Evidence) -> None:
    """3.1b Check that every agent keeps its claim and finds its files in it."""
    found = planning.about("volumes")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_workloads_stay(planning: Planning, evidence: Evidence) -> None:
    """3.1c Check that Deployments keep their names, selectors, strategy and number of pods."""
    found = planning.about("workloads")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_images_move(planning: Planning, evidence: Evidence) -> None:
    """3.1d Check that each agent gets the image of the version, of its own flavour, and that it can be pulled."""
    found = planning.about("images")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_configuration_keeps_its_meaning(planning: Planning, evidence: Evidence) -> None:
    """3.1e Check that adapters stay on, tokens and variables are set, and every value with an effect keeps one."""
    found = planning.about("configuration")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_pods_follow_their_configuration(planning: Planning, evidence: Evidence) -> None:
    """3.1f Check that each pod whose configuration changes is replaced."""
    found = planning.about("restarts")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_edits_by_hand_are_known(planning: Planning, evidence: Evidence) -> None:
    """3.1g Check that no manual edit is overwritten or stops Helm."""
    found = planning.about("drift")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_cluster_takes_it(planning: Planning, evidence: Evidence) -> None:
    """3.1h Check that the release is well, and that the cluster accepts each object and each pod of the target."""
    found = planning.about("cluster")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_authority_stays(planning: Planning, evidence: Evidence) -> None:
    """3.1i Check that the target has no more authority: no other namespace, no new right, no access to the node."""
    found = planning.about("authority")
    evidence("findings", found)
    assert found.passed, str(found)


@pytest.mark.collecting
def test_data_are_found(planning: Planning, evidence: Evidence) -> None:
    """3.1j Check that the version looks for the data where they are, and can read them."""
    found = planning.about("data")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_path_is_a_way(planning: Planning, evidence: Evidence) -> None:
    """3.1k Check that the upgrade goes forward, and skips no version that requires a migration."""
    found = planning.about("path")
    evidence("findings", found)
    found.require()


@pytest.mark.gate
def test_plan_passes(planning: Planning, evidence: Evidence) -> None:
    """3.1l Gate: no finding blocks, or each one that does was accepted with a reason."""
    evidence("verdict", planning.judgement.summary)
