"""Finds credentials in bytes of any kind and size, fast where there are none.

One search over the bytes tells where a credential may be: by the rarest byte of each kind, and by six bytes of every
known secret. Only around what it finds are the slow patterns applied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from openab_sop import redact
from openab_sop.rehearsals.placeholders import edits

AROUND = 1 << 12
"""Bytes before and behind a suspect that are looked at closely; behind a private key, more."""
LONGEST_KEY = 1 << 14
KEPT = 1 << 16
"""Bytes of a stream that are held back until what follows has been seen: more than a credential is long."""
CONTEXT = 64
"""Bytes of a stream that are seen again: what tells a credential may stand before it."""

# each begins with a byte, not with a set of them: so ``re`` passes over all others without trying
_KINDS = (
    rb"_(?:(?<=gh[opsru]_)|(?<=github_pat_)|(?<=npm_)|(?<=gsk_))[\w-]{16}",
    rb"-(?:(?<=xox[a-z]-)|(?<=xapp-)|(?<=glpat-)|(?<=sk-)|(?<=xai-))[\w-]{10}",
    rb"A(?:[KS]IA[0-9A-Z]{16}|Iza[\w-]{20}|GE-SECRET-KEY-1)",
    rb"J(?<=eyJ)[\w-]{10,1024}\.[\w-]{10}",
    rb"\.(?:(?<=ya29\.)[\w-]{20}|(?<=[\w-]{23}\.)[\w-]{6,7}\.[\w-]{27})",
    rb":(?://[^\x00-\x20/:@\x7f-\xff]+:[^\x00-\x20/@\x7f-\xff]+@|AA[\w-]{33}|(?<=(?i:authorization):) [\w.+/=~-]{8})",
    *(first + rb"(?i:earer|asic) (?=[\w.+/=~-]{8})[\w.+/=~-]*(?:[\d+/=~]|[a-z][A-Z])" for first in (b"b", b"B")),
    rb"/(?:(?<=/api/webhooks/)\d|(?<=hooks\.slack\.com/)\w)",
    rb"B(?<=-----B)EGIN [A-Z\d ]*PRIVATE KEY",
)
_PIECE = redact.SHORTEST


class SecretScanner:
    """What to look for: whatever looks like a credential, and every secret that is known now."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[tuple[int, bytes]]] = {}
        for at, value in _anchored([spelling.encode(errors="surrogateescape") for spelling in redact.known()]):
            self._known.setdefault(value[at : at + _PIECE], []).append((at, value))
        self._around = max([AROUND, *(len(value) for same in self._known.values() for _, value in same)])
        self._suspect = re.compile(b"|".join([*_KINDS, *_tree(sorted(self._known))]))
        self._piece = re.compile(b"|".join(_tree(sorted(self._known)))) if self._known else None

    def found(self, data: bytes) -> bool:
        """Tell whether a credential stands in ``data``; placeholders are none."""
        return next(self._edits(data), None) is not None

    def suspected(self, pieces: Iterable[bytes]) -> bool:
        """Tell whether a stream may hold a credential, also one that other words touch; placeholders count."""
        held = b""
        for piece in pieces:
            if self._suspect.search(held + piece):
                return True
            held = piece[-KEPT:]
        return False

    def cleaned(self, data: bytes) -> bytes:
        """Return ``data`` with a placeholder for each credential; every other byte stays."""
        return _edited(data, self._edits(data))

    def found_in(self, pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
        """Yield each piece of a stream, and whether a credential ends in it."""
        held = b""
        for piece in pieces:
            yield piece, self.found(held + piece if held else piece)
            held = piece[-KEPT:]

    def replaced(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a stream, as long, with a placeholder for each credential."""
        held, done = b"", 0
        for piece in pieces:
            held += piece
            if len(held) < 2 * KEPT:
                continue
            found = list(self._edits(held))
            cut = len(held) - KEPT
            cut = min([cut, *(start for start, end, _ in found if end > cut and start > done)])
            yield _edited(held[:cut], (edit for edit in found if edit[1] <= cut), done)
            held, done = held[max(0, cut - CONTEXT) :], min(cut, CONTEXT)
        yield _edited(held, self._edits(held), done)

    def _edits(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        for begin, end in self._windows(data):
            window = data[begin:end]
            text = window.decode("ascii", "replace")
            for start, stop, new in edits(text, self._known_in(window)):
                yield begin + start, begin + stop, new.encode()

    def _windows(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the parts of ``data`` that must be looked at closely; they do not touch."""
        begin = end = 0
        for found in self._suspect.finditer(data):
            start = max(0, found.start() - self._around)
            if start > end:
                if end:
                    yield begin, end
                begin = start
            end = max(end, found.end() + (LONGEST_KEY if found[0].endswith(b"KEY") else self._around))
        if end:
            yield begin, min(end, len(data))

    def _known_in(self, data: bytes) -> Iterator[tuple[int, int]]:
        if self._piece:
            for found in self._piece.finditer(data):
                for at, value in self._known[data[found.start() : found.start() + _PIECE]]:
                    start = found.start() - at
                    if start >= 0 and data.startswith(value, start):
                        yield start, start + len(value)


def _edited(data: bytes, found: Iterable[tuple[int, int, bytes]], begin: int = 0) -> bytes:
    """Return ``data`` from ``begin`` on with what was found replaced."""
    parts: list[bytes] = []
    at = begin
    for start, end, new in found:
        if start >= at:
            parts += data[at:start], new
            at = end
    return b"".join([*parts, data[at:]])


def _anchored(values: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each secret after the place in it that is searched for.

    These begin with as few different bytes as possible, and such as are rare in texts: all others are passed over.
    """
    left = set(values)
    while left:
        counts = Counter(byte for value in left for byte in set(_firsts(value)))
        first = max(counts, key=lambda byte: (counts[byte] / _cost(byte), byte))
        taken = {value for value in left if first in _firsts(value)}
        yield from ((value.index(first), value) for value in taken)
        left -= taken


def _firsts(value: bytes) -> bytes:
    """Return the bytes at which a piece may begin."""
    return value[: max(1, len(value) - _PIECE + 1)]


def _cost(byte: int) -> int:
    """Return how often a byte is met in texts, roughly."""
    return 1 if chr(byte).isupper() else 8 if chr(byte).islower() else 20 if byte == ord(" ") else 3


def _tree(pieces: list[bytes]) -> Iterator[bytes]:
    """Yield patterns that match the first byte of each piece; those that begin alike are tried together."""
    for first, group in groupby(pieces, key=lambda piece: piece[:1]):
        seconds = groupby((piece[1:] for piece in group), key=lambda rest: rest[:1])
        rests = (
            re.escape(second) + b"(?:" + b"|".join(re.escape(rest[1:]) for rest in same) + b")"
            for second, same in seconds
        )
        yield re.escape(first) + b"(?=" + b"|".join(rests) + b")"
