"""What a check found, and whether that is good enough to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openab_sop.errors import SopError
from openab_sop.escape import marked, one_line


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what is concerned, what was seen, what was expected, what to do."""

    subject: str
    observed: str
    expected: str
    next_step: str

    def __str__(self) -> str:
        seen = one_line(f"{self.subject}: {self.observed}")  # names and what tools said come from the pod
        return f"{seen}; expected {one_line(self.expected)}\n    next: {one_line(self.next_step)}"


class NotPassed(SopError):
    """A check has found something: its text names everything, its next step is that of the first finding.

    Args:
        message: the check in words, as its ``str`` says it.
        findings: those for which it did not pass.
    """

    def __init__(self, message: str, findings: Sequence[Finding]) -> None:
        super().__init__(message, findings[0].next_step)
        self.args = (message,)  # each finding has said already what to do


@dataclass(frozen=True)
class Verdict:
    """The findings of one check; it passed if there are none.

    Attributes:
        checked: what was checked, as a noun: "rollout of openab-kiro".
    """

    checked: str
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def require(self) -> None:
        """Raise ``NotPassed`` if something was found."""
        if not self.passed:
            raise NotPassed(str(self), self.findings)

    def __str__(self) -> str:
        checked = marked(self.checked)
        if self.passed:
            return f"{checked}: passed"
        count = len(self.findings)
        problems = f"{count} problem{'s' if count > 1 else ''}"
        return "\n  ".join((f"{checked}: {problems}", *map(str, self.findings)))
