"""Text from elsewhere, made harmless where it is shown: terminals obey control characters, readers wrong line ends."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff]"
)
"""Controls but tab and line feed, marks that turn or hide text, and halves of characters."""


def harmless(text: str) -> str:
    """Return ``text`` with control characters and the like as escapes; lines and tabs stay."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return ``text`` as one harmless line: a name must not look like two, nor like a line of ours."""
    return harmless(text.strip().replace("\n", "\\n"))
