"""Why a verdict and an outcome may differ for good: what no plan can see, or what is harm only by our yardstick."""

from __future__ import annotations

from collections.abc import Sequence

from history.outcome import FALSE_ALARM, MISSED
from history.pairs import Pair
from history.standins import REFUSING

_REFUSED = "ended with status 2"


def explained(pair: Pair, verdict: str, harms: Sequence[str], blocks: Sequence[str] = ()) -> str:
    """Return why a step's verdict is not that of its outcome; empty if nobody knows."""
    if verdict == MISSED and str(pair.after.version) in REFUSING and all(_REFUSED in harm for harm in harms):
        return (
            "the image refuses the command that it brings itself: no object shows that; "
            "the pre-release on the way, and the rollout's gates, do"
        )
    if verdict == FALSE_ALARM and all(block.startswith("not-equal:") for block in blocks):
        return (
            "the proof is of equality: the target makes something for these values that was not there, "
            "and an operator decides whether it is wanted"
        )
    return ""
