"""What a values file says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from history.cases import Case, HeaderError, read
from openab_sop.targets.version import Version

TEXT = """\
# Words that mean nothing: here.
# versions: >=0.6.0 <0.8.1-beta.4
# release: mybot
# files: notes.txt .kiro/own
agents: {}
# release: not-in-the-head
"""


def test_the_head_is_read_and_nothing_below_it() -> None:
    case = Case.parse("x", TEXT.replace("# Words that mean nothing: here.", "# Words that mean nothing."))
    assert (case.release, case.files, case.values) == ("mybot", ("notes.txt", ".kiro/own"), {"agents": {}})


@pytest.mark.parametrize(
    ("version", "fits"),
    [("0.5.9", False), ("0.6.0-beta.1", False), ("0.6.0", True), ("0.8.1-beta.3", True), ("0.8.1-beta.4", False)],
)
def test_bounds_are_those_of_semver(version: str, fits: bool) -> None:
    case = Case.parse("x", "# versions: >=0.6.0 <0.8.1-beta.4\nagents: {}\n")
    assert case.fits(Version.parse(version)) is fits


def test_without_a_head_every_version_fits_and_the_release_is_openab() -> None:
    case = Case.parse("x", "agents: {}\n")
    assert (case.release, case.fits(Version.parse("0.1.1")), case.files) == ("openab", True, ())


@pytest.mark.parametrize("head", ["# version: >=0.6.0", "# versions: 0.6.0", "# versions: >0.6.0"])
def test_a_head_that_is_misspelt_is_no_head_that_fits_everything(head: str) -> None:
    with pytest.raises(HeaderError, match="x"):
        Case.parse("x", f"{head}\nagents: {{}}\n")


def test_our_own_values_files_are_read() -> None:
    cases = read(Path(__file__).resolve().parents[3] / "history" / "values")
    assert len({case.text for case in cases}) == len(cases) > 20
