"""A page's Content-Security-Policy: what a browser may run and load on it is what we have put there (issue 14).

Everything on a page is escaped. The policy is the second line: should something slip through, it does not run, loads
nothing and sends nothing.

Source: https://www.w3.org/TR/CSP3/ (hashes of elements; handlers by ``unsafe-hashes``).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256


def meta(*, styles: Sequence[str] = (), scripts: Sequence[str] = (), handlers: Sequence[str] = ()) -> str:
    """Return the element that gives a page its policy; it stands in the head, before what it is about.

    Args:
        styles, scripts: the contents of the page's own elements, exactly as they stand there.
        handlers: the values of its own attributes such as ``onclick``.
    """
    run = [*_hashes(scripts), *(["'unsafe-hashes'", *_hashes(handlers)] if handlers else [])]
    allowed = {"script-src": run, "style-src": _hashes(styles)}
    rules = [
        "default-src 'none'",
        *(f"{what} {' '.join(hashes)}" for what, hashes in allowed.items() if hashes),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
        '<meta name="referrer" content="no-referrer">'
    )


def _hashes(contents: Sequence[str]) -> list[str]:
    """Hash contents as a browser does: as UTF-8, with line feeds alone at the ends of lines."""
    texts = (content.replace("\r\n", "\n").replace("\r", "\n") for content in contents)
    return [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts]
