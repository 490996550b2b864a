"""What may be wrong with a rollout, judged from one look at it: pure checks, the gravest first (SOP 3.2, 4.1).

A concern that lasts longer than its patience is the symptom that the decision table asks for.
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
class Look:
    """One look at an agent, with what the checks compare it to; ``whole``: whether it has been without concern."""

    seen: Observation
    log: LogFacts
    limits: Limits
    baseline: Baseline
    patterns: Patterns
    whole: bool


@dataclass(frozen=True)
class Concern:
    """What is not as it must be, and the seconds that it may last; ``container``: the one that ended, if one did."""

    symptom: Symptom
    patience: float
    observed: str
    expected: str
    container: str = ""


def concern(look: Look) -> Concern | None:
    """Return the gravest concern of a look; None if all is as it must be."""
    return next((found for check in _CHECKS if (found := check(look))), None)


def _crashed(look: Look) -> Concern | None:
    for pod in look.seen.pods:
        if pod.failed and pod.uid not in look.baseline.restarts:
            return Concern(Symptom.CRASH_LOOP, 0, f"pod {pod.name} failed: {pod.failed}", "a pod that runs on")
        for container in pod.containers:
            restarts = look.baseline.restarted(pod, container)
            ended = container.ended if container.ended and (container.stays or container.ended.exit_code) else None
            if ended or restarts > 0 or container.waiting == "CrashLoopBackOff":
                how = _how(ended or container.last)
                words = f"container {container.name} of pod {pod.name} {how}, {max(restarts, 0)} restarts"
                return Concern(Symptom.CRASH_LOOP, 0, words, "a container that runs on", container.name)
    return None


def hindrance(seen: Observation, limits: Limits) -> Concern | None:
    """Return what keeps pods from starting and does not pass by itself; None if nothing does."""
    look = Look(seen, LogFacts(), limits, Baseline(), DEFAULT, whole=False)
    return _cannot_start(look) or _stalled(look)


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


def _cannot_start(look: Look) -> Concern | None:
    for pod in look.seen.pods:
        for container in pod.containers:
            if symptom := _WAITING.get(container.waiting):
                patience = 0 if container.waiting in _NEVER_PASSES else look.limits.retry
                words = f"container {container.name} of pod {pod.name} waits: {container.waiting}: {container.message}"
                return Concern(symptom, patience, words, f"a container of image {container.image}")
    return None


def _stalled(look: Look) -> Concern | None:
    seen = look.seen
    if reason := seen.refused or (seen.current and seen.stalled):
        running = seen.container is not None and seen.container.running is not None
        symptom = Symptom.NOT_READY if running else Symptom.PENDING
        return Concern(symptom, look.limits.retry, f"{seen.agent.kind} {seen.agent.name}: {reason}", "a rollout")
    return None


def _pending(look: Look) -> Concern | None:
    seen, container = look.seen, look.seen.container
    if seen.current and container and container.running:
        return None
    return Concern(Symptom.PENDING, look.limits.rollout, state(seen), "a pod of the new version that runs")


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


def _panicked(look: Look) -> Concern | None:
    if not look.log.panics:
        return None
    words = f"{look.log.panic_count} lines, the first: {look.log.panics[0]}"
    return Concern(Symptom.PANIC_LOGGED, CONFIRM, words, "no panic or fatal error that the old version did not log")


def _unready(look: Look) -> Concern | None:
    seen, pod = look.seen, look.seen.pod
    if seen.complete and pod and pod.ready:
        return None
    words = (
        f"pod {pod.name if pod else 'none'} is {'' if pod and pod.ready else 'not '}Ready; "
        f"{seen.updated} updated and {seen.available} available of {seen.wanted}, {len(seen.others)} old pods"
    )
    return Concern(
        Symptom.NOT_READY, look.limits.retry if look.whole else look.limits.ready, words, "a pod that is Ready"
    )


def _unconnected(look: Look) -> Concern | None:
    log, container = look.log, look.seen.container
    if not look.patterns.connected or log.is_connected(look.baseline.chats):
        return None
    if log.since and container and container.running and log.since - container.running > ROTATED:
        return None
    missing = ", ".join(sorted(look.baseline.chats - log.chats))
    words = f"none of {log.lines} log lines says that it is connected{missing and f' to {missing}, as before'}"
    if log.last_errors:
        words += f"; the last error: {log.last_errors[-1]}"
    return Concern(Symptom.NOT_CONNECTED, look.limits.connected, words, f"a line like {look.patterns.connected}")


def _disconnected(look: Look) -> Concern | None:
    if not look.log.lost or not look.patterns.connected:  # nothing would say that it is connected again
        return None
    patience = look.limits.reconnect if look.whole else look.limits.connected
    words = f"the connection was lost at {look.log.disconnected_at}, and no connected line follows"
    return Concern(Symptom.NOT_CONNECTED, patience, words, "an agent that stays connected")


_CHECKS = (_crashed, _cannot_start, _stalled, _pending, _panicked, _unready, _unconnected, _disconnected)


def _how(ended: Ended | None) -> str:
    if ended is None:
        return "ended"
    said = f": {ended.message}" if ended.message else ""
    return f"ended with status {ended.exit_code} ({ended.reason}){said}"
