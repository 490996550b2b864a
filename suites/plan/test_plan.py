"""Plan: what the upgrade would do, judged by every known way in which one hurts; nothing is changed (SOP 3.1)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop.plans.planning import Planning


def test_plan_is_drawn(planning: Planning, audit: Audit, evidence: Evidence) -> None:
    """3.1 What is on the cluster, Helm's record and each version as rendered are read; the API judges each object."""
    evidence("plan", planning.draw())
    audit.facts |= planning.highlights()


@pytest.mark.collecting
def test_volumes_are_kept(planning: Planning, evidence: Evidence) -> None:
    """3.1 Every agent keeps its claim, and finds its files in it."""
    found = planning.about("volumes")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_workloads_stay(planning: Planning, evidence: Evidence) -> None:
    """3.1 Deployments keep their names, selectors, strategy and number of pods."""
    found = planning.about("workloads")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_images_move(planning: Planning, evidence: Evidence) -> None:
    """3.1 Each agent gets the image of the version, of its own flavour, and one that can be had."""
    found = planning.about("images")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_configuration_keeps_its_meaning(planning: Planning, evidence: Evidence) -> None:
    """3.1 Adapters stay on, tokens and variables are there, and every value that had an effect still has one."""
    found = planning.about("configuration")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_pods_follow_their_configuration(planning: Planning, evidence: Evidence) -> None:
    """3.1 A pod whose configuration changes is replaced."""
    found = planning.about("restarts")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_edits_by_hand_are_known(planning: Planning, evidence: Evidence) -> None:
    """3.1 Nothing that was edited by hand is overwritten, or stops Helm."""
    found = planning.about("drift")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_cluster_takes_it(planning: Planning, evidence: Evidence) -> None:
    """3.1 The release is well, and the cluster takes each object and each pod of the target."""
    found = planning.about("cluster")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_authority_stays(planning: Planning, evidence: Evidence) -> None:
    """3.1 The target reaches no further than the release: no other namespace, no new right, no way to the node."""
    found = planning.about("authority")
    evidence("findings", found)
    assert found.passed, str(found)


@pytest.mark.collecting
def test_data_are_found(planning: Planning, evidence: Evidence) -> None:
    """3.1 What is on the volumes is where the version looks for it, not covered, and readable."""
    found = planning.about("data")
    evidence("findings", found)
    found.require()


@pytest.mark.collecting
def test_path_is_a_way(planning: Planning, evidence: Evidence) -> None:
    """3.1 The way leads forward, and past no version that asked for something."""
    found = planning.about("path")
    evidence("findings", found)
    found.require()


@pytest.mark.gate
def test_plan_passes(planning: Planning, evidence: Evidence) -> None:
    """3.1 Gate: nothing blocks, or what does was accepted with a reason."""
    evidence("verdict", planning.judgement.summary)
