"""Placeholders: the shape of a secret without the secret, so that whatever checks a format goes on alike.

Texts are treated without a parser: comments, order and number of lines stay, and what is broken is treated too. What
is to go is marked character by character first and replaced once, so no rule sees what another has already replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from openab_sop import redact
from openab_sop.secret_shapes import PREFIX

LONG = 8
"""Characters of a value that may be a credential where nothing but credentials is expected; shorter ones are words."""
BEGIN = 24
"""Characters that tell a placeholder: no credential begins with so many of its letters."""
NOWHERE = "127.0.0.1:9"
"""The discard port of the machine itself (RFC 863), where nothing listens."""

Spans = Iterator[tuple[int, int]]
"""Begin and end of pieces of a text."""

_PREFIX = re.compile(rf"(?a:(?:(?i:bearer|basic|token|bot) )?(?:{PREFIX})?)")
_ALSO_SECRET = re.compile(r"(?i)authorization|cookie|passphrase|bearer|signing_?key|webhook|^_auth$|session_?key")
_POINTS = re.compile(r"(?i)(?:file|path|dir)$")
_PATH = re.compile(r"(?:/|~/|\.{1,2}/).*")
_REFERENCE = re.compile(
    r"(?:(?i:bearer|basic|token|bot) )?"
    r"(?:\$\{(?:env:)?\w+\}|\$[A-Z_][A-Z\d_]*|\{(?:env|file):[^{}]*\}|\{\{[^{}]*\}\}|<[\w -]+>)"
)
_LITERAL = re.compile(r"(?i)true|false|yes|no|on|off|null|none|nil|~")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?")
_NUMBER = re.compile(r"[+-]?(?:0[xob])?[\d_]+(?:\.[\d_]+)?(?:[eE][+-]?\d+)?")

_QUOTED = r"(?<!\\)\"(?:[^\"\\\n]|\\.)*+\"|(?<!')'(?:[^'\n]|'')*+'"
_VALUE = (
    r"(?P<value>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?s:.)*?'{3}|"
    rf"(?:{_QUOTED})(?!\s*:)|[\[{{]|[^\s\"',;&<>\[\]{{}}|*!][^\s\"',;&<>\[\]{{}}\\]*)"
)
_NAME = rf"(?P<name>{_QUOTED}|(?<![\w.$-])[\w.-]+)"
_SIGN = r"[ \t]*(?:=>|:=|[=:](?!//))(?:\s*(?=[\"'\[{])|[ \t]*)(?:[&!][^\s,]*[ \t]+)*"
_ASSIGNED = re.compile(rf"{_NAME}{_SIGN}(?={_VALUE})")
_LINE = re.compile(
    r"^[ \t]*(?:[#;]+[ \t]*)?(?:-[ \t]+)*(?:(?:export|set|ENV)[ \t]+)?(?P<name>[\w.-]+)"
    r"(?:[ \t]*=[ \t]*|[ \t]*:[ \t]+(?:[&!][^\s,]*[ \t]+)*(?![|>*&!%@`]))(?P<value>[^\s\"'\[{#][^\n]*)",
    re.MULTILINE,
)
_FLAG = re.compile(
    rf"(?P<name>(?<![\w-])--?[A-Za-z][\w-]*)[\"']?(?:[ \t]++|\s*+,\s*+|[^\S\n]*+\n\s*+-\s++)(?!-|[\"']-)(?={_VALUE})"
)
_PAIR = re.compile(
    r"(?<!\w)[\"']?name[\"']?\s*+[:=]\s*+[\"']?(?P<name>[\w.-]++)[\"']?\s*+(?:,\s*+)?[\"']?value[\"']?\s*+[:=]\s*+"
    rf"(?={_VALUE})"
)
"""A variable in a list, as Kubernetes has them."""
_SECTION = re.compile(r"^[ \t]*+\[++[ \t]*+(?P<name>[^\]\n]++)\]++[^\n]*+$", re.MULTILINE)
_MAPPED = re.compile(rf"(?P<indent> *+(?:- ++)*+)(?P<name>{_QUOTED}|[\w.-]++) *+:(?: ++(?P<rest>[^\n]*+))?")
_ITEM = re.compile(r"^[ \t]*-[ \t]+(?P<value>[^\s\"'\[{|>&*!#-][^\n]*)", re.MULTILINE)
_TOKEN = re.compile(rf"{_QUOTED}|[^\s\"',;\[\]{{}}:=]+")

_SIGNED = re.compile(r"\s*+[:=]")
_PIECE = re.compile(r"\\(?:u[\da-fA-F]{4}|.)|[^\s\"'\\]+")

_KEY = re.compile(
    r"(?P<begin>-----BEGIN [A-Z\d ]*PRIVATE KEY(?: BLOCK)?-----)(?P<body>[^\"'`<>{}]*?)"
    r"(?P<end>-----END [A-Z\d ]*PRIVATE KEY(?: BLOCK)?-----|(?=[\"'`<>{}])|\Z)"
)
_BODY = re.compile(r"\\[nrt]|[A-Za-z\d+/]")
_BASE64 = re.compile(r"[A-Za-z\d+/]{30}")
_URL = re.compile(
    r"(?<![A-Za-z\d+.-])(?!(?i:file|unix|sqlite[+\w]*):///)[A-Za-z][A-Za-z\d+.-]*:\\?/\\?/(?:\\/|[^\s\"'<>\\`])+"
)
"""Any address but those that lead nowhere else than to the own file system."""
_SCHEME = re.compile(r"(?i)(?:bearer|basic|authorization:) $")
_NO_WORD = re.compile(r"[\d+/=~]|[a-z][A-Z]")
_UNFILLED = re.compile(r"[^:]*:(?:%[a-z]|[$<{\[*].*)")
"""User and password in an address that a program is yet to fill in."""
_CLOSERS = {")": "(", "]": "[", "}": "{"}

_HIDDEN, _COUNTED = 1, 2
_RUN = re.compile(rb"\x01+|\x02+")


class _Shape:
    """A table for ``str.translate``: letters and digits by what stands for them, and no letter beyond ASCII stays."""

    def __init__(self, upper: str, lower: str, digit: str) -> None:
        self._table = {
            code: upper if chr(code).isupper() else lower if chr(code).isalpha() else digit
            for code in range(128)
            if chr(code).isalnum()
        }
        self._other = lower

    def __getitem__(self, code: int) -> str | int:
        if code < 128 or chr(code).isspace():
            return self._table.get(code, code)
        return self._other


_SHAPES = (_Shape("X", "x", "0"), _Shape("Y", "y", "1"))


def placeholder(value: str) -> str:
    """Return the shape of a value: as long, letters as x or X, digits as 0, other characters and a known prefix kept.

    It never equals the value, unless that is blank: what looks like a placeholder already gets other letters.
    """
    kept, rest = _parted(value)
    for shape in _SHAPES:
        if (hidden := rest.translate(shape)) != rest:
            return kept + hidden
    return kept + re.sub(r"\S", "x", rest)


def is_placeholder(value: str) -> bool:
    """Tell whether nothing of a value would be hidden: it is a placeholder, or has neither letters nor digits."""
    return (rest := _parted(value)[1]).translate(_SHAPES[0]) == rest


def _parted(value: str) -> tuple[str, str]:
    prefix = _PREFIX.match(value)
    kept = prefix[0] if prefix else ""
    return (kept, value[len(kept) :]) if value[len(kept) :].strip() else ("", value)


def blackhole_url(address: str) -> str:
    """Return an address of the same scheme where nothing answers; nothing else of it stays.

    Raises:
        ValueError: it has no scheme.
    """
    scheme, sign, _ = address.replace("\\/", "/").partition("://")
    if not sign:
        raise ValueError("an address has no scheme")
    return f"{scheme}://{NOWHERE}"


def neutral(text: str) -> str:
    """Return a configuration (TOML, YAML, JSON, ini, variables) without its credentials; it parses as before.

    Values under names that sound secret, what looks like a credential and what is known to be secret become
    placeholders, private keys lose what is between their frame, and every address is dead. References stay.
    """
    return _replaced(text, [*_named(text), *_spotted(text)])


def redact_all_values(text: str) -> str:
    """Return a text in which only credentials are expected: every value of 8 characters and more is a placeholder.

    Names, references, dates, and all that is shorter stay, and what is no value; beside that as ``neutral``.
    """
    marks = [*_named(text), *_spotted(text)]
    return _replaced(text, [*marks, *(mark for mark in _values(text) if _is_long(text, mark))])


def neutral_secret(data: bytes) -> bytes:
    """Return a value of a Kubernetes Secret without what is secret in it.

    A single line becomes a placeholder, or a dead address; more lines, or JSON, are a configuration; of what is no
    text, as many zeros stay.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return bytes(len(data))
    if "\0" in text:
        return bytes(len(data))
    if is_json(text):
        return redact_all_values(text).encode()
    line = text.strip()
    if len(line.splitlines()) > 1 or _KEY.search(line):
        return neutral(text).encode()
    hidden = blackhole_url(line) if _URL.fullmatch(line) else placeholder(line)
    return text.replace(line, hidden, 1).encode() if line else data


