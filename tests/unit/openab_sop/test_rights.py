"""The roles that are printed: all that the stages need, of each kind once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openab_sop import rights
from openab_sop.cluster.kube import Access
from openab_sop.objects import Object
from openab_sop.stages import STAGES


def granted(role: Object) -> Iterator[tuple[str, str, str]]:
    """Verb, resource and group of whatever a role allows."""
    for rule in role["rules"]:
        for resource in rule["resources"]:
            yield from ((verb, resource, rule["apiGroups"][0]) for verb in rule["verbs"])


@pytest.mark.parametrize("stage", rights.NEEDED)
def test_the_least_role_is_what_readiness_asks_for(stage: str) -> None:
    stages = (stage, *rights.BRINGS.get(stage, ()))
    asked = {(a.verb, a.resource, a.group) for name in stages for a in rights.NEEDED[name]}
    found = [right for role in rights.roles([stage], least=True) for right in granted(role)]
    assert set(found) == asked
    assert len(found) == len(asked)


@pytest.mark.parametrize("stage", rights.NEEDED)
def test_a_whole_role_has_what_helps_too(stage: str) -> None:
    least = {right for role in rights.roles([stage], least=True) for right in granted(role)}
    whole = {right for role in rights.roles([stage]) for right in granted(role)}
    assert whole - least >= {(a.verb, a.resource, a.group) for a in rights.WANTED.get(stage, ())} - least
    assert whole >= least


def test_no_role_allows_everything_of_anything() -> None:
    every = [right for stage in rights.NEEDED for role in rights.roles([stage]) for right in granted(role)]
    assert not [right for right in every if "*" in right]


def test_what_no_namespace_holds_is_in_a_cluster_role() -> None:
    role, cluster_role = rights.roles(["reinstall"], least=True)
    assert (role["kind"], cluster_role["kind"]) == ("Role", "ClusterRole")
    assert set(granted(cluster_role)) == {("get", "persistentvolumes", ""), ("patch", "persistentvolumes", "")}


def test_a_stage_that_brings_others_has_their_rights() -> None:
    """By the table of stages that the suites go by."""
    for stage in STAGES:
        if stage.name in rights.NEEDED:
            with_others = set(rights.BRINGS.get(stage.name, ())) | {stage.name}
            have: set[Access] = {access for name in with_others for access in rights.NEEDED[name]}
            needed = [a for name in (*stage.brings, *stage.followed_by) for a in rights.NEEDED.get(name, ())]
            assert not set(needed) - have, stage.name
