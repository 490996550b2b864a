"""The values that ``suites/values`` proposes for a step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openab_sop.errors import SopError
from openab_sop.proposals.conversion import Conversion
from openab_sop.proposals.running import Running
from openab_sop.targets.values import TargetValues, digest_of


@dataclass(frozen=True)
class Proposed:
    """Values for a target.

    Attributes:
        values: as the target is rendered with.
        unproved: id of each finding that an operator would have to accept.
    """

    values: TargetValues
    unproved: tuple[str, ...] = ()


def propose(running: Running, target: Path, text: str) -> Proposed:
    """Convert a values file for a chart; one that cannot be converted stays as it is, and is not proved."""
    conversion = Conversion(running, target, TargetValues(text))
    try:
        moved = conversion.convert()
        found = conversion.compare("values").findings if moved else ()
    except SopError as error:
        return Proposed(TargetValues(text), (f"not-equal:{error.problem}",))
    values = TargetValues(conversion.text)
    return Proposed(
        TargetValues(values.text, digest_of(values.tree), "proposed"),
        tuple(f"not-equal:{one.subject}" for one in found),
    )
