"""Each misbehaving version is judged by its symptom and in time, and a good one is called healthy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from openab_sop import health
from openab_sop.concern import Limits, Symptom
from openab_sop.health import Judgement
from tests.integration.rollout.conftest import Field

BEFORE = "0.8.1"
QUICK = Limits(rollout=120, ready=60, connected=60, settle=5, retry=4, reconnect=4)
"""Generous where a busy machine is slow, short where the verdict is waited for."""


@dataclass(frozen=True)
class Case:
    """A version to upgrade to, and what is to be found."""

    version: str
    symptom: Symptom | None = None
    limits: Limits = QUICK
    says: str = ""

    @property
    def name(self) -> str:
        """Of the release."""
        return self.version.removeprefix("0.9.0-").partition(".")[0] if "-" in self.version else "good"


CASES = (
    Case("0.8.2"),
    Case("0.9.0-logs-errors.1"),
    Case("0.9.0-ignores-sigterm.1"),
    Case("0.9.0-wrong-process.1"),
    Case("0.9.0-panics-at-start.1", Symptom.CRASH_LOOP, says="panicked at"),
    Case("0.9.0-refuses-arguments.1", Symptom.CRASH_LOOP, says="unexpected argument"),
    Case("0.9.0-panics-later.1", Symptom.CRASH_LOOP, Limits(settle=60), says="panicked at"),
    Case("0.9.0-never-ready.1", Symptom.NOT_READY, Limits(ready=8), says="not Ready"),
    Case("0.9.0-loses-connection.1", Symptom.NOT_CONNECTED, Limits(settle=60, reconnect=4), says="was lost"),
    Case("0.9.0-no-image.1", Symptom.IMAGE, says="openab.local/openab:0.9.0-no-image.1"),
)


@dataclass(frozen=True)
class Judged:
    """A judgement, and when it came."""

    case: Case
    judgement: Judgement
    at: datetime
    seconds: float


@pytest.fixture(scope="module")
def judged(field: Field) -> Iterator[dict[str, Judged]]:
    """All cases at once: most of the time is waiting."""
    values = {case.name: field.values() for case in CASES}

    def judge(case: Case) -> Judged:
        field.install(case.name, BEFORE, values[case.name])
        agent = field.agent(case.name)
        before = health.baseline(field.cluster, agent)
        field.upgrade(case.name, case.version, values[case.name])
        begun = time.monotonic()
        judgement = health.await_healthy(field.cluster, agent, limits=case.limits, baseline=before)
        return Judged(case, judgement, datetime.now(UTC), time.monotonic() - begun)

    with ThreadPoolExecutor(len(CASES)) as several:
        yield {found.case.name: found for found in several.map(judge, CASES)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_version_is_judged(judged: dict[str, Judged], case: Case) -> None:
    judgement = judged[case.name].judgement
    print(judged[case.name].seconds, judgement, *judgement.findings, *judgement.warnings, sep="\n")
    assert judgement.symptom is case.symptom
    assert judgement.healthy == (case.symptom is None)
    assert judgement.replaced
    assert all(case.says in str(finding) for finding in judgement.findings)
    assert bool(judgement.findings) == (case.symptom is not None)