def is_json(text: str) -> bool:
    """Tell whether a text is a JSON object or array."""
    try:
        return isinstance(cast(object, json.loads(text)), (dict, list))
    except (ValueError, RecursionError):
        return False


def edits(text: str, known: Iterable[tuple[int, int]] = ()) -> Iterator[tuple[int, int, str]]:
    """Yield what must be replaced in a text that is no configuration, and by what: as long, and in order.

    Only what looks like a credential by itself, what is in the frame of a private key, and what is known; placeholders
    stay. A word after "Basic" or "Bearer" is one of a sentence.

    Args:
        known: where known secrets stand in the text.
    """
    mask = bytearray(len(text))
    for start, end in (*_spots(text), *known):
        mask[start:end] = bytes([_HIDDEN]) * (end - start)
    keys = [found.span() for found in _KEY.finditer(text)]
    for start, end in keys:
        mask[start:end] = bytes(end - start)
    bodies = [
        (*found.span("body"), _zeroed(found["body"])) for found in _KEY.finditer(text) if _BASE64.search(found["body"])
    ]
    runs = [(*run.span(), _unquoted(text[run.start() : run.end()])) for run in _RUN.finditer(mask)]
    yield from sorted(edit for edit in (*bodies, *runs) if text[edit[0] : edit[1]] != edit[2])


