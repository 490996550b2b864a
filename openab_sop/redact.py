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
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import cast
from urllib.parse import quote, quote_plus

from openab_sop.escape import harmless
from openab_sop.objects import Object, part
from openab_sop.secret_shapes import LOOKS_SECRET

MASK = "***"
SHORTEST = 6
"""Characters; shorter values ("true", "1000") are words of every text, not secrets."""

_known: frozenset[str] = frozenset()
"""Replaced as a whole, never changed: other threads mask meanwhile."""
_learning = Lock()

_FRAME = "-----{} [A-Z ]{{0,40}}PRIVATE KEY-----"
_BEGIN, _END = _FRAME.format("BEGIN"), _FRAME.format("END")
_LINE = r"\n[ \t>|]{0,40}+"
_BASE64 = r"[A-Za-z0-9+/]"
_BLANK = r"[ \t\r]*+(?=\n|\Z)"
_FULL = rf"{_LINE}{_BASE64}{{40,}}+={{0,2}}{_BLANK}"
_SHORT = rf"{_LINE}{_BASE64}++={{0,2}}{_BLANK}"
_HEADER = rf"{_LINE}(?:(?:Proc-Type|DEK-Info|Comment):[^\n]*+)?{_BLANK}"
_PRIVATE_KEY = (
    rf"{_BEGIN}(?:[^\n]*?{_END}"  # on one line
    rf"|[^\n]*+(?:{_HEADER}|{_FULL})*+(?:{_SHORT})?{_LINE}{_END}"  # whole
    rf"|[^\n]*+(?:{_HEADER})*+(?:(?:{_FULL})++(?:{_SHORT})?+)?+(?:{_LINE}{_BASE64}{{16,}}+\Z)?+)"  # cut off
)
"""Without its end it ends with the line: who names a file like the head of a key must not hide what follows. Only
lines that are nothing but base64, as long as a key's are, still belong to it."""
# Every pattern here is linear in the text: a run of characters is begun once and never given back.
_LOOKS_SECRET = re.compile(
    rf"{_PRIVATE_KEY}|{LOOKS_SECRET}"
    r"|(?<=://)[^\x00-\x20/:@\x7f\ufffd]++:[^\x00-\x20/@\x7f\ufffd]++(?=@)"
    r"|(?i:(?<=bearer )|(?<=authorization: )|(?<=basic ))[\w.+/=~-]{8,}"
)
_ASSIGNED = re.compile(
    r"(?i)((?<![\w.-])(?=[\w.-]*?(?:token|passw(?:or)?d|secret|api[_-]?key|access[_-]?key|credential))"
    r"[\w.-]++[\"']?\s*+[=:]\s*+[\"']?)"
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
    return (_masked_again if len(text) <= _REMEMBERED else _masked)(text, _known)


def _masked(text: str, known: frozenset[str]) -> str:
    if known:
        text = _pattern(known).sub(MASK, text)
    text = _LOOKS_SECRET.sub(lambda found: found[0][: _start(found) - found.start()] + MASK, text)
    return harmless(_ASSIGNED.sub(rf"\1{MASK}", text))


_REMEMBERED = 4000
"""Characters of a text that is remembered masked: a report shows the same lines again after each step."""
_masked_again = lru_cache(maxsize=2000)(_masked)


def mask_values(value: object) -> object:
    """Return facts (mappings, lists, texts, anything with a text) with each text in them masked by itself.

    What is to be JSON passes here before it is serialised: a text that looks like the begin of a secret must not take
    with it what stands behind it in the document (issue 14).
    """
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).items()
        return {mask(str(name)): _named_value(str(name), one) for name, one in items}
    if isinstance(value, list | tuple):
        return [mask_values(one) for one in cast(Sequence[object], value)]
    return value if value is None or isinstance(value, bool | int | float) else mask(str(value))


def _named_value(name: str, value: object) -> object:
    if isinstance(value, str) and len(value) >= SHORTEST and is_secret_name(name):
        return MASK
    return mask_values(value)


def known() -> frozenset[str]:
    """Return every spelling of every known secret: what must stand nowhere."""
    return _spelled(_known)


def known_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where known secrets stand in ``text``, in any spelling: begin and end."""
    if known := _known:
        yield from (found.span() for found in _pattern(known).finditer(text))


def credentials_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where something stands in ``text`` that looks like a credential by itself: begin and end."""
    yield from ((_start(found), found.end()) for found in _LOOKS_SECRET.finditer(text))


def _start(found: re.Match[str]) -> int:
    """Return where a credential begins: a token in three parts is looked for from the begin of its word on."""
    return found.start() if found["jwt"] is None else found.start("jwt")


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
