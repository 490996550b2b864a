"""Each misbehaviour really shows on the node, as an operator would see it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sandbox import SandboxError
from world.versions import Version, family

if TYPE_CHECKING:
    from tests.integration.world.conftest import Place

FAULTY = tuple(v for v in family().versions if v.version.startswith("0.9.0-") and v.source == "charts")
AFTER_A_GOOD_ONE = ("migrates-data", "migration-fails", "deletes-files", "same-image")
"""These harm what an older version left behind, so that one has to run first."""


def name(version: Version) -> str:
    """What the version is about: the middle of 0.9.0-NAME.1."""
    return version.version.removeprefix("0.9.0-").partition(".")[0]


@pytest.fixture(scope="module")
def faults(place: Place) -> Place:
    """Every faulty version as a release named after its fault, all at once: most of the time is waiting."""
    for version in FAULTY:
        first = "0.8.1" if name(version) in AFTER_A_GOOD_ONE else version.version
        place.install(name(version), first, wait=False)
    for fault in AFTER_A_GOOD_ONE:
        place.wait_for(fault, lambda seen: seen.ready)
    place.world.fill_home(place.namespace, "deletes-files-openab-kiro")
    for version in FAULTY:
        if name(version) in AFTER_A_GOOD_ONE:
            place.upgrade(name(version), version.version, wait=False)
    return place


def test_refuses_arguments(faults: Place) -> None:
    """The image cannot start with the chart's command."""
    seen = faults.wait_for("refuses-arguments", lambda seen: seen.restarts >= 1)
    assert seen.last_exit == 2
    assert "unexpected argument" in faults.log("refuses-arguments")


def test_panics_at_start(faults: Place) -> None:
    """It crashes before anything else."""
    seen = faults.wait_for("panics-at-start", lambda seen: seen.restarts >= 1)
    assert seen.last_exit == 101
    log = faults.log("panics-at-start")
    assert "panicked at" in log
    assert "config loaded" not in log


def test_panics_later(faults: Place) -> None:
    """It was connected, and then it crashes."""
    log = faults.wait_for_log("panics-later", "panicked at", timeout=60)
    assert 0 < log.find("bot connected") < log.index("panicked at")
    assert faults.wait_for("panics-later", lambda seen: seen.restarts >= 1).last_exit == 101


def test_never_ready(faults: Place) -> None:
    """Its process lives, its probe never succeeds, it does not connect."""
    log = faults.wait_for_log("never-ready", "config loaded")
    time.sleep(3)
    seen = faults.seen("never-ready")
    assert (seen.running, seen.ready, seen.restarts) == (True, False, 0)
    assert "connected" not in log


def test_a_good_agent_passes_the_same_probe(place: Place) -> None:
    """What makes `never-ready` bad is its agent, not its chart."""
    place.install("probe", "0.8.1", wait=True)
    assert place.execute("probe-openab-kiro", "test", "-e", "/tmp/openab-ready") == ""


def test_wrong_process(faults: Place) -> None:
    """Ready and connected, but nothing is called openab; a good version's process is."""
    faults.wait_for_log("wrong-process", "bot connected")
    assert faults.seen("wrong-process").ready
    with pytest.raises(SandboxError, match="status 1"):
        faults.execute("wrong-process-openab-kiro", "pgrep", "-x", "openab")
    assert faults.execute("logs-errors-openab-kiro", "pgrep", "-x", "openab").strip().isdigit()


def test_logs_errors(faults: Place) -> None:
    """It works, and complains."""
    log = faults.wait_for_log("logs-errors", "attempt=2")
    assert log.count(" ERROR ") >= 2
    assert faults.seen("logs-errors").ready


def test_migrates_data(faults: Place) -> None:
    """It works; the older version refuses what it left."""
    faults.wait_for_log("migrates-data", "version=0.9.0-migrates-data.1")
    faults.wait_for_log("migrates-data", "bot connected")
    faults.upgrade("migrates-data", "0.8.1", wait=False)
    faults.wait_for_log("migrates-data", "schema version 2")
    assert faults.wait_for("migrates-data", lambda seen: seen.restarts >= 1).last_exit == 1


def test_migration_fails(faults: Place) -> None:
    """It dies half way, and cannot start again."""
    faults.wait_for("migration-fails", lambda seen: seen.restarts >= 1)
    assert "schema version 99" in faults.wait_for_log("migration-fails", "schema version")


def test_deletes_files(faults: Place) -> None:
    """It works, and the user's files are gone."""
    faults.wait_for_log("deletes-files", "cleaned up")
    kept = faults.execute("deletes-files-openab-kiro", "ls", ".kiro").split()
    assert "agents" in kept
    assert "steering" not in kept


def test_loses_connection(faults: Place) -> None:
    """Its process goes on, deaf: it neither ends nor connects again."""
    log = faults.wait_for_log("loses-connection", "connection closed")
    assert log.count("bot connected") == 1
    seen = faults.seen("loses-connection")
    assert (seen.ready, seen.restarts) == (True, 0)


def test_ignores_sigterm(faults: Place) -> None:
    """It ends only when it is killed, at the end of its grace period; a good one at once."""
    faults.wait_for_log("ignores-sigterm", "bot connected")
    assert _seconds_to_delete(faults, "ignores-sigterm") > 4
    assert _seconds_to_delete(faults, "logs-errors") < 4


def _seconds_to_delete(place: Place, release: str) -> float:
    (pod,) = place.pods(release)
    start = time.monotonic()
    place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=5")
    return time.monotonic() - start


def test_no_image(faults: Place) -> None:
    """Nobody has its image."""
    seen = faults.wait_for("no-image", lambda seen: seen.waiting in ("ErrImagePull", "ImagePullBackOff"))
    assert seen.image == "openab.local/openab:0.9.0-no-image.1"


def test_no_tar(faults: Place) -> None:
    """It works; its image lacks what a backup needs."""
    faults.wait_for_log("no-tar", "bot connected")
    with pytest.raises(SandboxError, match="tar"):
        faults.execute("no-tar-openab-kiro", "tar", "--version")


def test_one_agent_panics(faults: Place) -> None:
    """The plain image is good; the other agent's is not."""
    faults.wait_for_log("one-agent-panics", "bot connected")
    faults.install("other", "0.9.0-one-agent-panics.1", {"image": "openab.local/openab-claude"}, wait=False)
    assert faults.wait_for("other", lambda seen: seen.restarts >= 1).last_exit == 101


def test_same_image(faults: Place) -> None:
    """The chart's version moves, the image does not: not even the pod is replaced."""
    history = faults.world.helm(["history", "same-image", "--namespace", faults.namespace])
    assert "openab-0.9.0-same-image.1" in history
    assert faults.seen("same-image").image == "openab.local/openab:0.8.1"
