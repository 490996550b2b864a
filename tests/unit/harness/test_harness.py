"""What every run of the tests has, tried on a small project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.costs import read, tables
from tests.integration import evidence
from tests.tools import missing
from tests.unit.fixtures.project import ROOT, Project

HARNESS = ("conftest.py", "again.py", "costs.py", "progress.py", "tools.py", "tools.txt")
CACHE = ("-p", "cacheprovider")
SLOW = """
import time
import pytest

@pytest.fixture(scope="module")
def prepared():
    time.sleep(0.6)

@pytest.mark.parametrize("number", range(4))
def test_slow(prepared, number):
    time.sleep(0.3)
    assert number != 2
"""


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A checkout with the tests' own plugins and one module of tests."""
    (tmp_path / "checkout").mkdir()
    project = Project.make(tmp_path / "checkout")
    (project.directory / "tests").mkdir()
    for name in HARNESS:
        shutil.copy(ROOT / "tests" / name, project.directory / "tests" / name)
    project.write("tests/test_small.py", SLOW)
    return project


def test_a_missing_program_is_named_before_the_first_test(small: Project, tmp_path: Path) -> None:
    small.write("tests/test_judged.py", 'def test_judged():\n    command = ["rsync", "-a"]\n    assert not command\n')
    (tmp_path / "bin").mkdir()
    for arguments in (("tests",), ("tests", "--numprocesses=2"), ("tests/test_judged.py::test_judged",)):
        run = small.run(*arguments, env={"PATH": str(tmp_path / "bin")})
        assert run.status == 4
        assert "the tests need: rsync\n  next: scripts/test-tools" in run.output
        assert "test_judged" not in run.output.replace("test_judged.py", "")


def test_only_what_the_named_tests_start_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_one.py").write_text('["rsync", "-a"]')
    (tmp_path / "test_two.py").write_text('["sqlite3"]')
    (tmp_path / "helper.py").write_text('["diff"]')
    monkeypatch.setenv("PATH", "")
    assert missing([tmp_path / "test_one.py"]) == ["rsync", "diff"]
    assert missing([tmp_path]) == ["rsync", "sqlite3", "diff"]


def test_each_program_of_the_list_is_started_by_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert missing([ROOT / "tests"]) == (ROOT / "tests" / "tools.txt").read_text().split()


def test_a_line_of_progress_tells_how_far_the_run_is(small: Project) -> None:
    small.write(
        "tests/progress.py", (small.directory / "tests/progress.py").read_text().replace("EVERY = 20.0", "EVERY = 0.2")
    )
    run = small.run("tests", "--numprocesses=1")
    lines = re.findall(r"^ +0:\d\d +(\d+) %  (\d) of 4(, 1 failed)?  now: (.+)$", run.output, re.MULTILINE)
    assert [int(done) for _, done, _, _ in lines] == sorted(int(done) for _, done, _, _ in lines)
    assert len(lines) >= 3, run.output
    assert any(re.fullmatch(r"test_small.py::test_slow\[0\] \(\d s\)", now) for *_, now in lines), run.output
    assert lines[-1][2] == ", 1 failed"
    assert "1 failed, 3 passed" in run.output


def test_without_workers_there_are_dots_as_ever(small: Project) -> None:
    assert "..F." in small.run("tests").output


def test_what_needs_a_second_try_is_named(small: Project) -> None:
    assert small.run("tests", *CACHE).status == 1
    assert again(small) == (0, "needs a second try: tests/test_small.py::test_slow[2]\n")
    small.write("tests/test_small.py", "def test_fast(): pass")
    assert small.run("tests", *CACHE).status == 0
    assert again(small) == (1, ""), "nothing does"


def test_a_run_that_ended_otherwise_gets_no_second_try(small: Project) -> None:
    """What it did not run would never be run."""
    small.write("tests/test_zero.py", "import os, signal\n\ndef test_ends_all(): os.kill(os.getpid(), signal.SIGINT)\n")
    assert small.run("tests", *CACHE).status == 2
    assert again(small) == (1, "")


def again(project: Project) -> tuple[int, str]:
    """Ask which tests need a second try."""
    command = [sys.executable, "-m", "tests.again"]
    done = subprocess.run(command, cwd=project.directory, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_costs_are_recorded_by_test_and_by_shared_set_up(small: Project, tmp_path: Path) -> None:
    small.run("tests", f"--costs={tmp_path / 'costs'}")
    costs = {cost.what: cost for cost in read(tmp_path / "costs")}
    first, second = (costs[f"tests/test_small.py::test_slow[{number}]"] for number in (0, 1))
    assert first.wall >= 0.9, "its module's set-up is in it"
    assert 0.3 <= second.wall < first.wall
    assert second.waited == pytest.approx(0.3)
    assert costs["tests/test_small.py: prepared (module)"].wall >= 0.6
    table = tables(list(costs.values()))
    assert "| tests/test_small.py (4 tests) |" in table
    assert table.index("test_slow[0]") < table.index("test_slow[1]")


def test_a_failure_leaves_what_the_node_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    monkeypatch.setattr(evidence, "_reports", [])  # those of the node tests that ran in this process
    monkeypatch.setattr(evidence, "_namespaces", {})
    asked: list[tuple[str, ...]] = []

    def kubectl(*words: str) -> str:
        asked.append(words)
        if "logs" in words:
            raise OSError("no route")
        return "pod/one\n" if words[-1] == "--output=name" else "answer"

    with evidence.watched("space", kubectl):
        kept = evidence.collect("tests/integration/test_x.py::test_y[a/b]", "assert 1 == 2")
    gone = evidence.collect("tests/integration/test_x.py::test_z", "")
    assert (kept / "failure.txt").read_text() == "assert 1 == 2"
    assert {file.name for file in (kept / "space").iterdir()} == {
        "objects.txt",
        "objects.yaml",
        "events.txt",
        "pods.txt",
        "one.log",
        "one.previous.log",
    }
    assert (kept / "space" / "one.log").read_text() == "OSError: no route"
    assert all(words[:2] == ("--namespace", "space") for words in asked)
    assert [file.name for file in gone.iterdir()] == ["failure.txt"], "a namespace that is gone is not asked"
