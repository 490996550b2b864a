"""The proposal as a page for people: what to decide first, then what could not be proved, then where each key went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from openab_sop import policy
from openab_sop.proposals.steps import ConversionContext, ValueMove
from openab_sop.redact import mask
from openab_sop.rule import RuleFinding, RuleFindings
from openab_sop.verdict import Finding

_STYLE = """
body { font-family: sans-serif; max-width: 80em; margin: 1em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { border: 1px solid #ccc; padding: .3em .5em; text-align: left;
vertical-align: top; overflow-wrap: anywhere } .blocks { background: #fdd } .decide { background: #ffd }
.accepted { background: #eef } .ready { background: #dfd; padding: .5em } .not-ready { background: #fdd; padding: .5em }
"""


def page(
    situation: ConversionContext, moves: Sequence[ValueMove], findings: RuleFindings, own: Sequence[Finding], out: Path
) -> str:
    """Return a self-contained HTML page; nothing that was learned to be secret is in it."""
    title = f"Values for {situation.target}, from {situation.current}"
    equal = f"Proved equal to what runs{', but for what the version itself changes' if own else ''}"
    ready = equal if not findings.findings else "Accepted" if findings.passed else "Not proved: do not use it"
    verdict = f"<p class='{'ready' if findings.passed else 'not-ready'}'>{ready}. {_text(str(out))}</p>"
    decide, moved = [m for m in moves if m.decide], [m for m in moves if not m.decide]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>{policy.meta(styles=[_STYLE])}"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><h1>{_text(title)}</h1>{verdict}"
        f"<h2>To decide</h2>{_moves(decide, 'decide')}"
        f"<h2>Not proved equal</h2>{_table(('Finding', 'Would be', 'Is', 'Next'), map(_found, findings.findings))}"
        f"<h2>What went where</h2>{_moves(moved, '')}"
        f"<h2>Changed by the version itself</h2>{_table(('What', 'Would be', 'Is'), map(_own, own))}</body></html>\n"
    )


def _moves(moves: Iterable[ValueMove], kind: str) -> str:
    rows = (_row((move.key, move.to, move.why), kind) for move in moves)
    return _table(("Key", "Went to", "Why"), rows)


def _own(finding: Finding) -> str:
    return _row((finding.subject, finding.observed, finding.expected), "")


def _found(rule_finding: RuleFinding) -> str:
    said = f"{rule_finding.id}\naccepted: {rule_finding.accepted}" if rule_finding.accepted else rule_finding.id
    finding = rule_finding.finding
    kind = "accepted" if rule_finding.accepted else "blocks"
    return _row((said, finding.observed, finding.expected, finding.next_step), kind)


def _table(names: Sequence[str], rows: Iterable[str]) -> str:
    body = "".join(rows) or f"<tr><td colspan='{len(names)}'>nothing</td></tr>"
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>{body}</table>"


def _row(cells: Iterable[str], kind: str) -> str:
    return f"<tr class='{kind}'>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"


def _text(text: str) -> str:
    return escape(mask(text)).replace("\n", "<br>")