def _spots(text: str) -> Spans:
    for start, end in redact.credentials_in(text):
        # whatever stands right behind a placeholder: in a database, values have nothing between them
        if is_placeholder(text[start:end][:BEGIN]) or _UNFILLED.fullmatch(text, start, end):
            continue
        if _SCHEME.search(text, max(0, start - 20), start) is None or _NO_WORD.search(text, start, end):
            yield start, end


def _zeroed(body: str) -> str:
    """Return what stands in the frame of a private key as zeros in base64, as long, line by line."""
    return _BODY.sub(lambda found: found[0] if len(found[0]) > 1 else "A", body)


Mark = tuple[int, int, bool]
"""Begin and end of what is to go, and whether it is a number, which must stay one."""


def _named(text: str) -> Iterator[Mark]:
    """Yield the values under names that sound secret."""
    for pattern in (_ASSIGNED, _FLAG, _PAIR):
        for found in pattern.finditer(text):
            if _sounds_secret(found["name"]):
                yield from _value(text, found)
    for found in _LINE.finditer(text):
        if _sounds_secret(found["name"]):
            yield from _bare(text, found["name"], found.start("value"), _end_of_line(text, found))
    yield from _sections(text)
    yield from _indented(text)


def _sounds_secret(name: str) -> bool:
    return redact.is_secret_name(name) or _ALSO_SECRET.search(name.strip("\"'")) is not None


