"""The docs are true: their tables are those of the code; what they link to, quote and tell to type is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from openab_sop.command import STATUSES
from openab_sop.options import FLAGS, OPTIONS
from openab_sop.plans.rules import SUBJECTS
from openab_sop.rehearsals import rules as rehearsal_rules
from openab_sop.status import Status
from tests.tables import TABLES, steps

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
NOT_OURS = {
    "--all-namespaces",
    "--audit",
    "--cases",
    "--costs",
    "--deselect",
    "--dist",
    "--help",
    "--kinds",
    "--least",
    "--lf",
    "--no-loadscope-reorder",
    "--numprocesses",
    "--print-completion",
    "--paper",
    "--proposed",
    "--replicas",
    "--rollback-on-failure",
    "--version",
}
"""Options of other programs that the docs name."""
OURS = {option.flag for option in OPTIONS} | set(FLAGS)
RULES = {rule.name for found in (*SUBJECTS.values(), rehearsal_rules.EVERY) for rule in found}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_a_table_is_that_of_the_code(path: Path) -> None:
    assert path.read_text() == TABLES[path](), "write it anew: python -m tests.tables"


def test_a_step_is_named_by_stage_and_number_alone() -> None:
    """ "plan 3.1 did not pass" must not point at eleven."""
    titles = [f"{stage} {number}" for stage, number, _ in steps()]
    assert len(titles) > 100
    assert {title for title in titles if titles.count(title) > 1} == set()


@pytest.mark.parametrize("path", DOCS, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text()):
        there = path.parent / target if target else path
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs" / "guarantees.md"], ids=named)
def test_every_promise_names_a_test_that_is_there(path: Path) -> None:
    tests = "\n".join(file.name + "\n" + file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    quoted = re.findall(r"`(test_\w+(?:\.py|\.\.\.)?)`", path.read_text())
    assert quoted
    assert [name for name in quoted if name.removesuffix("...") not in tests] == []


@pytest.mark.parametrize("path", DOCS, ids=named)
def test_every_option_and_stage_is_there(path: Path) -> None:
    text = path.read_text()
    stages = {name for name in re.findall(r"suites/([a-z]+)(?![a-z_])", text) if not (ROOT / "suites" / name).is_dir()}
    typed = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))
    assert (stages, typed - OURS - NOT_OURS) == (set(), set())


def test_every_exit_status_is_explained() -> None:
    explained = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {int(word) for word in explained} == {0, *Status}


def test_the_command_tells_the_exit_statuses_of_the_readme() -> None:
    explained = re.findall(r"^\| ([\d-]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert list(STATUSES) == explained


def test_every_message_that_is_explained_is_one_of_ours() -> None:
    """What stands for something else in it (a capital, three dots) is left out."""
    files = (file for room in ("openab_sop", "fixtures") for file in (ROOT / room).rglob("*.py"))
    sources = re.sub(r'"\s*f?"', "", " ".join(file.read_text() for file in files))
    rows = re.findall(r"^\| (`[^|]+) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    for message in (word for row in rows for word in re.findall(r"`([^`]+)`", row)):
        pieces = [piece.strip() for piece in re.split(r"\b[A-Z]+\b|\.\.\.", message)]
        assert message in RULES or all(piece in sources for piece in pieces), message


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-") for title in titles}


COMMAND = re.compile(r"pytest (suites(?:/\w+)?)((?: +--[\w-]+(?:=[^\s`|]*)?)*)")
WHERE = {"--namespace", "--context", "--backup-root", "--help"}
"""Options that say where, which every test on the node has from its fixtures, and the one that acts nowhere."""
ON_THE_NODE = [path.read_text() for path in sorted((ROOT / "tests" / "integration" / "suites").glob("test_*.py"))]


@pytest.mark.parametrize("path", DOCS, ids=named)
def test_every_command_is_run_on_the_node(path: Path) -> None:
    """A module of tests there runs the stage, or the whole procedure, and has each of the options."""
    for stage, options in COMMAND.findall(path.read_text()):
        wanted = set(re.findall(r"--[\w-]+", options)) - WHERE
        run = (text for text in ON_THE_NODE if f'"{stage}"' in text or '"suites"' in text)
        assert any(wanted <= set(re.findall(r"--[a-z][\w-]+", text)) for text in run), f"{stage} {options}"


def test_the_site_has_every_page_and_no_dead_link(tmp_path: Path) -> None:
    """As ``make docs`` builds it, with each warning an error; a page that no chapter has is one too."""
    built = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", tmp_path], capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stderr
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in tmp_path.glob("site/*.html")}
