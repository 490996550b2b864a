"""What is taken for an agent that is not well: what its program did lately, not what its node did to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openab_sop.plans.survey import trouble


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
    ("seen", "said"),
    [
        (pod(code=101, reason="Error", ago=1), "it was restarted 1 times, last after exit code 101"),
        (pod(code=101, reason="Error", ago=30), ""),
        (pod(code=0, reason="Completed", ago=1), ""),
        (pod(code=255, reason="Unknown", ago=1), ""),  # its node was restarted
        (pod(code=255, reason="Error", ago=1), "it was restarted 1 times, last after exit code 255"),
        (pod(code=255, reason="Unknown", ago=1, ready=False), "pod p is not Ready"),
        (pod(code=1, reason="Error", ago=1, state={"waiting": {"reason": "CrashLoopBackOff"}}), "pod p: CrashLoop"),
    ],
)
def test_a_crash_lately_counts_and_the_end_of_its_node_does_not(seen: dict[str, Any], said: str) -> None:
    told = trouble(seen, "openab")
    assert told.startswith(said) if said else told == ""
