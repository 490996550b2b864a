"""Each concern from a look that raises it and one that just does not; the node's real states are tried on the node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.rollouts.logs import DEFAULT, LogFacts, Patterns
from openab_sop.rollouts.problem import (
    CONFIRM,
    ROTATED,
    Baseline,
    Limits,
    Problem,
    Sample,
    Symptom,
    find_problem,
    start_problem,
    state,
)
from openab_sop.rollouts.rollout import AgentPod, Container, Ended, Observation

NOW = datetime(2026, 5, 7, 8, 9, tzinfo=UTC)
LIMITS = Limits()
AGENT = Agent("openab-kiro", "openab", "app=openab", "/home/agent", "openab-kiro", (), (), ())
CRASH = Ended(101, "Error", "")
RUNS = Container("openab", False, True, "openab:1", "sha256:1", True, 0, "", "", NOW, None, None)
INIT = replace(RUNS, name="prepare", init=True, stays=False, running=None, ended=Ended(0, "Completed", ""))
SIDECAR = replace(RUNS, name="sidecar")
WAITS = replace(RUNS, ready=False, running=None)
POD = AgentPod("openab-kiro-1", "uid-1", "node", "Running", True, False, "", "", (INIT, RUNS, SIDECAR))
SEEN = Observation(AGENT, True, 1, 1, 1, "", "", (POD,), ())
LOG = LogFacts(lines=3, since=NOW, until=NOW, connected_at=NOW)
LOOK = Sample(SEEN, LOG, LIMITS, Baseline(), DEFAULT, False)


def with_pod(**pod: object) -> Sample:
    return replace(LOOK, seen=replace(SEEN, pods=(replace(POD, **pod),)))  # pyright: ignore[reportArgumentType]


def with_containers(*containers: Container) -> Sample:
    return with_pod(containers=containers)


def with_seen(**seen: object) -> Sample:
    return replace(LOOK, seen=replace(SEEN, **seen))  # pyright: ignore[reportArgumentType]


def with_log(**log: object) -> Sample:
    return replace(LOOK, log=replace(LOG, **log))  # pyright: ignore[reportArgumentType]


def raised(sample: Sample) -> Problem:
    found = find_problem(sample)
    assert found is not None
    return found


def test_a_good_look_raises_none() -> None:
    assert find_problem(LOOK) is None
    assert find_problem(replace(LOOK, whole=True)) is None


@pytest.mark.parametrize(
    "container",
    [
        replace(RUNS, running=None, ended=CRASH),
        replace(RUNS, running=None, ended=Ended(0, "Completed", "")),
        replace(RUNS, restarts=1, last=CRASH),
        replace(WAITS, waiting="CrashLoopBackOff", restarts=1, last=CRASH),
        replace(SIDECAR, restarts=1, last=CRASH),
        replace(INIT, ended=CRASH),
        replace(INIT, ended=None, waiting="CrashLoopBackOff", restarts=3, last=CRASH),
        replace(INIT, stays=True),
    ],
)
def test_one_crash_of_any_container_is_called_at_once(container: Container) -> None:
    found = raised(with_containers(RUNS, container))
    assert (found.symptom, found.grace_seconds, found.container) == (Symptom.CRASH_LOOP, 0, container.name)


def test_restarts_from_before_the_change_are_not_held_against_it() -> None:
    sample = with_containers(replace(RUNS, restarts=3, last=CRASH))
    assert find_problem(replace(sample, baseline=Baseline({"uid-1": {"openab": 3}}))) is None
    for other in (Baseline({"uid-1": {"openab": 2}}), Baseline({"uid-2": {"openab": 3}})):
        assert raised(replace(sample, baseline=other)).symptom is Symptom.CRASH_LOOP


def test_a_pod_that_failed_as_a_whole() -> None:
    evicted = with_pod(failed="Evicted: the node was low on memory", phase="Failed", containers=())
    assert "Evicted" in raised(evicted).observed
    assert raised(evicted).symptom is Symptom.CRASH_LOOP
    assert raised(replace(evicted, baseline=Baseline({"uid-1": {}}))).symptom is Symptom.PENDING


@pytest.mark.parametrize(
    ("reason", "symptom", "patience"),
    [
        ("ErrImagePull", Symptom.IMAGE, LIMITS.retry),
        ("ImagePullBackOff", Symptom.IMAGE, LIMITS.retry),
        ("InvalidImageName", Symptom.IMAGE, 0),
        ("ErrImageNeverPull", Symptom.IMAGE, 0),
        ("CreateContainerConfigError", Symptom.CANNOT_START, LIMITS.retry),
        ("RunContainerError", Symptom.CANNOT_START, LIMITS.retry),
        ("ContainerCreating", Symptom.PENDING, LIMITS.rollout),
        ("PodInitializing", Symptom.PENDING, LIMITS.rollout),
    ],
)
def test_reasons_to_wait(reason: str, symptom: Symptom, patience: float) -> None:
    found = raised(with_containers(replace(WAITS, waiting=reason, message="said the node")))
    assert (found.symptom, found.grace_seconds) == (symptom, patience)
    assert f"{reason}" in found.observed and "said the node" in found.observed


def test_the_controller_says_that_it_stalls() -> None:
    stalled = raised(with_seen(stalled="ProgressDeadlineExceeded: timed out"))
    assert (stalled.symptom, stalled.grace_seconds) == (Symptom.NOT_READY, LIMITS.retry)
    assert raised(with_seen(stalled="ProgressDeadlineExceeded: timed out", pods=())).symptom is Symptom.PENDING
    early = raised(with_seen(stalled="ProgressDeadlineExceeded: of the change before", current=False))
    assert (early.symptom, early.grace_seconds) == (Symptom.PENDING, LIMITS.rollout)
    refused = raised(with_seen(refused="FailedCreate: exceeded quota", pods=(), updated=0))
    assert (refused.symptom, refused.grace_seconds) == (Symptom.PENDING, LIMITS.retry)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (with_seen(pods=(), updated=0, available=0, others=(POD,)), "openab-kiro-1 is still there"),
        (with_seen(pods=(), updated=0, available=0), "none is there"),
        (with_seen(current=False), "no pod of the new version yet"),
        (with_pod(held="Unschedulable: 0/1 nodes are available", containers=()), "not scheduled: Unschedulable"),
        (with_pod(phase="Pending", containers=()), "openab-kiro-1 is Pending"),
    ],
)
def test_pending_is_normal_until_its_deadline(sample: Sample, says: str) -> None:
    found = raised(sample)
    assert (found.symptom, found.grace_seconds) == (Symptom.PENDING, LIMITS.rollout)
    assert says in found.observed


def test_not_ready() -> None:
    for sample in (with_pod(ready=False), with_seen(available=0), with_seen(others=(POD,)), with_seen(wanted=2)):
        assert (raised(sample).symptom, raised(sample).grace_seconds) == (Symptom.NOT_READY, LIMITS.ready)
        assert raised(replace(sample, whole=True)).grace_seconds == LIMITS.retry


def test_a_panic_waits_for_the_crash_that_it_may_be() -> None:
    sample = with_log(panics=("panicked at",), panic_count=7)
    assert (raised(sample).symptom, raised(sample).grace_seconds) == (Symptom.PANIC_LOGGED, CONFIRM)
    assert "7 lines, the first: panicked at" in raised(sample).observed
    assert raised(replace(sample, seen=replace(SEEN, available=0))).symptom is Symptom.PANIC_LOGGED
    crashed = with_containers(replace(RUNS, running=None, ended=CRASH))
    assert raised(replace(crashed, log=sample.log)).symptom is Symptom.CRASH_LOOP


def test_not_connected() -> None:
    sample = with_log(connected_at=None, last_errors=("ERROR no",))
    assert (raised(sample).symptom, raised(sample).grace_seconds) == (Symptom.NOT_CONNECTED, LIMITS.connected)
    assert "ERROR no" in raised(sample).observed
    assert find_problem(replace(sample, patterns=Patterns(connected=""))) is None
    assert raised(replace(sample, seen=replace(SEEN, available=0))).symptom is Symptom.NOT_READY


def test_a_chat_that_was_there_before_is_demanded() -> None:
    both = with_log(chats=frozenset({"Discord"}))
    both = replace(both, baseline=replace(both.baseline, chats=frozenset({"Discord", "Slack"})))
    assert raised(both).symptom is Symptom.NOT_CONNECTED
    assert "connected to Slack, as before" in raised(both).observed
    there = replace(both, log=replace(both.log, chats=frozenset({"Slack", "Discord", "webhooks"})))
    assert find_problem(there) is None


def test_a_log_without_its_beginning_proves_nothing_about_the_connection() -> None:
    rotated = with_log(connected_at=None, since=NOW + ROTATED + timedelta(seconds=1))
    assert find_problem(rotated) is None
    assert raised(with_log(connected_at=None, since=NOW + ROTATED)).symptom is Symptom.NOT_CONNECTED


def test_a_lost_connection() -> None:
    sample = with_log(lost={"openab::slack": NOW})
    assert (raised(sample).symptom, raised(sample).grace_seconds) == (Symptom.NOT_CONNECTED, LIMITS.connected)
    assert raised(replace(sample, whole=True)).grace_seconds == LIMITS.reconnect
    assert find_problem(replace(sample, patterns=Patterns(connected=""))) is None  # no line would say that it is back


def test_what_hinders_a_start_and_does_not_pass_by_itself() -> None:
    """A crash may pass, and so may a pod that has no node yet; a Secret that is nowhere, or a quota, does not."""
    lacks = replace(WAITS, waiting="CreateContainerConfigError", message='secret "bot" not found')
    found = start_problem(with_containers(lacks).seen, LIMITS)
    assert found is not None
    assert found.grace_seconds == LIMITS.retry
    assert 'secret "bot" not found' in found.observed
    refused = start_problem(with_seen(refused="FailedCreate: exceeded quota", pods=()).seen, LIMITS)
    assert refused is not None
    assert "exceeded quota" in refused.observed
    held = with_pod(held="Unschedulable: 0/1 nodes are available", containers=())
    for sample in (held, with_containers(replace(WAITS, waiting="CrashLoopBackOff", restarts=3)), LOOK):
        assert start_problem(sample.seen, LIMITS) is None
    assert "0/1 nodes are available" in state(held.seen)
