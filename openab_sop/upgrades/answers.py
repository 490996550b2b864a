"""What humans say at the gates, and what of it counts (SOP 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from openab_sop.errors import SettingsError
from openab_sop.releases.upgrade_state import UpgradeState
from openab_sop.upgrades.decision_table import GateAnswer

MEANINGS = {
    GateAnswer.CONFIRMED: "the bot answers, conversation and tool calls work",
    GateAnswer.ROLLBACK: "back to the old version",
    GateAnswer.NO_RESPONSE: "no answer in the chat within 60 s",
    GateAnswer.ESCALATE: "change nothing more: somebody mends it by hand",
}


class Ask(Protocol):
    """Asks a human at a gate."""

    def __call__(self, gate: str, question: str) -> GateAnswer | None:
        """Return the answer, None if none came in time.

        Raises:
            ApprovalPending: there is nobody to ask now: the run ends, and a later one goes on with the answer.
        """
        ...


@dataclass(frozen=True)
class Reply:
    """The value of ``--answer``: the gate, the word, and the upgrade that it is for, if it says so."""

    gate: str
    word: GateAnswer
    state: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``prerelease:CONFIRMED`` or ``prerelease:CONFIRMED:<id of the upgrade>``.

        Raises:
            SettingsError: it is neither.
        """
        gate, _, rest = text.partition(":")
        word, _, state = rest.partition(":")
        known = {said.value: said for said in GateAnswer}
        if not gate or word not in known:
            raise SettingsError(
                f"--answer={text} is no answer",
                f"write GATE:WORD, for example prerelease:CONFIRMED; words: {', '.join(known)}",
            )
        return cls(gate, known[word], state)

    def require_awaited(self, state: UpgradeState | None) -> None:
        """Stop if nobody asked for it: at another gate, twice, after the end, or of another upgrade.

        Raises:
            SettingsError: it is not awaited.
        """
        if state is None or state.ended:
            over = f"; upgrade {state.id} to {state.target} has ended: {state.ended}" if state else ""
            raise SettingsError(
                f"--answer={self}: nobody has asked: no upgrade is under way with this release, neither in the session "
                f"on this machine nor on the release's lock{over}",
                "check --namespace and --release; leave out --answer to begin an upgrade",
            )
        if self.state not in ("", state.id):
            raise SettingsError(
                f"--answer={self} is for upgrade {self.state}; under way is {state.id}, to {state.target}",
                "answer what the last run has asked; its report has the command",
            )
        if self.gate != state.awaiting:
            raise SettingsError(
                f"--answer={self}: this is not asked; awaited is {state.awaiting or 'nothing'}",
                "leave out --answer, or answer what the last run has asked",
            )

    def __str__(self) -> str:
        return ":".join(filter(None, (self.gate, self.word.value, self.state)))
