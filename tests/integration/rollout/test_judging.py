"""Judging where the cluster is in the way: rights that lack, a quota, an API that does not answer, a log too long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from openab_sop.agents.agent import Agent
from openab_sop.cluster import retry
from openab_sop.cluster.kube import Access, Cluster
from openab_sop.errors import Forbidden, Unreachable
from openab_sop.rollouts import health, logs, rollout
from openab_sop.rollouts.logs import LogFacts
from openab_sop.rollouts.problem import Limits, Symptom
from tests.integration.rollout.conftest import Field

QUICK = Limits(settle=1, retry=3, connected=30)
IMAGE = "openab.local/openab:0.8.1"


@pytest.fixture(scope="module")
def agent(field: Field) -> Agent:
    field.install("runs", "0.8.1", field.values())
    return field.agent("runs")


def as_account(field: Field, path: Path, *rights: Access) -> Cluster:
    """The cluster as a new service account with these rights in the namespace sees it."""
    name = path.stem
    field.kubectl("create", "serviceaccount", name)
    for number, right in enumerate(rights):
        resource = f"{right.resource}.{right.group}" if right.group else right.resource
        role = f"{name}-{number}"
        field.kubectl("create", "role", role, f"--verb={right.verb}", f"--resource={resource}")
        account = f"--serviceaccount={field.cluster.namespace}:{name}"
        field.kubectl("create", "rolebinding", role, f"--role={role}", account)
    document = yaml.safe_load(field.cluster.access.paths[0].read_text())
    document["users"][0]["user"] = {"token": field.kubectl("create", "token", name).strip()}
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return Cluster(replace(field.cluster.access, paths=(path,)))


def test_the_rights_that_are_named_suffice(field: Field, agent: Agent, tmp_path: Path) -> None:
    """Without the useful ones, only the cluster's own words are missing."""
    least = as_account(field, tmp_path / "least", *rollout.NEEDED)
    assert health.await_healthy(least, agent, limits=QUICK).healthy
    pod = rollout.observe(least, agent).pod
    assert pod is not None
    assert rollout.warnings(least, pod) == ("events may not be listed by this caller",)
    more = as_account(field, tmp_path / "more", *rollout.NEEDED, *rollout.USEFUL)
    assert not any("may not" in warning for warning in rollout.warnings(more, pod))


@pytest.mark.parametrize("lacking", rollout.NEEDED, ids=str)
def test_each_of_them_is_needed(field: Field, agent: Agent, tmp_path: Path, lacking: Access) -> None:
    """What lacks is said at once, and is nobody's symptom."""
    rights = [right for right in rollout.NEEDED if right != lacking]
    name = str(lacking).replace("/", "-").replace(".", "-").replace(" ", "-")
    less = as_account(field, tmp_path / name, *rights)
    with pytest.raises(Forbidden, match="forbidden"):
        health.await_healthy(less, agent, limits=QUICK)


def test_an_api_that_does_not_answer(
    field: Field, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, but not for ever."""
    monkeypatch.setattr(retry, "BEFORE", 2)
    access, nowhere = field.cluster.access, tmp_path / "nowhere"
    nowhere.write_text(access.paths[0].read_text().replace(access.server, "https://127.0.0.1:1"))
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer"):
        health.await_healthy(Cluster(replace(access, paths=(nowhere,))), agent, limits=QUICK)
    assert 2 <= time.monotonic() - begun < 30


@pytest.fixture
def long_log(field: Field) -> Iterator[str]:
    """A pod that writes 5 MB of log at once, and at its end that it is connected."""
    script = "yes 'not yet INFO' | head -c 1500000; echo bot connected; sleep 600"
    field.kubectl("run", "talks", f"--image={IMAGE}", "--restart=Never", "--command", "--", "sh", "-c", script)
    yield "talks"
    field.kubectl("delete", "pod", "talks", "--grace-period=0", "--force")


def test_a_long_log_is_read_to_its_end(field: Field, long_log: str) -> None:
    """Whatever it is cut into while it grows, each line is read once."""
    facts = LogFacts()
    deadline = time.monotonic() + 60
    while not facts.connected_at:
        assert time.monotonic() < deadline, facts
        facts = logs.follow(field.cluster, long_log, long_log, facts)
    assert facts.lines == field.kubectl("logs", long_log).count("\n") > 100_000


def test_a_quota_that_lets_no_pod_be_made(field: Field, agent: Agent) -> None:
    values = field.values()
    field.install("full", "0.8.1", values)
    full = field.agent("full")
    before = health.baseline(field.cluster, full)
    field.kubectl("create", "quota", "none", "--hard=pods=0")
    field.upgrade("full", "0.8.2", values)
    judgement = health.await_healthy(field.cluster, full, limits=QUICK, baseline=before)
    assert judgement.symptom is Symptom.PENDING
    assert "exceeded quota" in str(judgement.findings[0])
    field.kubectl("delete", "quota", "none")


def test_the_old_pod_is_never_taken_for_the_new_one(field: Field) -> None:
    """A paused Deployment keeps the annotations of the old template with the new one for as long as we like."""
    field.install("paused", "0.8.1", field.values())
    agent = field.agent("paused")
    (old,) = rollout.observe(field.cluster, agent).pods
    field.kubectl("rollout", "pause", f"deploy/{agent.deployment}")
    field.kubectl("set", "env", f"deploy/{agent.deployment}", "NEW=1")
    judgement = health.await_healthy(field.cluster, agent, limits=replace(QUICK, rollout=3))
    assert judgement.symptom is Symptom.PENDING
    assert f"{old.name} is still there" in str(judgement.findings[0])
    assert [pod.uid for pod in judgement.observation.others] == [old.uid]
    field.kubectl("rollout", "resume", f"deploy/{agent.deployment}")
    judgement = health.await_healthy(field.cluster, agent, limits=QUICK)
    assert judgement.healthy
    assert judgement.observation.pod and judgement.observation.pod.uid != old.uid
