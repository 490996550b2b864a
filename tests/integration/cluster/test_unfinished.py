"""What is said of an agent that a run has left stopped, where the lock with its record was deleted."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board
from openab_sop.errors import ReleaseError
from openab_sop.releases.release import find, resolve
from openab_sop.releases.upgrade_state import End, UpgradeState
from openab_sop.upgrades import unfinished
from sandbox import Status
from world import World

AGENT = "openab-kiro"
KNOWN = UpgradeState(
    id="x",
    begun="2026-11-28T00:00:00+00:00",
    revision=1,
    version="0.8.1",
    target="0.8.2",
    digest="0",
    revisions=(2,),
    ended=End.ELSEWHERE,
)


def test_half_written_data_are_no_agents_to_start(
    world: World, status: Status, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.4 The record of this machine counts where the cluster's is gone."""
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    cluster = Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace))
    world.install("openab", namespace, "0.8.1", {"agents": {"kiro": world.agent_values()}})
    world.kubectl("--namespace", namespace, "annotate", "deploy", AGENT, "openab-sop/replicas=1")
    world.kubectl("--namespace", namespace, "scale", "deploy", AGENT, "--replicas=0")
    helm = Helm(cluster)
    release, board = resolve(helm, find(helm, None)), Board(cluster, "openab")

    def said(known: UpgradeState | None) -> ReleaseError:
        with pytest.raises(ReleaseError) as stopped:
            unfinished.require_running(release, board, known)
        return stopped.value

    assert said(None).next_step.startswith("if the data are as they should be, start it: kubectl ")
    whole = said(KNOWN).next_step
    assert whole.startswith("do again what it did, which ends it: pytest suites/rollback; or, if the data are ")
    half = said(replace(KNOWN, writing=(AGENT,)))
    assert "the data of openab-kiro are half written" in half.problem
    assert half.next_step == "do again what it did, which ends it: pytest suites/rollback"
    assert "suites/rollback" not in said(replace(KNOWN, ended=End.DONE)).next_step
