"""Each way to misbehave is judged by its symptom and in time, and a good version is called healthy."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import testinfra
from testinfra.host import Host

from openab_sop.agents.container import process_alive
from openab_sop.rollouts import health
from openab_sop.rollouts.health import RolloutJudgement
from openab_sop.rollouts.logs import DEFAULT, Patterns
from openab_sop.rollouts.problem import Baseline, Limits, Symptom
from sandbox import Status
from tests.integration.conftest import ROOT
from tests.integration.rollout.conftest import Field, deployment
from world.endpoint.client import Control

QUICK = Limits(settle=5, retry=4, reconnect=4)
"""As long as the defaults where a busy machine is slow, short where the verdict is waited for."""
IMAGE = "openab.local/openab:0.8.1"
SHOUTS = {"env": {"OPENAB_CHAT_URL": "http://127.0.0.1:1/fatal"}}
"""An agent that never connects, and says fatal in its log while it tries: its endpoint is called so."""
NAIVE = Patterns(panic="(?i)panic|fatal")
"""As the SOP greps: takes what git prints at the start of every good version for a fatal error."""


def extra(name: str, script: str) -> list[dict[str, Any]]:
    return [{"name": name, "image": IMAGE, "command": ["sh", "-c", script]}]


@dataclass(frozen=True)
class Case:
    """An upgrade from 0.8.1 and what is to be found of it.

    Attributes:
        before, after: values of the agent on top of the plain ones.
        compared: whether the judgement knows what was before.
        says: words of the finding.
    """

    name: str
    version: str
    symptom: Symptom | None = None
    says: str = ""
    limits: Limits = QUICK
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])
    patterns: Patterns = DEFAULT
    compared: bool = True


def fault(name: str, symptom: Symptom | None = None, says: str = "", limits: Limits = QUICK) -> Case:
    return Case(name, f"0.9.0-{name}.1", symptom, says, limits)


CASES = (
    Case("good", "0.8.2"),
    fault("logs-errors"),
    fault("ignores-sigterm"),
    fault("wrong-process"),
    fault("panics-at-start", Symptom.CRASH_LOOP, "; its log: thread 'main' panicked at"),
    fault("panics-later", Symptom.CRASH_LOOP, "status 101 (Error)", Limits()),
    fault("refuses-arguments", Symptom.CRASH_LOOP, "error: unexpected argument 'run' found"),
    fault("never-ready", Symptom.NOT_READY, "not Ready; 1 updated and 0 available of 1", Limits(ready=8)),
    fault("loses-connection", Symptom.NOT_CONNECTED, "the connection was lost at", Limits(reconnect=4)),
    fault("no-image", Symptom.IMAGE, "openab.local/openab:0.9.0-no-image.1"),
    Case(
        "no-node", "0.8.2", Symptom.PENDING, "Unschedulable", Limits(rollout=15), after={"nodeSelector": {"no": "node"}}
    ),
    Case(
        "no-secret",
        "0.8.2",
        Symptom.CANNOT_START,
        'secret "nowhere" not found',
        after={"secretEnv": [{"name": "KEY", "secretName": "nowhere", "secretKey": "key"}]},
    ),
    Case(
        "bad-sidecar",
        "0.8.2",
        Symptom.CRASH_LOOP,
        "; its log: ERROR: no route",
        Limits(),
        after={"extraContainers": extra("tunnel", "sleep 40; echo ERROR: no route; exit 7")},
    ),
    Case(
        "bad-init",
        "0.8.2",
        Symptom.CRASH_LOOP,
        "container prepare of pod",
        after={"extraInitContainers": extra("prepare", "exit 3")},
    ),
    Case("shouts", "0.8.2", Symptom.PANIC_LOGGED, "/fatal/chat/connect", after=SHOUTS),
    Case(
        "shouted",
        "0.8.2",
        Symptom.NOT_CONNECTED,
        "says that it is connected",
        Limits(connected=8),
        before=SHOUTS,
        after=SHOUTS,
    ),
    Case("naive", "0.8.2", patterns=NAIVE),
    Case("naive-alone", "0.8.2", Symptom.PANIC_LOGGED, "not a git repository", patterns=NAIVE, compared=False),
)


@dataclass(frozen=True)
class Judged:
    """A judgement, when it came, and the release's pods as kubectl saw them then."""

    judgement: RolloutJudgement
    at: datetime
    pods: list[dict[str, Any]]


