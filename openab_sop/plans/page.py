"""The plan as a page for people: findings first, then old and new of each object side by side, secrets masked."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import HtmlDiff, unified_diff
from html import escape
from typing import cast

from openab_sop import policy
from openab_sop.objects import Object, as_yaml, part
from openab_sop.plans.judgement import PlanJudgement
from openab_sop.plans.plan import Plan
from openab_sop.redact import MASK, mask
from openab_sop.rule import RuleFinding

WIDTH = 76
"""Characters of a line before it is broken."""
PAIRS = 2500
"""Pairs of a changed line of the one side and one of the other that are compared letter by letter in an object;
``difflib`` takes cubic time for them, 53 s for 400 lines of each."""
LETTERS = 1_000_000
"""The same in characters: about 2 s at worst."""
ALL_LETTERS = 10 * LETTERS
"""In all objects together."""
LINES = 2000
"""Lines of an object that are compared at all."""
LONGEST = 300
"""Characters of a line that are shown where lines are compared as they are."""
_STYLE = """
body { font-family: sans-serif; max-width: 110em; margin: 1em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { border: 1px solid #ccc; padding: .3em .5em; text-align: left;
vertical-align: top } .blocks { background: #fdd } .warns { background: #ffd } .accepted { background: #eef }
table.diff { font-family: monospace; font-size: 85% } td.diff_header { color: #888; text-align: right }
.diff_next { display: none } .diff_add { background: #cfc }
.diff_chg { background: #ffb } .diff_sub { background: #fcc }
pre.diff { background: #f8f8f8; padding: .5em; overflow-x: auto; font-size: 85% }
summary { cursor: pointer; font-family: monospace; margin: .5em 0 }
"""


def page(judgement: PlanJudgement) -> str:
    """Return a self-contained HTML page; it holds no value of a Secret, and nothing that was learned to be secret."""
    first = judgement.plans[0]
    title = mask(f"Plan: {first.release} from {first.current.version} to {_targets(judgement)}")
    findings = "".join(map(_row, judgement.findings)) or "<tr><td colspan='5'>nothing was found</td></tr>"
    head = "".join(f"<th>{name}</th>" for name in ("Finding", "Observed", "Expected", "Why it hurts", "Next"))
    objects = "".join(map(_objects, judgement.plans))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>{policy.meta(styles=[_STYLE])}"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p>{escape(judgement.summary)}</p>"
        f"<table id='findings'><tr>{head}</tr>{findings}</table>{objects}</body></html>\n"
    )


def _targets(judgement: PlanJudgement) -> str:
    return ", then ".join(str(plan.target.version) for plan in judgement.plans)


def _row(rule_finding: RuleFinding) -> str:
    kind = "accepted" if rule_finding.accepted else str(rule_finding.rule.severity)
    said = f"accepted: {rule_finding.accepted}" if rule_finding.accepted else str(rule_finding.rule.severity)
    finding = rule_finding.finding
    cells = (
        f"{rule_finding.id}\n{said}\n{', '.join(rule_finding.versions)}",
        finding.observed,
        finding.expected,
        rule_finding.rule.why,
        finding.next_step,
    )
    row = "".join(f"<td>{escape(mask(cell)).replace(chr(10), '<br>')}</td>" for cell in cells)
    return f"<tr class='{kind}'>{row}</tr>"


def _objects(plan: Plan) -> str:
    """Every object that differs, side by side: deleted ones have no right side, new ones no left."""
    parts = [f"<h2>{escape(str(plan.current.version))} and {escape(str(plan.target.version))}</h2>"]
    comparing = _Comparing()
    for key in {**plan.old, **plan.new}:
        old, new = _lines(plan.old.get(key), plan.new.get(key))
        if old == new:
            continue
        what = "is kept" if key not in plan.new and not plan.is_deleted(key) else "is deleted"
        how = "changes" if old and new else "is new" if new else what
        table = comparing.table(old, new)
        parts.append(f"<details open><summary>{escape(mask(' '.join(key)))} {how}</summary>{table}</details>")
    return "".join(parts)


@dataclass
class _Comparing:
    """Compares objects in little time, whatever a chart has written into them (issue 14)."""

    left: int = ALL_LETTERS

    def table(self, old: list[str], new: list[str]) -> str:
        """Return both sides: by letters if that is quick, else by lines."""
        if self._is_quick(old, new):
            return HtmlDiff(wrapcolumn=WIDTH).make_table(old, new, "now", "then", context=True, numlines=2)
        diff = [_cut(line) for line in unified_diff(old[:LINES], new[:LINES], "now", "then", n=2, lineterm="")]
        rest = max(len(old), len(new)) - LINES
        diff += [f"... and {rest} more lines, which are not compared here"] if rest > 0 else []
        return f"<pre class='diff'>{escape(chr(10).join(diff))}</pre>"

    def _is_quick(self, old: list[str], new: list[str]) -> bool:
        before, after = set(old), set(new)
        gone, come = [line for line in old if line not in after], [line for line in new if line not in before]
        letters = sum(map(len, gone)) * sum(map(len, come))
        quick = len(gone) * len(come) <= PAIRS and letters <= min(LETTERS, self.left) and len(old) + len(new) <= LINES
        self.left -= letters if quick else 0
        return quick


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}... ({len(line) - 1} characters)"


def _lines(old: Object | None, new: Object | None) -> tuple[list[str], list[str]]:
    """Both sides as lines of YAML; of a Secret it is only told which keys change."""
    return _shown(_without_secrets(old, old)), _shown(_without_secrets(new, old))


def _shown(body: Object | None) -> list[str]:
    return mask(as_yaml(cast(Object, _masked(body))).decode()).splitlines() if body else []


def _masked(value: object) -> object:
    """Mask each text before YAML quotes it, and spells a token in a file otherwise than the file."""
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in cast(Object, value).items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in cast(list[object], value)]
    return mask(value) if isinstance(value, str) else value


def _without_secrets(body: Object | None, before: Object | None) -> Object | None:
    if body is None or body.get("kind") != "Secret":
        return body
    hidden = dict(body)
    for field in ("data", "stringData"):
        was = part(before or body, field)
        hidden[field] = {
            key: MASK if was.get(key) == value else f"{MASK} (changes)" for key, value in part(body, field).items()
        }
    return hidden
