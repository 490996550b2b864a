"""What a rehearsal found out, on disk beside the session file: later stages and later runs use it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from openab_sop import bounded, storage

FILE = "rehearsal.json"


@dataclass(frozen=True)
class Outcome:
    """What came of the last rehearsal of a release that passed.

    Attributes:
        when: UTC.
        revision: Helm's, of the release that was copied.
        digests: SHA-256 of the chart of each version that ran on a copy, by its version.
        backup: name of the backup that was restored.
        restore: seconds that it took to fill the volumes from it and to prove them.
        start: seconds that the old version took from its start until it was Ready, the slowest agent.
        values: digest of the values that were named for the target; empty for the release's own.
        changed: agents whose data the new version changes so that going back takes a restore.
    """

    when: str
    revision: int
    digests: dict[str, str]
    backup: str
    restore: float
    start: float
    changed: tuple[str, ...]
    values: str = ""

    @property
    def rollback_estimate(self) -> str:
        """How long a rollback is likely to take, in words."""
        if not self.changed:
            return f"about {self.start:.0f} s without restoring a volume, {self.start + self.restore:.0f} s with it"
        agents, seconds = ", ".join(self.changed), self.start + self.restore
        return f"about {seconds:.0f} s: the new version changes data of {agents}, so that volumes are restored"

    def is_of(self, revision: int, version: str, digest: str, values: str = "") -> bool:
        """Tell whether it was of the way from a revision to this chart with these values."""
        return (self.revision, self.values) == (revision, values) and self.digests.get(version) == digest

    def store(self, directory: Path) -> None:
        """Write it beside the session file."""
        storage.private_directory(directory)
        storage.replace(directory / FILE, json.dumps(asdict(self), indent=2).encode() + b"\n")


def last(directory: Path) -> Outcome | None:
    """Return what the last rehearsal found out; None if there was none, or it cannot be read: it is repeated then."""
    try:
        return bounded.load_as(Outcome, (directory / FILE).read_text(), FILE)
    except (OSError, ValueError):
        return None


def forget(directory: Path) -> None:
    """Forget what the last rehearsal found out: another one begins."""
    (directory / FILE).unlink(missing_ok=True)