@pytest.fixture(scope="module")
def judged(field: Field) -> Iterator[dict[str, Judged]]:
    """All cases at once: most of the time is waiting."""

    def judge(case: Case) -> Judged:
        plain = field.values()["agents"]["kiro"]
        field.install(case.name, "0.8.1", {"agents": {"kiro": {**plain, **case.before}}})
        agent = field.agent(case.name)
        if case.before:  # it shouts: the old version's log must have it
            wait_for(lambda: "/fatal" in field.kubectl("logs", f"deploy/{agent.deployment}"))
        before = health.baseline(field.cluster, agent, case.patterns) if case.compared else Baseline()
        field.upgrade(case.name, case.version, {"agents": {"kiro": {**plain, **case.after}}})
        judgement = health.await_healthy(
            field.cluster, agent, patterns=case.patterns, limits=case.limits, baseline=before
        )
        return Judged(judgement, datetime.now(UTC), pods(field, case.name))

    with ThreadPoolExecutor(len(CASES)) as several:
        found = list(several.map(judge, CASES))
    yield {case.name: each for case, each in zip(CASES, found, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_upgrade_is_judged(judged: dict[str, Judged], case: Case) -> None:
    judgement = judged[case.name].judgement
    print(judgement, *judgement.findings, *judgement.warnings, sep="\n")
    assert judgement.symptom is case.symptom
    assert judgement.healthy == judgement.verdict.passed == (case.symptom is None)
    assert judgement.replaced
    if case.symptom:
        assert case.says in str(judgement.findings[0])


@pytest.mark.parametrize("name", [case.name for case in CASES if case.symptom is Symptom.CRASH_LOOP])
def test_a_crash_is_called_within_15_seconds(judged: dict[str, Judged], name: str) -> None:
    """By the node's word for when it was; also of one that comes late in the settle window."""
    found = judged[name]
    first = min(ended(found.pods))
    print(name, found.at - first)
    assert first <= found.at < first + timedelta(seconds=15)
    late = {"panics-later": 15, "bad-sidecar": 40}.get(name)
    if late:
        ready = next(c for pod in found.pods for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
        assert first - datetime.fromisoformat(ready["lastTransitionTime"]) >= timedelta(seconds=late)
        assert found.judgement.connected_after is not None


def ended(pods: list[dict[str, Any]]) -> list[datetime]:
    """When containers ended badly, as kubectl has it."""
    return [
        datetime.fromisoformat(state["terminated"]["finishedAt"])
        for pod in pods
        for kind in ("initContainerStatuses", "containerStatuses")
        for status in pod["status"].get(kind, [])
        for state in (status["state"], status["lastState"])
        if state.get("terminated", {}).get("exitCode")
    ]


def test_what_is_not_held_against_the_new_version(judged: dict[str, Judged]) -> None:
    assert judged["naive"].judgement.log.known_panics == 1
    assert judged["shouted"].judgement.log.known_panics > 0
    assert judged["shouted"].judgement.log.panics == ()


def test_the_facts_for_the_report(judged: dict[str, Judged]) -> None:
    good, noisy = judged["good"].judgement, judged["logs-errors"].judgement
    assert good.ready_after is not None and good.connected_after is not None
    assert (good.restarts, good.log.errors, good.warnings) == (0, 0, ())
    assert noisy.log.errors >= 4
    (pod,) = judged["good"].pods
    status = pod["status"]["containerStatuses"][0]
    assert good.observation.pod and good.observation.container
    assert good.observation.pod.uid == pod["metadata"]["uid"]
    assert good.observation.container.image_id == status["imageID"]
    assert any("no-image" in warning for warning in judged["no-image"].judgement.warnings)
    assert any("FailedScheduling" in warning for warning in judged["no-node"].judgement.warnings)


def test_the_process(field: Field, judged: dict[str, Judged]) -> None:
    """It is looked for through testinfra, as the suites do."""
    assert process_alive(host(field, "good"))
    assert judged["wrong-process"].judgement.healthy
    assert not process_alive(host(field, "wrong-process"))


def host(field: Field, release: str) -> Host:
    (pod,) = pods(field, release)
    where = f"namespace={field.cluster.namespace}&container=openab"
    return testinfra.get_host(f"kubectl://{pod['metadata']['name']}?{where}")


def test_one_of_two_agents_panics(field: Field) -> None:
    """The good one is not waited for."""
    plain = field.values()["agents"]["kiro"]
    values = {"agents": {"kiro": plain, "claude": {**plain, "image": "openab.local/openab-claude"}}}
    field.install("two", "0.8.1", values)
    agents = [field.agent("two"), field.agent("two", "claude")]
    field.upgrade("two", "0.9.0-one-agent-panics.1", values)
    kiro, claude = health.await_all_healthy(field.cluster, agents, limits=Limits(settle=120))
    assert (claude.symptom, claude.agent) == (Symptom.CRASH_LOOP, deployment("two", "claude"))
    assert (kiro.symptom, kiro.healthy, kiro.settled, kiro.findings) == (None, False, False, ())


def test_a_pod_that_is_not_replaced(field: Field) -> None:
    """The chart's version moves, the pod's template does not: that is told, and old restarts do not count."""
    field.install("same", "0.8.1", values := field.values())
    agent = field.agent("same")
    field.kubectl("exec", f"deploy/{agent.deployment}", "--", "sh", "-c", "kill -9 $(pgrep -x openab)")
    wait_for(lambda: restarts(field, "same") == 1)
    before = health.baseline(field.cluster, agent)
    field.upgrade("same", "0.9.0-same-image.1", values)
    judgement = health.await_healthy(field.cluster, agent, limits=QUICK, baseline=before)
    assert judgement.healthy, judgement
    assert (judgement.replaced, judgement.restarts) == (False, 0)
    assert health.await_healthy(field.cluster, agent, limits=QUICK).symptom is Symptom.CRASH_LOOP


def restarts(field: Field, release: str) -> int:
    return sum(status["restartCount"] for pod in pods(field, release) for status in pod["status"]["containerStatuses"])


def test_a_connection_that_is_lost_and_found_again(field: Field, status: Status, tmp_path: Path) -> None:
    """By an endpoint of the test's own that ends every session once."""
    with endpoint(status.address, tmp_path) as url:
        values = {"agents": {"kiro": {**field.values()["agents"]["kiro"], "env": {"OPENAB_CHAT_URL": url}}}}
        field.install("again", "0.8.1", values)
        said: list[str] = []
        with ThreadPoolExecutor(1) as aside:
            limits = Limits(settle=15, reconnect=10)
            judging = aside.submit(
                health.await_healthy, field.cluster, field.agent("again"), limits=limits, progress=said.append
            )
            wait_for(lambda: any("healthy so far" in line for line in said))
            urlopen(Request(f"{url}/control/disconnect", data=b"{}", method="POST"), timeout=30).close()
            judgement = judging.result()
    assert judgement.healthy, judgement
    assert judgement.log.warnings == 1, "the loss was seen"
    assert judgement.log.disconnected_at is None


@contextmanager
def endpoint(address: str, root: Path) -> Generator[str]:
    """One that nobody else talks to."""
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "world.endpoint", f"--root={root}", f"--port={port}", address]
    with subprocess.Popen(argv, cwd=ROOT) as process:
        try:
            wait_for(Control(f"http://{address}:{port}").is_up)
            yield f"http://{address}:{port}"
        finally:
            process.terminate()


def wait_for(condition: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def pods(field: Field, release: str) -> list[dict[str, Any]]:
    selector = f"--selector=app.kubernetes.io/instance={release}"
    return json.loads(field.kubectl("get", "pods", selector, "--output=json"))["items"]
