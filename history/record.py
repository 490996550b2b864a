"""What was seen of each step, kept as it comes, so that a walk that was cut short goes on."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from history.cases import Case
from history.pairs import Pair
from history.trial import Tried
from openab_sop.plans.plan import Plan

Key = tuple[str, str, str]
"""From, to, and the values file with a digest of what it says."""


@dataclass
class Record:
    """Steps that were tried, below a directory: ``steps.jsonl``, a line each, and their plans.

    Verdicts are not kept: they are asked of the rules anew, as those are now.
    """

    directory: Path
    _lines: dict[Key, dict[str, Any]] = field(default_factory=dict[Key, dict[str, Any]])
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        (self.directory / "plans").mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._file.exists():
            for text in self._file.read_text().splitlines():
                line = json.loads(text)
                self._lines[(line["from"], line["to"], line["case"])] = line

    def note(self, pair: Pair, case: Case, tried: Tried | str) -> None:
        """Take down what came of a step, or why it has no beginning; what is known of its outcome stays."""
        key = key_of(pair, case)
        line: dict[str, Any] = {"from": key[0], "to": key[1], "case": key[2]}
        if isinstance(tried, str):
            line["none"] = tried
        else:
            self._plan(key).write_bytes(pickle.dumps(replace(tried.plan)))
            harms = self.harms(pair, case) if tried.harms is None else tried.harms
            line |= {"harms": harms, "unproved": tried.unproved}
        with self._lock:
            self._lines[key] = line
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def is_known(self, pair: Pair, case: Case, *, really: bool) -> bool:
        """Tell whether a step was tried; with ``really``, whether its outcome is known too."""
        line = self._lines.get(key_of(pair, case))
        return line is not None and ("none" in line or not really or line["harms"] is not None)

    def plan(self, pair: Pair, case: Case) -> Plan | None:
        """Return the plan of a step; None if it has no beginning."""
        file = self._plan(key_of(pair, case))
        return pickle.loads(file.read_bytes()) if file.exists() else None

    def harms(self, pair: Pair, case: Case) -> tuple[str, ...] | None:
        """Return what a step has harmed; None if nobody has tried."""
        found = self._lines.get(key_of(pair, case), {}).get("harms")
        return None if found is None else tuple(found)

    def unproved(self, pair: Pair, case: Case) -> tuple[str, ...]:
        """Return what of a step's proposed values is not proved."""
        return tuple(self._lines.get(key_of(pair, case), {}).get("unproved") or ())

    @property
    def _file(self) -> Path:
        return self.directory / "steps.jsonl"

    def _plan(self, key: Key) -> Path:
        return self.directory / "plans" / hashlib.sha256("\n".join(key).encode()).hexdigest()[:24]


def key_of(pair: Pair, case: Case) -> Key:
    """Return what a step is known by."""
    digest = hashlib.sha256(case.text.encode()).hexdigest()[:12]
    return pair.before.label, pair.after.label, f"{case.name} {digest}"
