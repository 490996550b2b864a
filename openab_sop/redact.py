"""Keep secrets out of everything that is shown or written: messages, journal, report.

Values that are known to be secret are masked wherever they stand, in the encodings that tools print. What merely
looks like a credential (``token=...``, a bearer header, a private key) is masked too. This is the second line of
defence: the first is that reports name things, count them and digest them, and never quote their contents.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import cast
from urllib.parse import quote, quote_plus

from openab_sop.objects import Object, part
from openab_sop.shown import harmless

MASK = "***"
SHORTEST = 6
"""Characters; shorter values ("true", "1000") are words of every text, not secrets."""

_known: frozenset[str] = frozenset()
"""Replaced as a whole, never changed: other threads mask meanwhile."""
_learning = Lock()

_LOOKS_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bgh[opsu]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bxox[abeoprs]-[\w-]{10,}|\bxapp-[\w-]{10,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAGE-SECRET-KEY-1[0-9A-Z]+|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|(?<=://)[^\x00-\x20/:@\x7f\ufffd]+:[^\x00-\x20/@\x7f\ufffd]+(?=@)"
    r"|(?i:(?<=bearer )|(?<=authorization: )|(?<=basic ))[\w.+/=~-]{8,}",
    re.DOTALL,
)
_ASSIGNED = re.compile(
    r"(?i)(\b[\w.-]*(?:token|passw(?:or)?d|secret|api[_-]?key|access[_-]?key|credential)[\w.-]*[\"']?\s*(?:=|:)\s*[\"']?)"
    r"([^\s\"',;&<>]{6,})"
)
_SECRET_NAME = re.compile(r"(?i)token|passw(or)?d|secret|api[_-]?key|access[_-]?key|private|credential")


def is_secret_name(name: str) -> bool:
    """Tell whether a value under this name (a Helm value, an environment variable) is taken for a secret."""
    return _SECRET_NAME.search(name) is not None


def learn(value: str) -> None:
    """Mask ``value`` from now on, and each line of it: tools quote single lines of a key or a JSON file."""
    global _known
    with _learning:
        _known |= {part for part in (value, *value.splitlines()) if len(part.strip()) >= SHORTEST}


def learn_values(values: object, *, below_secret: bool = False) -> None:
    """Learn every string below a name that sounds secret, in Helm values of any depth."""
    if isinstance(values, dict):
        for name, value in cast(dict[object, object], values).items():
            learn_values(value, below_secret=below_secret or is_secret_name(str(name)))
    elif isinstance(values, list):
        for value in cast(list[object], values):
            learn_values(value, below_secret=below_secret)
    elif below_secret and values is not None:
        learn(str(values))


def learn_secret(secret: Object) -> None:
    """Learn every value of a Kubernetes Secret, also as the API spells it; Helm's release records hold none alone."""
    if str(secret.get("type", "")).startswith("helm.sh/"):
        return
    for encoded in part(secret, "data").values():
        learn(encoded)
        learn(b64decode(encoded).decode(errors="replace"))


def mask(text: str) -> str:
    """Return ``text`` with every known secret, and whatever looks like a credential, replaced by ``***``.

    What a terminal would obey in it is escaped: whatever is shown passes here.
    """
    if known := _known:
        text = _pattern(known).sub(MASK, text)
    return harmless(_ASSIGNED.sub(rf"\1{MASK}", _LOOKS_SECRET.sub(MASK, text)))


def known() -> frozenset[str]:
    """Return every spelling of every known secret: what must stand nowhere."""
    return _spelled(_known)


def known_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where known secrets stand in ``text``, in any spelling: begin and end."""
    if known := _known:
        yield from (found.span() for found in _pattern(known).finditer(text))


def credentials_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where something stands in ``text`` that looks like a credential by itself: begin and end."""
    yield from (found.span() for found in _LOOKS_SECRET.finditer(text))


@lru_cache(maxsize=1)
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(_spelled(known), key=len, reverse=True))))


def _spelled(values: frozenset[str]) -> frozenset[str]:
    return frozenset(spelling for value in values for spelling in _spellings(value))


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield from _base64(value.encode(errors="surrogateescape"))


def _base64(data: bytes) -> Iterator[str]:
    """Yield what of ``data`` stays recognisable in base64, also where it stands inside a longer text."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(b"\0" * offset + data).decode().rstrip("=")
            core = text[(0, 2, 3)[offset] : len(text) - (1 if (offset + len(data)) % 3 else 0)]
            if len(core) >= SHORTEST:
                yield core
