"""What a run tells: on the page, in junit.xml, in plain text and on a terminal."""

from __future__ import annotations

import html
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.conftest import ROOT, Suites
from tests.integration.suites.conftest import QUIET, BackedUp
from world import World

STEPS = {
    *("0.1", "0.2", "0.3", "0.4", "0.5"),
    *("1.1", "1.2", "1.3", "1.9"),
    *("2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.9", "2.10"),
}
"""The procedure's numbers that these three stages must cover."""
KNOWN = {"Passed", "Failed", "Skipped", "Error"}
"""Results that the page's script shows; it drops rows of any other."""


@pytest.fixture
def rows(quiet_backup: BackedUp) -> list[list[str]]:
    """The cells of the page's table as text: result, stage, step, what, duration."""
    return page_rows(quiet_backup.run.html)


def page_rows(page: str) -> list[list[str]]:
    """The table of a report, from the data that its script renders."""
    blob = re.search(r'data-jsonblob="([^"]*)"', page)
    assert blob
    tests: dict[str, list[dict[str, Any]]] = json.loads(html.unescape(blob[1]))["tests"]
    return [[text_of(cell) for cell in result["resultsTableRow"]] for results in tests.values() for result in results]


def text_of(cell: str) -> str:
    """The text of a table's cell."""
    return html.unescape(re.sub(r"<[^>]+>", "", cell)).strip()


def test_rows_are_the_procedure(quiet_backup: BackedUp, rows: list[list[str]]) -> None:
    """Each step has one row, in the procedure's order, with a result that the page shows."""
    (begins,) = (event for event in quiet_backup.run.journal if event["event"] == "run begins")
    assert [f"{stage} {number}" for _, stage, number, *_ in rows] == begins["steps"]
    assert list(dict.fromkeys(row[1] for row in rows)) == ["readiness", "preparation", "backup"]
    assert {row[0] for row in rows} <= KNOWN
    assert all(what and re.fullmatch(r"\d+\.\d s", duration) for *_, what, duration in rows)


def test_every_number_is_covered(rows: list[list[str]]) -> None:
    """No step of the procedure is missing; some rows stand for two."""
    assert set(re.findall(r"\d+\.\d+", " ".join(f"{number} {what}" for _, _, number, what, _ in rows))) >= STEPS


def test_summary(quiet_backup: BackedUp) -> None:
    """Verdict, cluster, release, version, backup and what to type next are at the top."""
    table = re.search(r"<table id='summary'[^>]*>(.*?)</table>", quiet_backup.run.html)
    assert table
    found = dict(re.findall(r"<tr><td>([^<]+)</td><td>([^<]+)</td></tr>", table[1]))
    assert found["verdict"] == "passed"
    assert quiet_backup.namespace in found["release"]
    assert "0.8.1" in found["version"]
    assert found["backup"] == str(quiet_backup.directory)
    assert str(quiet_backup.directory) in found["next"]


def test_page_needs_nothing_else(quiet_backup: BackedUp) -> None:
    """The page is one file: no script, style or image comes from elsewhere."""
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?!")[^"]+"', quiet_backup.run.html) == []


def test_junit_has_the_same_steps(quiet_backup: BackedUp, rows: list[list[str]]) -> None:
    """junit.xml has a case for each row, and none failed."""
    suite = ElementTree.parse(quiet_backup.run.report / "junit.xml").getroot()[0]
    assert len(suite.findall("testcase")) == len(rows)
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")


def test_plain_lines_without_a_terminal(quiet_backup: BackedUp, rows: list[list[str]]) -> None:
    """In a file or in CI: one line for each step as it ends, no colours, nothing rewritten."""
    output = quiet_backup.run.output
    assert "\x1b" not in output
    assert "\r" not in output
    lines = [
        line.split(maxsplit=3) for line in output.splitlines() if re.match(r" *(passed|not needed) +\w+ +\d", line)
    ]
    assert len(lines) == len(rows)


def test_progress_on_a_terminal(suites: Suites, world: World, namespace: str) -> None:
    """On a terminal: a line that is rewritten, with bytes, rate and remaining time; gone when the step ends."""
    world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {**world.agent_values(), "env": QUIET}}})
    world.fill_home(namespace, "openab-kiro", "random", size=300 << 20)
    shown = "".join(on_terminal(suites, "suites/backup", f"--namespace={namespace}"))
    progress = re.findall(r"openab-kiro: (\d+) of about (\d+) MiB, [\d.]+ MiB/s, (\d+) s left", shown)
    assert len(progress) >= 2, shown
    done, expected, _ = zip(*progress, strict=True)
    assert [int(text) for text in done] == sorted(int(text) for text in done)
    assert set(expected) == {expected[0]}
    assert 300 <= int(expected[0]) < 310
    assert "\x1b[32m" in shown
    last = shown[shown.index("Copy the whole home of each agent") :]
    assert "MiB/s" not in last[last.index("\n") :]


def on_terminal(suites: Suites, *arguments: str) -> Iterator[str]:
    """What a suite writes to a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    env = {**suites.env, "TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen(
        suites.argv(*arguments), cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        with suppress(OSError):  # the terminal's other end is closed
            while data := os.read(ours, 1 << 16):
                yield data.decode(errors="replace")
        os.close(ours)
    assert process.returncode == 0
