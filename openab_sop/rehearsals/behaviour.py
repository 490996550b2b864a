"""How a version behaves on a copy: what was seen of it from its start until it was told to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openab_sop.restores.changes import Changes
from openab_sop.rollouts.health import RolloutJudgement
from openab_sop.rollouts.problem import Symptom


@dataclass(frozen=True)
class Behaviour:
    """How one version of an agent fared on its copy.

    Attributes:
        version: the chart's.
        judgement: as of a rollout; a connection is demanded only where the old version's copy had one.
        exit_code: of the agent's container, the last time that it ended by itself; None if it did not.
        connected: whether it said so.
        lost: whether it said that the connection was lost, and not that it is back.
        complaints: lines of errors and panics, masked, by fingerprint.
        process: whether the agent's process lived at the end; None if it could not be asked.
        lacks: programs that copying a home takes and that its image has not; empty if it could not be asked.
        ended_after: seconds that it took to end when it was told to.
        grace: seconds after which the cluster kills it.
    """

    version: str
    judgement: RolloutJudgement
    exit_code: int | None
    connected: bool
    lost: bool
    complaints: Mapping[str, str]
    process: bool | None
    lacks: frozenset[str]
    ended_after: float
    grace: float

    @property
    def agent(self) -> str:
        """Name of the copy's Deployment."""
        return self.judgement.agent

    @property
    def symptom(self) -> Symptom | None:
        """What is wrong with it."""
        return self.judgement.symptom

    @property
    def end(self) -> tuple[Symptom | None, int | None]:
        """What became of it, for comparing."""
        return self.symptom, self.exit_code if self.symptom is Symptom.CRASH_LOOP else None

    @property
    def image(self) -> tuple[str, str]:
        """Reference and id of the image that it ran; empty where no container came to be."""
        container = self.judgement.observation.container
        return (container.image, container.image_id) if container else ("", "")

    @property
    def said(self) -> str:
        """What is wrong, in words."""
        return "; ".join(finding.observed for finding in self.judgement.findings)

    def __str__(self) -> str:
        """Say it for the report."""
        lacks = f", without {', '.join(sorted(self.lacks))}" if self.lacks else ""
        reached = "connected" if self.connected else "not connected"
        state = self.said or "ran well"
        ready = f", Ready after {self.judgement.ready_after:.1f} s" if self.judgement.ready_after is not None else ""
        return (
            f"{self.version}: {state}{ready}, {reached}, {len(self.complaints)} kinds of errors{lacks}; "
            f"ended within {self.ended_after:.1f} s"
        )


@dataclass(frozen=True)
class Traces:
    """What a version has left on its copy of the volume.

    Attributes:
        changes: since the backup, without what was made harmless in the copy.
        gone: paths of the backup that are not there any more, but for those that may vanish.
        unreadable: what an older version may not be able to read any more, in words.
    """

    changes: Changes
    gone: tuple[str, ...]
    unreadable: tuple[str, ...]

    def also(self, traces: Traces, volume: str) -> Traces:
        """Return these with what was left on a further volume, whose name stands before its paths."""
        changes, theirs = self.changes, traces.changes
        return Traces(
            Changes(
                added=(*changes.added, *_of(volume, theirs.added)),
                changed=(*changes.changed, *_of(volume, theirs.changed)),
                removed=(*changes.removed, *_of(volume, theirs.removed)),
            ),
            gone=(*self.gone, *_of(volume, traces.gone)),
            unreadable=(*self.unreadable, *traces.unreadable),
        )


def _of(volume: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{volume}:{path}" for path in paths)


@dataclass(frozen=True)
class Contrast:
    """The old version and a new one of one agent, each on a fresh copy of the same home.

    Attributes:
        agent: its Deployment.
        old, new: how they fared.
        back: how the old one fared on the volume that the new one has left; None if it was not tried.
        old_traces, new_traces: what they left on the volume; None without one.
        old_claim, new_claim: the claim that holds the home in each; None without one.
    """

    agent: str
    old: Behaviour
    new: Behaviour
    back: Behaviour | None
    old_traces: Traces | None
    new_traces: Traces | None
    old_claim: str | None
    new_claim: str | None
