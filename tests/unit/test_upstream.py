"""What the product knows of OpenAB stands in one package: when upstream changes, only that one changes (issue 15)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop.upstream.images import FLAVOURS

LIBRARY = Path(__file__).resolve().parents[2] / "openab_sop"
ORDINARY = {"native", "pi", "cursor"}
"""Flavours whose names are words of other things too."""
WORDS = (*sorted(set(FLAVOURS) - ORDINARY), "agent-broker", "openabdev", "configToml", "secretEnv", "cronjob.toml")
_WORD = re.compile(rf"(?i)\b(?:{'|'.join(map(re.escape, WORDS))})\b")


def said(source: str) -> Iterator[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def elsewhere() -> list[Path]:
    return [path for path in sorted(LIBRARY.rglob("*.py")) if "upstream" not in path.parts]


@pytest.mark.parametrize("path", elsewhere(), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_words_of_openab_stand_in_one_package(path: Path) -> None:
    assert not [text for text in said(path.read_text()) if _WORD.search(text)]


def test_the_rule_sees_a_word() -> None:
    assert [text for text in said('"""Of claude."""\nPLACE = "/.claude/x.json"') if _WORD.search(text)] == [
        "/.claude/x.json"
    ]
