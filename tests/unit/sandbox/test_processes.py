"""Processes are found again, and ended, by their record, or without it by their mark; never by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox import SandboxError, wait
from sandbox.processes import Process, Records

SLEEP = ("sleep", "600")


@pytest.fixture
def records(tmp_path: Path):
    found = Records(tmp_path / "records")
    yield found
    found.kill_all()


def test_a_process_is_found_by_another_reader_until_it_is_killed(records: Records, tmp_path: Path) -> None:
    started = records.start("sleeper", SLEEP, tmp_path / "log")

    assert Records(records.directory).find("sleeper") == started
    started.kill()
    assert Records(records.directory).find("sleeper") is None


def test_a_process_without_its_record_is_ended_too(records: Records, tmp_path: Path) -> None:
    started = records.start("sleeper", SLEEP, tmp_path / "log")
    (records.directory / "sleeper.json").unlink()

    records.kill_all()

    assert not started.alive()


def test_a_process_that_ends_its_parents_session_is_ended_too(records: Records, tmp_path: Path) -> None:
    script = "import os, subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    records.start("parent", (sys.executable, "-c", script), tmp_path / "log")
    wait.until("the child", lambda: (tmp_path / "log").read_text() != "", timeout=10, next_step="")
    child = Path(f"/proc/{int((tmp_path / 'log').read_text())}/stat")
    assert _runs(child)

    records.kill_all()

    assert not _runs(child)


def test_a_record_cut_short_is_no_process(records: Records) -> None:
    records.directory.mkdir()
    (records.directory / "sleeper.json").write_text('{"name": "sle')

    assert records.load() == []


def test_a_pid_used_again_by_another_process_is_not_ours(records: Records, tmp_path: Path) -> None:
    started = records.start("sleeper", SLEEP, tmp_path / "log")

    assert not Process("old", started.pid, started.started - 1, SLEEP, "").alive()


def test_others_processes_are_left_alone(records: Records, tmp_path: Path) -> None:
    others = Records(tmp_path / "others")
    bystander = others.start("sleeper", SLEEP, tmp_path / "other-log")
    records.start("sleeper", SLEEP, tmp_path / "log")

    records.kill_all()

    assert bystander.alive()
    others.kill_all()


def test_waiting_for_a_process_that_died_ends_at_once_with_its_last_words(records: Records, tmp_path: Path) -> None:
    started = records.start("talker", (sys.executable, "-c", "raise SystemExit('no disk')"), tmp_path / "log")

    with pytest.raises(SandboxError, match="talker has died\n    no disk"):
        wait.until("an answer", lambda: False, timeout=30, check=started.require_alive, next_step="")


def test_the_log_of_the_run_before_is_kept(records: Records, tmp_path: Path) -> None:
    for word in ("first", "second"):
        process = records.start("talker", ("echo", word), tmp_path / "talker.log")
        wait.until("its end", lambda process=process: not process.alive(), timeout=10, next_step="")

    assert (tmp_path / "talker.log").read_text() == "second\n"
    assert (tmp_path / "talker.before.log").read_text() == "first\n"


def test_logs_are_private(records: Records, tmp_path: Path) -> None:
    records.start("sleeper", SLEEP, tmp_path / "log")

    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_a_wait_without_success_ends_at_its_deadline() -> None:
    with pytest.raises(SandboxError, match="rain did not happen within 0 s"):
        wait.until("rain", lambda: False, timeout=0.2, next_step="wait for autumn")


def _runs(stat: Path) -> bool:
    """Whether the process is more than a zombie that its new parent has not yet looked at."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
