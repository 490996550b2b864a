"""What can go wrong, in few classes. Each error says what was seen and what to do next."""

from __future__ import annotations

from openab_sop.escape import marked, one_line


class SopError(Exception):
    """A stop that the operator can act on.

    Its text is the problem, then a line with the next step. What others have said is in the problem, so that each
    further line of it is marked: none can be taken for a line of ours (issue 14).

    Args:
        problem: what was seen, in one sentence.
        next_step: what to do about it, best a command to type; a field of its own wherever it is shown, never read
            out of a text.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{marked(problem)}\n  next: {one_line(next_step)}")
        self.problem = problem
        self.next_step = next_step


class SettingsError(SopError):
    """An option, environment variable or file names something that cannot be."""


class InvalidName(SopError):
    """A name from a backup, a chart, the cluster or an option is one that Kubernetes, or Helm, would not take.

    It is no ``ClusterError``: whoever passes over what the API refuses must not pass over this (issue 14).
    """


class InvalidDocument(SopError, ValueError):
    """A document that somebody else wrote is damaged, or beyond what is read of one (issue 14).

    It is a ``ValueError`` too, as the parsers' own errors are: who knows better what to do says so in its place.
    """


class ToolError(SopError):
    """A local command is missing, too old, failed, or did not end in time."""


class ClusterError(SopError):
    """The Kubernetes API refused."""


class Broken(SopError):
    """The line to the cluster broke: nothing is known, and nothing may be concluded; what was begun is tried again."""


class Unreachable(Broken):
    """The Kubernetes API could not be asked: the connection failed, or the server is not able to answer now.

    It is no ``ClusterError``: whoever heeds what the API says must not take it for a refusal.

    Attributes:
        heard: whether the request may have come through all the same.
    """

    def __init__(self, problem: str, next_step: str, *, heard: bool) -> None:
        super().__init__(problem, next_step)
        self.heard = heard


class NotFound(ClusterError):
    """The API answered that the object does not exist."""


class Forbidden(ClusterError):
    """The API answered that the caller may not do this."""


class Conflict(ClusterError):
    """The API answered that the object has changed meanwhile, or is there already."""


class ReleaseError(SopError):
    """The release or its agents cannot be told for sure."""


class PodError(SopError):
    """A command inside the agent's pod failed or was cut off."""


class CutOff(Broken):
    """A stream from or to a pod ended before its proved end."""


class Stalled(CutOff):
    """A stream from or to a pod stood still for too long."""


class Disturbed(SopError):
    """Somebody has started an agent that this run had stopped: whatever was being done to its volume has ended.

    Args:
        seen: who started what.
    """

    def __init__(self, seen: str) -> None:
        super().__init__(seen, "have whoever did it leave the agent alone, then run the same command again")


class BackupError(SopError):
    """A backup could not be made, or is not one."""


class SourceError(SopError):
    """A chart source, or another address on the network, does not answer, or offers what it must not."""


class NotPulled(SourceError):
    """A version is offered, and cannot be pulled: it may have been taken back."""


class NotAsked(SourceError):
    """An address was not asked: it is an internal one, and the operator has not named it."""


class TargetError(SopError):
    """The version that an upgrade shall lead to cannot be told, or must not be taken."""


class ReleaseLocked(SopError):
    """Another maintenance run has the release; nothing may be changed."""


class ApprovalPending(SopError):
    """A human's answer is awaited: the run ends here, and the same command with the answer goes on."""


class StepSkipped(Exception):
    """There is nothing to do here, and a recorded fact proves it.

    Not a failure: the gates report it as an outcome of its own.
    """

    def __init__(self, fact: str) -> None:
        super().__init__(fact)
        self.fact = fact


class NothingToDo(StepSkipped):
    """The whole run has nothing to do, and a recorded fact proves it: it ends here, and well."""
