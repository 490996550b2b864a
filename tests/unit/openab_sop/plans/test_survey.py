"""What is taken for an agent that is not well: what its program did lately, not what its node did to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openab_sop.agents.agent import trouble
from openab_sop.plans import survey
from tests.served import Says, serving
from tests.unit.openab_sop.plans.drawn import drawn, now


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


def images(*names: str) -> tuple[dict[str, Any], ...]:
    """A side of a plan whose agent runs the first, with the others beside it."""
    beside = [{"name": f"c{n}", "image": name} for n, name in enumerate(names[1:])]
    return now(image=names[0], pod={"initContainers": beside})


def test_only_registries_that_no_chart_has_brought_may_be_asked_wherever_they_are() -> None:
    plan = drawn(
        images("ghcr.io/a/b:1", "127.0.0.1:5000/x", "fetch:1", "localhost/y@sha256:0"),
        images("10.0.0.9:5000/evil:1", "169.254.169.254/latest:meta"),
        values={"image": {"repository": "registry.inside:8443/openab"}, "list": ["[::1]:5/x", "a b"], "n": 7},
    )
    assert survey.registries(plan, "oci://charts.inside:444/x") == {
        ("ghcr.io", 443),
        ("127.0.0.1", 5000),
        ("localhost", 80),
        ("charts.inside", 444),
        ("registry.inside", 8443),
        ("::1", 5),
    }
    assert survey.registries(drawn((), ()), "/a/path") == set()


def test_an_image_of_a_chart_is_no_request_to_this_machine() -> None:
    with serving(lambda _: Says({}, 404)) as server:
        port = int(server.host.rpartition(":")[2])
        for host in (server.host, f"localhost:{port}", f"[::ffff:127.0.0.1]:{port}"):
            assert survey.offered(f"{host}/x:1", frozenset()) == "internal"
        assert server.asked == []
        assert survey.offered(f"{server.host}/x:1", frozenset({("127.0.0.1", port)})) == "missing"
        assert server.paths() == ["/v2/x/manifests/1"]
    assert survey.offered("169.254.169.254/latest/meta-data:x", frozenset()) == "internal"
    for name in ("openab:1", "a@b.c/x:1", "[::1/x:1", "x.y/../z:1"):
        assert survey.offered(name, frozenset()) == "unknown"
