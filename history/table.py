"""Verdicts beside outcomes, a line for each step, and how many there are of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from history.cases import Case
from history.explained import explained
from history.outcome import RIGHT, judged
from history.pairs import Pair
from openab_sop.plans.judgement import judge
from openab_sop.plans.plan import Plan
from openab_sop.rule import Severity

WITHOUT = ("agent-unwell",)
"""Rules that do not count: in the sandbox an agent need not run to be planned."""
HEADER = "| steps | blocked | warned | passed | upgraded | right | false alarm | missed | explained |"


@dataclass(frozen=True)
class Row:
    """A step, what the plan says, and what came of it (None: not tried)."""

    pair: Pair
    case: Case
    blocks: tuple[str, ...]
    warns: tuple[str, ...]
    harms: tuple[str, ...] | None

    @classmethod
    def of(
        cls, pair: Pair, case: Case, plan: Plan, harms: tuple[str, ...] | None, unproved: tuple[str, ...] = ()
    ) -> Row:
        """Ask the rules about a plan; what of its values is not proved blocks too."""
        counting = [
            rule_finding for rule_finding in judge([plan], {}).findings if rule_finding.rule.name not in WITHOUT
        ]
        blocks = tuple(rule_finding.id for rule_finding in counting if rule_finding.rule.severity is Severity.BLOCKS)
        warns = tuple(rule_finding.id for rule_finding in counting if rule_finding.rule.severity is Severity.WARNS)
        return cls(pair, case, (*unproved, *blocks), warns, harms)

    @property
    def comparison(self) -> str:
        """Whether the plan was right; empty if nobody has tried."""
        if self.harms is None:
            return ""
        return judged(bool(self.blocks), [told.partition(":")[0] for told in self.warns], self.harms)

    @property
    def reason(self) -> str:
        """Why the plan was wrong; empty if it was right, or nobody knows."""
        return (
            ""
            if self.comparison in ("", RIGHT)
            else explained(self.pair, self.comparison, self.harms or (), self.blocks)
        )

    @property
    def verdict(self) -> str:
        """What the plan says, in a word."""
        return "blocked" if self.blocks else "warned" if self.warns else "passed"

    def __str__(self) -> str:
        said = ", ".join(self.blocks or self.warns)
        lines = [f"{self.pair.kind:4} {self.pair.label} [{self.case.name}] {self.verdict}{said and ': '}{said}"]
        if self.comparison:
            lines.append(f"       {self.comparison}: {'; '.join(self.harms or ()) or 'no harm'}")
        if self.reason:
            lines.append(f"       explained: {self.reason}")
        return "\n".join(lines)


def table(rows: Iterable[Row]) -> str:
    """Return how many steps there are of each kind, as Markdown."""
    every = list(rows)
    lines = [HEADER, "|---" * (HEADER.count("|") - 1) + "|"]
    for kind in dict.fromkeys(row.pair.kind for row in every):
        lines.append(_line(kind, [row for row in every if row.pair.kind == kind]))
    return "\n".join([*lines, _line("all", every)])


def _line(kind: str, rows: list[Row]) -> str:
    return f"| {' | '.join(_cells(kind, rows))} |"


def _cells(kind: str, rows: list[Row]) -> Iterator[str]:
    verdicts = Counter(row.verdict for row in rows)
    compared = Counter(row.comparison for row in rows if not row.reason)
    yield f"{kind}: {len(rows)}"
    yield from (str(verdicts[word]) for word in ("blocked", "warned", "passed"))
    yield str(sum(row.harms is not None for row in rows))
    yield from (str(compared[word]) for word in ("right", "false alarm", "missed"))
    yield str(sum(bool(row.reason) for row in rows))
