"""The append-only record of a run: one JSON object a line, on disk before and after each action."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from openab_sop.redact import mask_values


class Journal:
    """Writes ``journal.jsonl``; every line is fsynced before the caller goes on (design: read, choose, act, look).

    Args:
        path: the file; created private (0600), appended to if it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def record(self, event: str, **facts: object) -> None:
        """Append one event; ``facts`` are names, counts and digests, each masked all the same."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(mask_values({"time": moment, "event": event, **facts}))
        os.write(self._file, line.encode() + b"\n")
        os.fsync(self._file)

    @contextmanager
    def action(self, name: str, **facts: object) -> Generator[None]:
        """Record that an action begins and how it ended, also when it raised."""
        self.record("action begins", action=name, **facts)
        try:
            yield
        except BaseException as error:
            self.record("action failed", action=name, error=f"{type(error).__name__}: {error}", **facts)
            raise
        self.record("action done", action=name, **facts)

    def close(self) -> None:
        """Close the file; nothing can be recorded any more."""
        os.close(self._file)
