"""A line of progress in place of dots: how far the run is, what has failed, what is being tried now."""

from __future__ import annotations

import threading
import time

import pytest

EVERY = 20.0
"""Seconds between two lines."""


class Progress:
    """Counts what ends, in the process that distributes the tests, and tells it every so often."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._all = self._done = self._failed = 0
        self._running: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def pytest_sessionstart(self) -> None:
        self._thread.start()

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._all = len(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots: a passed test is counted, and told by the next line."""
        return ("passed" if report.when == "call" else "", "", "") if report.passed else None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed += report.failed

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)
        self._done += 1

    def pytest_sessionfinish(self) -> None:
        self._ended.set()

    def line(self, now: float) -> str:
        """Return what is to be told at a moment of the monotonic clock, in seconds."""
        minutes, seconds = divmod(int(now - self._began), 60)
        percent = 100 * self._done // self._all if self._all else 0
        oldest = sorted(self._running.items(), key=lambda entry: entry[1])
        running = "; ".join(f"{_short(nodeid)} ({now - begun:.0f} s)" for nodeid, begun in oldest)
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{minutes:3d}:{seconds:02d}  {percent:3d} %  {self._done} of {self._all}{failed}  now: {running or '-'}"

    def _tell(self) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        assert isinstance(terminal, pytest.TerminalReporter)
        while not self._ended.wait(EVERY):
            if self._all:
                terminal.ensure_newline()
                terminal.write_line(self.line(time.monotonic()))
                terminal.flush()


def _short(nodeid: str) -> str:
    """A test's name with its module's, without directories."""
    path, _, test = nodeid.partition("::")
    return f"{path.rpartition('/')[2]}::{test}"
