"""What every run of the tests has: a check for the programs that they need, a line of progress, costs by option."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.again import Again
from tests.costs import Costs
from tests.progress import Progress
from tests.tools import missing


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
