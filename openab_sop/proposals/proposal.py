"""Propose the values that a chart version needs, prove what they lead to, and write them down (SOP 3.2).

Nothing on the cluster is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openab_sop import storage
from openab_sop.errors import NothingToDo, SettingsError
from openab_sop.escape import command
from openab_sop.proposals.conversion import Compared, Conversion
from openab_sop.proposals.page import page
from openab_sop.proposals.steps import ValueMove
from openab_sop.rule import RuleFinding, RuleFindings, blocks, weighed
from openab_sop.verdict import Finding

PAGE = "values.html"


def _said(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return findings


NOT_EQUAL = blocks("not-equal", "What runs after the upgrade would differ in more than the version.")(_said)
"""What of the target is not proved to mean what runs now."""


@dataclass
class Proposal:
    """The values for one chart version, as an operator gets them.

    Attributes:
        accepted: by id of a finding, why it may pass.
        directory: where the page is left.
        out: where the values are written to.
        source: where charts come from, as ``--chart`` takes it; empty for the default.
        compared: what the comparison found.
    """

    conversion: Conversion
    accepted: Mapping[str, str]
    directory: Path
    out: Path
    source: str = ""
    compared: Compared = field(default=Compared(()))
    _findings: RuleFindings | None = None

    def propose(self) -> list[ValueMove]:
        """Convert the values; returns what moved where. Raises as ``Conversion.convert`` does."""
        return self.conversion.convert()

    def prove(self) -> RuleFindings:
        """Render both sides and compare what they mean; leaves the page.

        Raises:
            NothingToDo: the values that run fit the target as they are.
            SettingsError: a finding was accepted that was not found.
        """
        situation, moves = self.conversion.situation, self.conversion.moves
        self.compared = self.conversion.compare(self.out.name)
        findings = (RuleFinding(NOT_EQUAL, one, (str(situation.target),)) for one in self.compared.findings)
        self._findings = RuleFindings(weighed(findings, self.accepted, "comparison"))
        storage.replace(self.directory / PAGE, self._page().encode())
        if not moves and not self._findings.findings:
            raise NothingToDo(f"the values fit {situation.target} as they are: proved equal to what runs")
        return self._findings

    def _page(self) -> str:
        return page(self.conversion.situation, self.conversion.moves, self.findings, self.compared.own, self.out)

    @property
    def findings(self) -> RuleFindings:
        """What is not proved equal, once it was compared."""
        assert self._findings is not None, "prove first"
        return self._findings

    @property
    def next_step(self) -> str:
        """The command that upgrades with these values."""
        source = [f"--chart={self.source}"] if self.source else []
        values = [f"--values={self.out}"] if self.conversion.moves else []
        return command("pytest", "suites", *source, f"--target-version={self.conversion.situation.target}", *values)

    def write(self) -> Path:
        """Write the proposed values, for their owner alone; returns where.

        Raises:
            SettingsError: something else is there already.
        """
        text = self.conversion.text.encode()
        if self.out.exists():
            if self.out.read_bytes() != text:
                raise SettingsError(f"{self.out} exists already, with other values", "name another with --out=FILE")
            return self.out
        storage.write(self.out, text)
        return self.out
