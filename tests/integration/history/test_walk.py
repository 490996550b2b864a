"""The plan gate over our own chart family: what is good passes, what it says comes true."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from history import paper
from history.cases import Case
from history.pairs import Packed, Pair
from history.renderings import RememberingHelm
from history.table import Row
from history.trial import Trial
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from sandbox import Status
from world import World

GOOD = ("0.7.0", "0.8.0", "0.8.1", "0.8.2")
"""Versions of which each leads well to the next: with a switch for each chat in the values, nothing is lost."""


@pytest.fixture(autouse=True)
def environment(status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's programs and kubeconfig."""
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(status.kubeconfig))


@pytest.fixture
def helm(tmp_path: Path) -> RememberingHelm:
    """A helm that keeps what it has rendered for this test."""
    return RememberingHelm(Cluster(kubeconfig.resolve(None, None, "default")), tmp_path)


def case(world: World, release: str = "openab", *agents: str, **values: Any) -> Case:
    """A values file with these agents, or one."""
    every = {name: world.agent_values() for name in agents or ("kiro",)}
    return Case.parse("x", f"# release: {release}\n{json.dumps({'agents': every, **values})}")


def pair(world: World, before: str, after: str) -> Pair:
    """A step between two versions of our family."""
    return Pair("next", *(Packed.at(world.package(version)) for version in (before, after)))


def cases(world: World) -> Mapping[str, Case]:
    """Releases that every good version can hold."""
    return {
        "one": case(world),
        "two": case(world, "openab", "kiro", "claude"),
        "named": case(world, "mybot"),
        "fullname": case(world, "chat", fullnameOverride="porter"),
    }


@pytest.mark.parametrize("name", ["one", "two", "named", "fullname"])
def test_no_good_step_is_blocked_and_none_does_harm(world: World, helm: RememberingHelm, name: str) -> None:
    chosen = cases(world)[name]
    for before, after in pairwise(GOOD):
        step = pair(world, before, after)
        tried = paper.tried(helm, step, chosen)
        row = Row.of(step, chosen, tried.plan, tried.harms)
        assert (row.blocks, row.harms) == ((), ()), str(row)


def test_a_claim_that_is_renamed_is_blocked_on_paper_too(world: World, helm: RememberingHelm) -> None:
    step = pair(world, "0.8.2", "0.9.0-renames-claim.1")
    tried = paper.tried(helm, step, case(world))
    row = Row.of(step, case(world), tried.plan, tried.harms)
    assert "claim-orphaned:openab-kiro" in row.blocks
    assert "claim: openab-kiro" in (row.harms or ())


@pytest.mark.parametrize(
    ("before", "after", "verdict", "harm"),
    [
        ("0.8.1", "0.8.2", "passed", ""),
        ("0.8.1", "0.9.0-same-image.1", "blocked", "image: openab-kiro"),
        ("0.8.1", "0.9.0-panics-at-start.1", "passed", "down: openab-kiro: ended with status 101"),
    ],
)
def test_a_step_that_is_really_gone_shows_what_came_of_it(
    world: World, tmp_path: Path, before: str, after: str, verdict: str, harm: str
) -> None:
    step, chosen = pair(world, before, after), case(world)
    ((_, tried),) = Trial((step,), chosen, True, tmp_path).run()
    row = Row.of(step, chosen, tried.plan, tried.harms)
    assert (row.verdict.replace("warned", "passed"), row.harms) == (verdict, (harm,) if harm else ()), str(row)
