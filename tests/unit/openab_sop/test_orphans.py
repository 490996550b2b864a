"""A helm that a killed run has left, and what only says so of itself (issue 14)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.kubeconfig import KubeConfig
from openab_sop.cluster.orphans import _orphans, mark  # pyright: ignore[reportPrivateUsage]
from openab_sop.cluster.owner import owner

CLUSTER = Cluster(KubeConfig((), "", "here", "https://cluster.test", "t-orphans", ""), api=object())
DEAD = "/".join((*owner().split("/")[:2], "1999999999", "1"))
(VARIABLE,) = mark()


@contextmanager
def sleeping(*way: str, by: str = DEAD, namespace: str = "t-orphans") -> Generator[int]:
    """A process that says of itself who has started it."""
    env = {**os.environ, VARIABLE: by, "HELM_NAMESPACE": namespace}
    process = subprocess.Popen([*way, "sh", "-c", "echo; exec sleep 60"], env=env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_one_of_a_dead_run_is_found() -> None:
    with sleeping() as pid:
        assert _orphans(CLUSTER) == [pid]


@pytest.mark.parametrize(
    ("by", "namespace"),
    [(owner(), "t-orphans"), (DEAD, "another"), ("nobody", "t-orphans")],
    ids=["alive", "elsewhere", "nobody's"],
)
def test_one_of_a_live_run_or_of_another_namespace_is_none(by: str, namespace: str) -> None:
    with sleeping(by=by, namespace=namespace):
        assert _orphans(CLUSTER) == []


def test_one_in_a_container_cannot_have_a_run_wait_for_it() -> None:
    """Root sees the processes of every pod of a node, and any pod may have any variables."""
    with sleeping("unshare", "--pid", "--fork", "--kill-child") as parent:
        assert set(_orphans(CLUSTER)) <= {parent}
