"""Text from elsewhere, made harmless where it is shown, and commands that are pasted into a shell (issue 14).

Terminals obey control characters, readers wrong line ends, and shells whatever stands unquoted. So foreign text is one
line, or lines that are marked as such: none of them looks like a line of ours.
"""

from __future__ import annotations

import re
import shlex

MARK = "  | "
"""What begins each further line of a text from elsewhere."""

_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f"
    "\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufeff"
    "\\uffa0\\ufff0-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3"
    "\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
"""Controls but tab and line feed, marks that turn, join or hide text, fillers without ink, and halves of characters.

Source: https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt (Default_Ignorable_Code_Point), and
general category Cf; without the selectors that choose between the two looks of an emoji (U+FE00-FE0F).
"""
_IN_QUOTES = re.compile(rf"[\n\t'\\]|{_CONTROL.pattern}")


def harmless(text: str) -> str:
    """Return ``text`` with control characters and the like as escapes; lines and tabs stay."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return ``text`` as one harmless line: a name must not look like two, nor like a line of ours."""
    return harmless(text.strip().replace("\n", "\\n"))


def marked(text: str) -> str:
    """Return ``text`` harmless, each line but the first marked: what a tool or a chart says is no line of ours."""
    return harmless(text.strip("\n")).replace("\n", f"\n{MARK}")


def command(*words: str) -> str:
    """Return a command to be pasted: words that a shell reads as anything but themselves are quoted.

    Characters that cannot be shown are spelled out as bash and zsh read them (``$'a\\nb'``).
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word and not _CONTROL.search(word) and "\n" not in word and "\t" not in word:
        return shlex.quote(word)
    return f"$'{_IN_QUOTES.sub(_spelled, word)}'" if word else "''"


def _spelled(found: re.Match[str]) -> str:
    """Spell a character so that no shell sees a quote: one that does not know ``$'`` reads the rest as it stands."""
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no text
        code -= 0xDC00
        return f"\\x{code:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