def _value(text: str, found: re.Match[str]) -> Iterator[Mark]:
    """Yield what of an assigned value is to go: of a list or table every value in it."""
    start, end = found.span("value")
    if text[start] in "[{":
        yield from _inside(text, start)
    elif text[start] in "\"'":
        yield from _string(text, found["name"], start, end)
    else:
        yield from _bare(text, found["name"], start, end)


def _string(text: str, name: str, start: int, end: int) -> Iterator[Mark]:
    width = 3 if end - start >= 6 and text[start : start + 3] in ('"""', "'''") else 1
    if not _is_harmless(name, text[start + width : end - width]):
        yield start + width, end - width, False


def _bare(text: str, name: str, start: int, end: int) -> Iterator[Mark]:
    """Yield a value without quotes, unless it is a word or a small number that configurations are full of."""
    value = text[start:end]
    is_number = _NUMBER.fullmatch(value) is not None
    is_word = _LITERAL.fullmatch(value) or _DATE.fullmatch(value) or (is_number and len(value) < redact.SHORTEST)
    if not is_word and not _is_harmless(name, value):
        yield start, end, is_number


def _is_harmless(name: str, value: str) -> bool:
    """Tell a reference, and the path of a file that is only named."""
    if _REFERENCE.fullmatch(value):
        return True
    return _POINTS.search(name.strip("\"'")) is not None and _PATH.fullmatch(value) is not None


def _inside(text: str, start: int) -> Iterator[Mark]:
    """Yield every value in the list or table that begins here."""
    depth, at = 0, start
    while at < len(text):
        if text[at] in "[{":
            depth += 1
        elif text[at] in "]}":
            depth -= 1
            if depth == 0:
                return
        if (found := _TOKEN.match(text, at)) is None:
            at += 1
            continue
        at = found.end()
        if _SIGNED.match(text, at) is None:
            yield from (_string if found[0][0] in "\"'" else _bare)(text, "", *found.span())


def _sections(text: str) -> Iterator[Mark]:
    """Yield every value in a section whose name sounds secret (TOML, ini)."""
    sections = list(_SECTION.finditer(text))
    ends = [section.start() for section in sections[1:]] + [len(text)]
    for section, end in zip(sections, ends, strict=False):
        if _sounds_secret(section["name"]):
            for found in _ASSIGNED.finditer(text, section.end(), end):
                yield from _value(text, found)
            for found in _LINE.finditer(text, section.end(), end):
                yield from _bare(text, found["name"], found.start("value"), _end_of_line(text, found))


def _indented(text: str) -> Iterator[Mark]:
    """Yield what stands below a name that sounds secret and further in (YAML): a block of text, or names of its own."""
    outer, is_block, start = -1, False, 0
    for line in text.splitlines(keepends=True):
        content = line.strip()
        indent, begin = len(line) - len(line.lstrip(" ")), start + line.find(content)
        start += len(line)
        if not content:
            continue
        if outer >= 0 and (indent > outer or (indent == outer and content.startswith("- ") and not is_block)):
            if is_block:
                yield from _string(text, "", begin - 1, begin + len(content) + 1)
            elif (item := _ITEM.match(line)) is not None and _MAPPED.fullmatch(line.rstrip()) is None:
                yield from _bare(text, "", begin + item.start("value") - line.find(content), begin + len(content))
            elif (mapped := _MAPPED.fullmatch(line.rstrip())) is not None and mapped["rest"]:
                if re.match(r"[|>]", mapped["rest"]):
                    outer, is_block = len(mapped["indent"]), True
                elif mapped["rest"][0] not in "&*!#":
                    at = start - len(line) + mapped.start("rest")
                    yield from (_string if mapped["rest"][0] in "\"'" else _bare)(
                        text, mapped["name"], at, at + len(mapped["rest"])
                    )
            continue
        outer = -1
        mapped = _MAPPED.fullmatch(line.rstrip())
        if mapped and _sounds_secret(mapped["name"]) and not (mapped["rest"] or "").startswith(("{", "[")):
            outer, is_block = len(mapped["indent"]), bool(mapped["rest"])


