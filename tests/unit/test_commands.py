"""A command that is to be pasted is built by ``escape.command``, wherever a name stands in it (issue 14)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.unit.test_layers import ROOT, modules

VALUE, MADE = "\0", "\1"
"""What stands for a value, and for what ``command`` has made."""
_KUBECTL = (
    "annotate|apply|auth|cp|create|delete|describe|edit|exec|get|label|logs|patch|rollout|run|scale|version|wait|--?\\w"
)
_HELM = "get|history|install|lint|list|pull|registry|repo|rollback|show|status|template|uninstall|upgrade"
UNQUOTED = re.compile(
    rf"\b(?:kubectl (?:{_KUBECTL})|helm (?:{_HELM}) |flux (?:suspend|resume)|argocd|pytest suites|pytest -"
    rf"|(?:chmod|chown|cp|mv|rm|mkdir|cat|ls|age|gpg) -?[\w+]*)[^;{MADE}]*{VALUE}"
    rf"|(?:or|with|then|run|step|by|:) (?:--[a-z][a-z-]+=){VALUE}"
)
"""A value behind the name of a program, in the same command; or in an option that is advised."""


def texts(tree: ast.AST) -> dict[int, str]:
    """Return by line each text that has values in it, however it is put together."""
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found[node.lineno] = "".join(map(_piece, node.values))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if isinstance(node.func.value, ast.Constant):
                found[node.lineno] = re.sub(r"\{\w*\}", VALUE, str(node.func.value.value))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
            found[node.lineno] = re.sub(r"%[srd]", VALUE, str(node.left.value))
    return found


def _piece(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    called = part.value.func if isinstance(part.value, ast.Call) else None
    return MADE if isinstance(called, ast.Name) and called.id == "command" else VALUE


def unquoted(source: str) -> list[int]:
    """Return the lines of texts in which a value stands in a command as it is."""
    return sorted(line for line, text in texts(ast.parse(source)).items() if UNQUOTED.search(text))


@pytest.mark.parametrize("layer", ["openab_sop", "fixtures", "suites"])
def test_no_value_stands_unquoted_in_a_command(layer: str) -> None:
    wrong = {str(path.relative_to(ROOT)): lines for path in modules(layer) if (lines := unquoted(path.read_text()))}
    assert not wrong, "build it by shown.command"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('f"kubectl -n {namespace} get pods"', [1]),
        ('f"look at it: kubectl get pods {name}"', [1]),
        ('f"helm history {name}"', [1]),
        ('f"pytest suites/restore --backup={place} goes on"', [1]),
        ('f"chmod 600 {file}"', [1]),
        ('f"choose it with --namespace={name}"', [1]),
        ('"kubectl annotate pvc {claim} x".format(claim=claim)', [1]),
        ('"helm get manifest %s" % name', [1]),
        ("f\"{command('kubectl', 'get', name)} shows {what}\"", []),
        ('f"kubectl is {kubectl}, and the cluster {server}"', []),
        ('f"kubectl get pods; then look at {name}"', []),
        ('f"--values={file} is no YAML"', []),
    ],
)
def test_the_search_sees_them(source: str, lines: list[int]) -> None:
    assert unquoted(source) == lines


def test_the_search_reads_whole_modules(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('x = 1\n\ndef f(a):\n    return (\n        "kubectl -n "\n        f"{a} get"\n    )\n')
    assert unquoted(path.read_text()) == [5]
