"""An outage is measured from outside while helm upgrades, against what kubectl and the pods' own log say."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openab_sop.cluster.kube import Cluster
from openab_sop.rollouts.outage import OutageWatch
from tests.integration.rollout.conftest import Field, deployment


def pod(field: Field, release: str) -> dict[str, Any]:
    """The release's only pod that stays."""
    selector = f"--selector=app.kubernetes.io/instance={release}"
    found = json.loads(field.kubectl("get", "pods", selector, "--output=json"))["items"]
    (only,) = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return only


def roll(field: Field, release: str, version: str, values: dict[str, Any]) -> None:
    field.upgrade(release, version, values)
    field.kubectl("rollout", "status", f"deploy/{deployment(release)}", "--timeout=60s")


def test_an_upgrade(field: Field) -> None:
    """It lasts as long as the pods' own clocks say, within two looks and a second of Kubernetes' resolution."""
    values = field.values()
    field.install("up", "0.8.1", values)
    agent = field.agent("up")
    with OutageWatch(field.cluster, [agent]) as watch:
        before = time.time()
        roll(field, "up", "0.8.2", values)
        wait_for_end(watch)
        (measured,) = watch.outages()
    connected = next(
        line for line in field.kubectl("logs", pod(field, "up")["metadata"]["name"]).splitlines() if "connected" in line
    )
    back = datetime.fromisoformat(connected.split()[0]).timestamp()
    assert not measured.open
    assert len(measured.gaps) == 1
    assert 0.1 < measured.seconds < back - before + 3
    assert measured.gaps[0][1] is not None
    assert watch.outages() == (watch.outages()[0],)


def wait_for_end(watch: OutageWatch, timeout: float = 30) -> None:
    """Wait until the watch has seen the agent go and come back."""
    deadline = time.monotonic() + timeout
    while not (outage := watch.outages()[0]).gaps or outage.open:
        assert time.monotonic() < deadline, outage
        time.sleep(0.1)


def test_no_pod_is_replaced_and_none_comes(field: Field) -> None:
    """Two agents in one watch: one stays up all the time, the other is not seen again."""
    values = field.values()
    for release in ("stays", "goes"):
        field.install(release, "0.8.1", values)
    agents = [field.agent("stays"), field.agent("goes")]
    begun = time.monotonic()
    with OutageWatch(field.cluster, agents) as watch:
        roll(field, "stays", "0.9.0-same-image.1", values)
        field.upgrade("goes", "0.9.0-panics-at-start.1", values)
        deadline = time.monotonic() + 60
        while int(pod_restarts(field, "goes")) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    stays, goes = watch.outages()
    assert (stays.gaps, stays.seconds, stays.missed) == ((), 0.0, 0)
    assert goes.open
    assert 1 < goes.seconds < time.monotonic() - begun
    assert goes.looks > 5


def pod_restarts(field: Field, release: str) -> str:
    selector = f"--selector=app.kubernetes.io/instance={release}"
    path = "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    return max(field.kubectl("get", "pods", selector, path).split(), default="0")


def test_the_api_may_be_out_of_reach(field: Field, tmp_path: Path) -> None:
    """Looks are missed, nothing is claimed, and the watch ends in time all the same."""
    field.install("far", "0.8.1", field.values())
    access = field.cluster.access
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(access.paths[0].read_text().replace(access.server, "https://127.0.0.1:1"))
    begun = time.monotonic()
    with OutageWatch(Cluster(replace(access, paths=(nowhere,))), [field.agent("far")]) as watch:
        time.sleep(1)
    (outage,) = watch.outages()
    assert (outage.looks, outage.gaps) == (0, ())
    assert outage.missed > 0
    assert time.monotonic() - begun < 15