def _end_of_line(text: str, found: re.Match[str]) -> int:
    """Return where a value without quotes ends that may have blanks in it: before a comment or what closes it."""
    comment = re.compile(r"\s#").search(text, *found.span("value"))
    end = comment.start() if comment else found.end("value")
    return found.start("value") + len(text[found.start("value") : end].rstrip(" \t\r,;]})"))


def _values(text: str) -> Iterator[Mark]:
    """Yield every value, whatever its name."""
    if is_json(text):
        yield from _inside(text, 0)
        return
    for found in _ASSIGNED.finditer(text):
        yield from _value(text, found)
    for pattern in (_LINE, _ITEM):
        for found in pattern.finditer(text):
            yield from _bare(text, "", found.start("value"), _end_of_line(text, found))


def _is_long(text: str, mark: Mark) -> bool:
    """Tell a value that is long enough for a credential, and no date."""
    start, end, _ = mark
    return end - start >= LONG and not _DATE.fullmatch(text, start, end)


def _spotted(text: str) -> Iterator[Mark]:
    """Yield what is secret whatever its name; known secrets may hold quotes of the text around, which stay."""
    for start, end in redact.credentials_in(text):
        yield start, end, False
    for start, end in redact.known_in(text):
        for piece in _PIECE.finditer(text, start, end):
            if piece[0][0] != "\\":
                yield from _known(text, piece, whole=piece.span() == (start, end))


def _known(text: str, piece: re.Match[str], *, whole: bool) -> Iterator[Mark]:
    """Yield a piece of a known secret; the words and numbers of a known line of a configuration are no secrets."""
    start, end = piece.span()
    alone = whole and (start == 0 or text[start - 1] in "\"'") and end < len(text) and text[end] in "\"'"
    if alone:
        yield start, end, False
    else:
        for token in _TOKEN.finditer(text, start, end):
            yield from _bare(text, "", *token.span())


def _replaced(text: str, marks: list[Mark]) -> str:
    """Return the text with what is marked replaced, once, and every private key and address as well."""
    mask = bytearray(len(text))
    for start, end, is_number in marks:
        mask[start:end] = bytes([_COUNTED if is_number else _HIDDEN]) * (end - start)
    frames = sorted(_frames(text), key=lambda frame: frame[:2])
    for start, end, _ in frames:
        mask[start:end] = bytes(end - start)
    runs = [(*run.span(), _counted if run[0][0] == _COUNTED else _unquoted) for run in _RUN.finditer(mask)]
    pieces: list[str] = []
    at = 0
    for start, end, change in sorted([*frames, *runs], key=lambda run: run[:2]):
        if start >= at:  # an address inside the body of a key is no address
            pieces += text[at:start], change(text[start:end])
            at = end
    return "".join([*pieces, text[at:]])


def _frames(text: str) -> Iterator[tuple[int, int, Callable[[str], str]]]:
    for found in _KEY.finditer(text):
        yield found.start(), found.start("body"), str
        yield *found.span("body"), _zeroed
        yield *found.span("end"), str
    for found in _URL.finditer(text):
        yield found.start(), found.end() - _closing(found[0]), blackhole_url


def _closing(address: str) -> int:
    """Return how many characters at the end of an address belong to the text around it."""
    length = len(address)
    while length and (address[length - 1] in ",;." or _is_closer(address[:length])):
        length -= 1
    return len(address) - length


def _is_closer(address: str) -> bool:
    opener = _CLOSERS.get(address[-1])
    return opener is not None and address.count(address[-1]) > address.count(opener)


def _unquoted(value: str) -> str:
    """Return a placeholder that ends no string and begins no escape in the text around."""
    return re.sub(r"[\"'\\]", "x", placeholder(value))


def _counted(value: str) -> str:
    """Return another number of the same length."""
    ones = re.sub(r"\d", "1", value)
    return ones if ones != value else re.sub(r"\d", "2", value)
