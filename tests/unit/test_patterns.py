"""Each pattern of the library and the plugins is linear in its text, whoever has written that (issue 14)."""

from __future__ import annotations

import re

import pytest

from tests.unit.patterns import Named, composed, faster_than_its_text, patterns

COMPOSED = {
    "openab_sop/backups/schema.py:_matches",  # the patterns of the table below it, of bounded texts
    "openab_sop/plans/rules/configuration.py:variable_gone",  # a name between two word ends
    "openab_sop/redact.py:_pattern",  # a choice of texts
    "openab_sop/rehearsals/secret_scanner.py:__init__",  # a choice of bytes; the kinds before it are tried here
    "openab_sop/rollouts/logs.py:_compiled",  # what the operator has given; our own are tried here
    "openab_sop/targets/notes.py:_lifted",  # a choice of words
}
"""Functions that put a pattern together."""


def named(pattern: str) -> Named:
    return Named("here", re.compile(pattern), frozenset({"search"}))


def test_every_pattern_takes_no_more_than_in_proportion() -> None:
    found = {pattern.where: how for pattern in patterns() if (how := faster_than_its_text(pattern))}
    assert not found


def test_every_pattern_is_known() -> None:
    assert set(composed()) == COMPOSED


@pytest.mark.parametrize(
    "pattern", [r"\b[\w.-]*token[\w.-]*=", r"\beyJ[\w-]{10,}\.x", r"(a|aa)+$", r"(?m)^\s*next: .", r"\d+ apples"]
)
def test_a_pattern_that_is_not_linear_is_found(pattern: str) -> None:
    assert faster_than_its_text(named(pattern))


@pytest.mark.parametrize("pattern", [r"(?<!\d)\d++ apples", r"(?m)^[^\w\n]*+true$", r"x{1,30}y", r"<!--.*?(?:-->|\Z)"])
def test_a_pattern_that_is_linear_is_let_pass(pattern: str) -> None:
    assert not faster_than_its_text(named(pattern))
