"""What may be wrong with a rollout, judged from one look at it: pure checks, the gravest first (SOP 3.2, 4.1).

A problem that lasts longer than its grace time is the symptom that the decision table asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from openab_sop.rollouts.logs import DEFAULT, LogFacts, Patterns
from openab_sop.rollouts.rollout import AgentPod, Container, Ended, Observation

CONFIRM = 5
"""Seconds in which a logged panic may turn out to be a crash: kubelet tells later than the log."""
ROTATED = timedelta(seconds=60)
"""A log that begins so long after its container has lost its beginning, and with it the connected line."""


class Symptom(Enum):
    """What is wrong with a rollout, as the decision table asks for it (SOP 4.1)."""

    CRASH_LOOP = "a container ended or was restarted"
    IMAGE = "an image cannot be pulled"
    CANNOT_START = "a container cannot be created"
    PENDING = "no pod runs"
    PROCESS_GONE = "the pod runs without the agent's process"
    PANIC_LOGGED = "a panic or fatal error is logged"
    NOT_READY = "the pod is not ready"
    NOT_CONNECTED = "the agent is not connected"


@dataclass(frozen=True)
class Limits:
    """Seconds that a rollout gets.

    Attributes:
        rollout: until the new pod runs.
        ready: from then until it is Ready and the old one gone.
        connected: from then until it is connected.
        settle: in which nothing may go wrong after that.
        retry: that what usually passes may last: an image pull that failed (kubelet tries again after 10 s), a Secret
            that is not there yet, a pod that is not Ready any more.
        reconnect: that a lost connection may last.
    """

    rollout: float = 300
    ready: float = 120
    connected: float = 120
    settle: float = 60
    retry: float = 20
    reconnect: float = 30


@dataclass(frozen=True)
class Baseline:
    """What was there before the change, and is not held against the new version.

    Attributes:
        restarts: by pod UID, then by container: how often it had been restarted.
        complaints: fingerprints of the panic lines in the old version's log.
        well: whether its rollout was complete.
        chats: names of the chats that its log says it is connected to: the new version must be, too.
        jobs: how many of the home's own jobs its log says are loaded.
    """

    restarts: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    complaints: frozenset[str] = frozenset()
    well: bool = True
    chats: frozenset[str] = frozenset()
    jobs: int = 0

    def restarted(self, pod: AgentPod, container: Container) -> int:
        """How often a container was restarted since."""
        return container.restarts - self.restarts.get(pod.uid, {}).get(container.name, 0)


@dataclass(frozen=True)
class Sample:
    """One look at an agent, with what the checks compare it to; ``whole``: whether it has been without problem."""

    seen: Observation
    log: LogFacts
    limits: Limits
    baseline: Baseline
    patterns: Patterns
    whole: bool


@dataclass(frozen=True)
class Problem:
    """What is not as it must be, and the seconds that it may last; ``container``: the one that ended, if one did."""

    symptom: Symptom
    grace_seconds: float
    observed: str
    expected: str
    container: str = ""


def find_problem(sample: Sample) -> Problem | None:
    """Return the gravest problem of a sample; None if all is as it must be."""
    return next((found for check in _CHECKS if (found := check(sample))), None)


def _crashed(sample: Sample) -> Problem | None:
    for pod in sample.seen.pods:
        if pod.failed and pod.uid not in sample.baseline.restarts:
            return Problem(Symptom.CRASH_LOOP, 0, f"pod {pod.name} failed: {pod.failed}", "a pod that runs on")
        for container in pod.containers:
            restarts = sample.baseline.restarted(pod, container)
            ended = container.ended if container.ended and (container.stays or container.ended.exit_code) else None
            if ended or restarts > 0 or container.waiting == "CrashLoopBackOff":
                how = _how(ended or container.last)
                words = f"container {container.name} of pod {pod.name} {how}, {max(restarts, 0)} restarts"
                return Problem(Symptom.CRASH_LOOP, 0, words, "a container that runs on", container.name)
    return None


def start_problem(seen: Observation, limits: Limits) -> Problem | None:
    """Return what keeps pods from starting and does not pass by itself; None if nothing does."""
    sample = Sample(seen, LogFacts(), limits, Baseline(), DEFAULT, whole=False)
    return _cannot_start(sample) or _stalled(sample)


_WAITING = {
    "ErrImagePull": Symptom.IMAGE,
    "ImagePullBackOff": Symptom.IMAGE,
    "RegistryUnavailable": Symptom.IMAGE,
    "SignatureValidationFailed": Symptom.IMAGE,
    "ErrImageNeverPull": Symptom.IMAGE,
    "InvalidImageName": Symptom.IMAGE,
    "CreateContainerConfigError": Symptom.CANNOT_START,
    "CreateContainerError": Symptom.CANNOT_START,
    "RunContainerError": Symptom.CANNOT_START,
    "PostStartHookError": Symptom.CANNOT_START,
}
"""Reasons that do not pass by themselves, as kubelet names them."""
_NEVER_PASSES = ("ErrImageNeverPull", "InvalidImageName")


def _cannot_start(sample: Sample) -> Problem | None:
    for pod in sample.seen.pods:
        for container in pod.containers:
            if symptom := _WAITING.get(container.waiting):
                grace_seconds = 0 if container.waiting in _NEVER_PASSES else sample.limits.retry
                words = f"container {container.name} of pod {pod.name} waits: {container.waiting}: {container.message}"
                return Problem(symptom, grace_seconds, words, f"a container of image {container.image}")
    return None


def _stalled(sample: Sample) -> Problem | None:
    seen = sample.seen
    if reason := seen.refused or (seen.current and seen.stalled):
        running = seen.container is not None and seen.container.running is not None
        symptom = Symptom.NOT_READY if running else Symptom.PENDING
        return Problem(symptom, sample.limits.retry, f"{seen.agent.kind} {seen.agent.name}: {reason}", "a rollout")
    return None


def _pending(sample: Sample) -> Problem | None:
    seen, container = sample.seen, sample.seen.container
    if seen.current and container and container.running:
        return None
    return Problem(Symptom.PENDING, sample.limits.rollout, state(seen), "a pod of the new version that runs")


def state(seen: Observation) -> str:
    """Return how far the pod is, in the cluster's words: the scheduler's, or those of its containers."""
    pod = seen.pod
    if not seen.current or pod is None:
        old = ", ".join(pod.name for pod in seen.others)
        return f"no pod of the new version yet; {f'{old} is still there' if old else 'none is there'}"
    if pod.held:
        return f"pod {pod.name} is not scheduled: {pod.held}"
    waiting = (f"{c.name}: {c.waiting} {c.message}".strip() for c in pod.containers if c.waiting)
    return f"pod {pod.name} is {pod.phase}; {'; '.join(waiting) or 'its containers are not known yet'}"


def _panicked(sample: Sample) -> Problem | None:
    if not sample.log.panics:
        return None
    words = f"{sample.log.panic_count} lines, the first: {sample.log.panics[0]}"
    return Problem(Symptom.PANIC_LOGGED, CONFIRM, words, "no panic or fatal error that the old version did not log")


def _unready(sample: Sample) -> Problem | None:
    seen, pod = sample.seen, sample.seen.pod
    if seen.complete and pod and pod.ready:
        return None
    words = (
        f"pod {pod.name if pod else 'none'} is {'' if pod and pod.ready else 'not '}Ready; "
        f"{seen.updated} updated and {seen.available} available of {seen.wanted}, {len(seen.others)} old pods"
    )
    return Problem(
        Symptom.NOT_READY, sample.limits.retry if sample.whole else sample.limits.ready, words, "a pod that is Ready"
    )


def _unconnected(sample: Sample) -> Problem | None:
    log, container = sample.log, sample.seen.container
    if not sample.patterns.connected or log.is_connected(sample.baseline.chats):
        return None
    if log.since and container and container.running and log.since - container.running > ROTATED:
        return None
    missing = ", ".join(sorted(sample.baseline.chats - log.chats))
    words = f"none of {log.lines} log lines says that it is connected{missing and f' to {missing}, as before'}"
    if log.last_errors:
        words += f"; the last error: {log.last_errors[-1]}"
    return Problem(Symptom.NOT_CONNECTED, sample.limits.connected, words, f"a line like {sample.patterns.connected}")


def _disconnected(sample: Sample) -> Problem | None:
    if not sample.log.lost or not sample.patterns.connected:  # nothing would say that it is connected again
        return None
    grace_seconds = sample.limits.reconnect if sample.whole else sample.limits.connected
    words = f"the connection was lost at {sample.log.disconnected_at}, and no connected line follows"
    return Problem(Symptom.NOT_CONNECTED, grace_seconds, words, "an agent that stays connected")


_CHECKS = (_crashed, _cannot_start, _stalled, _pending, _panicked, _unready, _unconnected, _disconnected)


def _how(ended: Ended | None) -> str:
    if ended is None:
        return "ended"
    said = f": {ended.message}" if ended.message else ""
    return f"ended with status {ended.exit_code} ({ended.reason}){said}"
