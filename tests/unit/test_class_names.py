"""A class has a name of its own: no other in the library, the plugins, the reports and the suites has it (issue 16)."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("openab_sop", "fixtures", "reports", "suites")


def sources() -> Iterator[str]:
    return (path.read_text() for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py")))


def shared(texts: Iterable[str]) -> list[str]:
    """Return the names that more than one class of some modules has, also of one inside another."""
    trees = (ast.walk(ast.parse(text)) for text in texts)
    counts = Counter(node.name for tree in trees for node in tree if isinstance(node, ast.ClassDef))
    return sorted(name for name, count in counts.items() if count > 1)


def test_no_two_classes_share_a_name() -> None:
    assert not shared(sources())


def test_the_rule_sees_a_name_twice() -> None:
    assert shared(["class One: ...", "class Other:\n    class One: ..."]) == ["One"]
    assert len(list(sources())) > 100
