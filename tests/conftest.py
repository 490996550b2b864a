"""What every run of the tests has: a check for the programs that they need, a line of progress, costs by option."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.again import Again
from tests.costs import Costs
from tests.progress import Progress
from tests.tools import missing

LONGEST = (
    "test_upgrade",
    "test_upgrade_kill",
    "test_versions",
    "test_harms",
    "test_rebuild",
    "test_restore",
    "test_upgrade_faults",
    "test_rehearsal",
    "test_new_shape",
    "test_line",
    "test_campaign",
    "test_rehearsal_place",
    "test_waiting",
    "test_elsewhere",
    "test_bad_input",
    "test_health",
    "test_target",
    "test_agent",
)
"""Modules that take minutes, the longest first: begun last, one of them would keep a single worker busy at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tests of openab-sop")
    group.addoption(
        "--costs", metavar="DIR", type=Path, help="record what each test costs; read by python -m tests.costs"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name what is missing before the first test, not in the middle of the fortieth."""
    worker = hasattr(config, "workerinput")
    if not worker and (named := missing([Path(argument.partition("::")[0]) for argument in config.args])):
        raise pytest.UsageError(f"the tests need: {' '.join(named)}\n  next: scripts/test-tools")
    if directory := config.getoption("costs"):
        config.pluginmanager.register(Costs(directory), "tests-costs")
    if not worker:
        config.pluginmanager.register(Again(), "tests-again")
    if not worker and config.getoption("numprocesses", None):
        config.pluginmanager.register(Progress(config), "tests-progress")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first; the order within a module stays."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
