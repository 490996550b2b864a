"""What a check found, and whether that is good enough to go on."""

from __future__ import annotations

from dataclasses import dataclass

from openab_sop.shown import one_line


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what is concerned, what was seen, what was expected, what to do."""

    subject: str
    observed: str
    expected: str
    next_step: str

    def __str__(self) -> str:
        seen = one_line(f"{self.subject}: {self.observed}")  # names and what tools said come from the pod
        return f"{seen}; expected {self.expected}\n    next: {one_line(self.next_step)}"


@dataclass(frozen=True)
class Verdict:
    """The findings of one check; it passed if there are none."""

    checked: str
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        if self.passed:
            return f"{self.checked}: good"
        return "\n  ".join((f"{self.checked}: {len(self.findings)} found", *map(str, self.findings)))
