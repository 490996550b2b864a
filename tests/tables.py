"""The tables of the docs that stand in the code: steps, options, rules. ``python -m tests.tables`` writes them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fixtures.steps import SUITES, numbered
from openab_sop.options import FLAGS, OPTIONS, Option
from openab_sop.plans import rules as plan_rules
from openab_sop.rehearsals import rules as rehearsal_rules
from openab_sop.rule import Rule
from openab_sop.stages import STAGES, Stage

DOCS = Path(__file__).resolve().parents[1] / "docs"


def options() -> str:
    """Return every option, as Markdown."""
    rows = [_option(option) for option in OPTIONS]
    flags = [f"| `{flag}` | {_cell(text)} |" for flag, text in FLAGS.items()]
    return "\n".join(
        (
            "# Options",
            "",
            "Generated from `openab_sop/options.py` by `python -m tests.tables`. `openab-sop --help` and",
            "`pytest suites --help` print the same.",
            "",
            "The command line wins over the environment, that over `[tool.pytest.ini_options]`. Those with (several)",
            "take a list separated by commas, or are given more than once.",
            "",
            "| option | environment | default | what it is |",
            "|---|---|---|---|",
            *rows,
            "",
            "Without a value, on the command line only:",
            "",
            "| option | what it does |",
            "|---|---|",
            *flags,
            "",
        )
    )


def rules() -> str:
    """Return every rule of plan and rehearsal, as Markdown."""
    lines = [
        "# Rules",
        "",
        "Generated from the rules by `python -m tests.tables`. A finding that blocks ends the run before anything is",
        "changed; `--accept=RULE:NAME --reason=TEXT` accepts one finding. The others are reported.",
        "",
        "## Plan",
    ]
    for subject, found in plan_rules.SUBJECTS.items():
        lines += ["", f"### {subject.capitalize()}", "", *_rules(found)]
    lines += ["", "## Rehearsal", "", *_rules(rehearsal_rules.EVERY), ""]
    return "\n".join(lines)


def procedure() -> str:
    """Return every step of every stage, in the order that they run in, as Markdown."""
    lines = [
        "# The procedure",
        "",
        "Generated from `suites/` by `python -m tests.tables`. The number is that of the SOP; a letter follows if one",
        "number takes several steps of a stage. Report, journal, junit file and messages name a step by stage and",
        'number, such as "plan 3.1c".',
    ]
    for stage in STAGES:
        lines += ["", f"## {stage.name}"]
        for about, found in _modules(stage):
            rows = (f"| {number} | {_cell(what)} |" for number, what in found)
            lines += ["", about, "", "| | step |", "|---|---|", *rows]
    return "\n".join((*lines, ""))


def steps() -> Iterator[tuple[str, str, str]]:
    """Yield stage, number and text of every step, in the order that they run in."""
    for stage in STAGES:
        for _, found in _modules(stage):
            yield from ((stage.name, *step) for step in found)


def _modules(stage: Stage) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what each module of a suite says of itself, and its steps: number and text."""
    for path in sorted((SUITES / stage.name).glob("test_*.py")):
        module = ast.parse(path.read_text())
        tests = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        found = [step for test in tests if (step := numbered(ast.get_docstring(test) or ""))]
        yield " ".join((ast.get_docstring(module) or "").split()), found


def _rules(found: Iterable[Rule[Any]]) -> list[str]:
    rows = (f"| `{rule.name}` | {rule.severity} | {_cell(_seen(rule))} | {_cell(rule.why)} |" for rule in found)
    return ["| rule | | what is seen | why it matters |", "|---|---|---|---|", *rows]


def _seen(rule: Rule[Any]) -> str:
    return " ".join((rule.judge.__doc__ or "").partition("\n\n")[0].split())


def _option(option: Option) -> str:
    several = " (several)" if option.many else ""
    default = f"`{option.default}`" if option.default else ""
    variable = "" if option.help.endswith("(typed only)") else f"`{option.variable}`"
    return f"| `{option.flag}={option.metavar}`{several} | {variable} | {default} | {_cell(option.help)} |"


def _cell(text: str) -> str:
    text = text.replace("|", "\\|")
    return text[:1].upper() + text[1:]


TABLES = {DOCS / "options.md": options, DOCS / "rules.md": rules, DOCS / "sop.md": procedure}


if __name__ == "__main__":
    for path, table in TABLES.items():
        path.write_text(table())
