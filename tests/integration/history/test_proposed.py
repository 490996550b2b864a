"""Steps to the generation of today, on paper, with the values that are proposed: of every shape that values had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from history import paper
from history.cases import Case
from history.pairs import Packed, Pair
from history.renderings import RememberingHelm
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.plans.judgement import judge
from openab_sop.proposals.conversion import Conversion
from openab_sop.rule import Severity
from openab_sop.targets.values import TargetValues, digest_of
from sandbox import Status
from world import World

TARGET = "0.10.0"
SINGLE = """
# one agent, as long ago
replicas: 1
discord:
  botToken: single-token  # of the bot
  allowedChannels: ["1097261234567890123"]
agent:
  args: [acp]
  env:
    ANSWER_IN: plain
env:
  EDITOR: none
persistence:
  size: 2Gi
"""
BY_KEY = """
agents:
  kiro:
    discord:
      botToken: token
      allowedChannels: ["1097261234567890123"]
    env:
      EDITOR: none
  claude:
    discord:
      botToken: other-token
      allowedChannels: ["1097261234567890123"]
    persistence:
      enabled: true
"""


@pytest.fixture
def helm(status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RememberingHelm:
    """The sandbox's helm; what it has rendered is kept for this test."""
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(status.kubeconfig))
    return RememberingHelm(Cluster(kubeconfig.resolve(None, None, "default")), tmp_path)


def step(world: World, before: str) -> Pair:
    """From a version to the one of today."""
    return Pair("jump", *(Packed.at(world.package(version)) for version in (before, TARGET)))


def test_values_of_one_agent_keep_its_names(world: World, helm: RememberingHelm) -> None:
    """What stays open is the selector, which no values bring back: the plan blocks for it."""
    chosen = Case.parse("single", SINGLE)
    found = paper.converted_values(helm, step(world, "0.5.0"), chosen)
    values = yaml.safe_load(found.values.text)
    agent = values["agents"]["kiro"]
    assert "# of the bot" in found.values.text
    assert (agent["nameOverride"], agent["discord"]["botToken"], agent["persistence"]) == (
        "openab",
        "single-token",
        {"size": "2Gi"},
    )
    assert 'env = { ANSWER_IN = "plain" }' in agent["configToml"].replace(", }", " }")
    assert found.unproved == ()
    tried = paper.tried(helm, step(world, "0.5.0"), chosen, converted=True)
    assert [
        rule_finding.id
        for rule_finding in judge([tried.plan], {}).findings
        if rule_finding.rule.severity is Severity.BLOCKS
    ] == ["selector-changed:openab"]


@pytest.mark.parametrize("before", ["0.6.4", "0.7.0", "0.8.0", "0.8.1", "0.8.2"])
def test_what_the_version_itself_changes_is_not_held_against_the_values(
    world: World, helm: RememberingHelm, before: str
) -> None:
    """Between them lie claims that got a policy, a read-only root file system, and the configuration's whole move."""
    tried = paper.tried(helm, step(world, before), Case.parse("keyed", BY_KEY), converted=True)
    assert (tried.unproved, tried.harms) == ((), ())


def test_what_the_operator_changes_beside_it_is_a_difference(world: World, helm: RememberingHelm) -> None:
    pair, chosen = step(world, "0.8.1"), Case.parse("keyed", BY_KEY)
    proposed = paper.converted_values(helm, pair, chosen).values.text

    def differing(old: str, new: str) -> list[str]:
        assert old in proposed
        text = proposed.replace(old, new, 1)
        values = TargetValues(text, digest_of(yaml.safe_load(text)), "edited")
        conversion = Conversion(paper.running(helm, pair.before, chosen), pair.after.archive, values)
        conversion.convert()
        return [finding.subject for finding in conversion.compare("values").findings]

    env = "Deployment/openab-kiro:spec.template.spec.containers.openab.env.EDITOR.value"
    assert differing("EDITOR: none", "EDITOR: vi") == [env]
    renamed = differing("  kiro:\n", "  kiro:\n    nameOverride: porter\n")
    assert {"Deployment/openab-kiro", "Deployment/porter"} <= {*renamed}
    assert not any("PersistentVolumeClaim" in subject for subject in renamed), "the home goes along"
