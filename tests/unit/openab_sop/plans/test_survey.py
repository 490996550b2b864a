"""What is taken for an agent that is not well: what its program did lately, not what its node did to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openab_sop.agents.agent import trouble


def pod(*, code: int, reason: str, ago: float, **status: Any) -> dict[str, Any]:
    """A pod whose container runs again, after a run that ended so many minutes ago."""
    finished = (datetime.now(UTC) - timedelta(minutes=ago)).isoformat(timespec="seconds")
    last = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": finished}}
    container: dict[str, Any] = {
        "name": "openab",
        "state": {"running": {}},
        "lastState": last,
        "restartCount": 1,
        "ready": True,
    }
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [{**container, **status}]}}


@pytest.mark.parametrize(
    ("code", "reason", "ago", "status", "said"),
    [
        (101, "Error", 1, {}, "it was restarted 1 times, last after exit code 101"),
        (101, "Error", 30, {}, ""),
        (0, "Completed", 1, {}, ""),
        (255, "Unknown", 1, {}, ""),  # its node was restarted
        (255, "Error", 1, {}, "it was restarted 1 times, last after exit code 255"),
        (255, "Unknown", 1, {"ready": False}, "pod p is not Ready"),
        (1, "Error", 1, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, "pod p: CrashLoop"),
    ],
)
def test_a_crash_lately_counts_and_the_end_of_its_node_does_not(
    code: int, reason: str, ago: float, status: dict[str, Any], said: str
) -> None:
    told = trouble(pod(code=code, reason=reason, ago=ago, **status), "openab")
    assert told.startswith(said) if said else told == ""
