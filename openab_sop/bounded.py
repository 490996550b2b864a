"""Documents that somebody else has written, read with bounds: bytes, depth, values, length of numbers (issue 14).

A few hundred bytes of YAML may stand for more than memory holds, of JSON for more levels than a process survives, of
gzip for a whole disk. What is beyond the bounds is refused like what is no such document at all. Nothing else in the
library calls the parsers.
"""

from __future__ import annotations

import json
import lzma
import math
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import cattrs
import yaml
from cattrs import Converter
from cattrs.errors import BaseValidationError

from openab_sop.errors import InvalidDocument

T = TypeVar("T")

LARGEST = 64 << 20
"""Bytes of a document, also of one that was compressed: Helm's records hold charts, and these may be large."""
DEEPEST = 100
"""Levels of mappings and lists; Kubernetes' own schemas have about thirty."""
MOST = 500_000
"""Values of a YAML document, each alias counted as all that it stands for."""
DIGITS = 400
"""Characters of a number: more than the largest of 64 bits with a fraction has, written out in full."""

_NEXT = "look into it; if it is to be so, make it smaller or write it out plainly"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PART = r"(?:(?<![\w-])[\w-]{1,200}+|\"[^\"\n]{0,200}+\"|'[^'\n]{0,200}+')"
_DOTTED = re.compile(rf"{_PART}(?:[ \t]{{0,20}}+\.[ \t]{{0,20}}+{_PART}){{{DEEPEST}}}")
"""A dotted key of too many parts: Python's reader of TOML takes the square of their number."""


def load_json(text: str | bytes, what: str, *, any_number: bool = False) -> Any:
    """Return the value that a JSON document is.

    Args:
        what: names the document in messages.
        any_number: let numbers pass that are none to JSON: NaN, and what is beyond a double.

    Raises:
        InvalidDocument: it is none, is too large or too deep, or has numbers that are none.
    """
    _check_size(len(text), what)
    try:
        if any_number:
            found = json.loads(text)
        else:
            found = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_integer)
    except RecursionError as error:
        raise _refused(what, f"more than {DEEPEST} levels") from error
    except ValueError as error:
        raise _refused(what, f"no valid JSON: {error}") from error
    opened = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    return found if opened <= DEEPEST else _shallow(found, what)


def load_as(kind: type[T], text: str | bytes, what: str, converter: Converter = cattrs.global_converter) -> T:
    """Return the value of a class of ours that a JSON document is; errors as ``load_json`` has them.

    Args:
        converter: knows under which names the class is stored.
    """
    said = load_json(text, what)
    try:
        return converter.structure(said, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _refused(what, "it has not what such a document has") from error


def load_yaml(text: str | bytes, what: str, *, any_number: bool = False) -> Any:
    """Return the value that a YAML document is; None if it is empty. Arguments and errors as ``load_json`` has them."""
    documents = list(load_all_yaml(text, what, any_number=any_number))
    if len(documents) > 1:
        raise _refused(what, "more than one YAML document")
    return documents[0] if documents else None


def load_all_yaml(text: str | bytes, what: str, *, any_number: bool = False) -> Iterator[Any]:
    """Yield the value of each document of a YAML stream; arguments and errors as ``load_json`` has them."""
    _check_size(len(text), what)
    try:
        _check_events(yaml.parse(text, _LOADER))
        loaded: list[Any] = list(yaml.load_all(text, _LOOSE if any_number else _STRICT))
    except RecursionError as error:
        raise _refused(what, f"more than {DEEPEST} levels") from error
    except yaml.YAMLError as error:
        raise _refused(what, f"no valid YAML: {str(error).splitlines()[0]}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:  # the library's, for odd scalars
        raise _refused(what, f"no valid YAML: {error}") from error
    yield from loaded


def load_toml(text: str, what: str) -> dict[str, Any]:
    """Return the table that a TOML document is; errors as ``load_json`` has them."""
    _check_size(len(text), what)
    if _DOTTED.search(text):
        raise _refused(what, f"a key of more than {DEEPEST} parts")
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise _refused(what, f"more than {DEEPEST} levels") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(what, f"no valid TOML: {error}") from error
    return _shallow(found, what)


def gunzip(data: bytes, what: str) -> bytes:
    """Return what was compressed by gzip.

    Raises:
        InvalidDocument: it is damaged, cut off, or longer than ``LARGEST``.
    """
    pieces: list[bytes] = []
    left = LARGEST + 1
    while data:  # several may stand one after the other
        inflate = zlib.decompressobj(wbits=31)
        try:
            pieces.append(inflate.decompress(data, left))
        except zlib.error as error:
            raise _refused(what, f"no valid gzip: {error}") from error
        left -= len(pieces[-1])
        if left <= 0:
            raise _refused(what, f"more than {LARGEST} bytes when it is unpacked")
        if not inflate.eof:
            raise _refused(what, "cut off")
        data = inflate.unused_data.lstrip(b"\0")
    return b"".join(pieces)


def unxz(data: bytes, what: str) -> bytes:
    """Return what was compressed by lzma; errors as ``gunzip`` has them."""
    try:
        inflate = lzma.LZMADecompressor(memlimit=LARGEST * 4)
        found = inflate.decompress(data, LARGEST + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise _refused(what, f"no valid lzma: {error}") from error
    if len(found) > LARGEST:
        raise _refused(what, f"more than {LARGEST} bytes when it is unpacked")
    if not inflate.eof:
        raise _refused(what, "cut off")
    return found


def _yaml_int(loader: Any, node: yaml.ScalarNode) -> int:
    return loader.construct_yaml_int(_bounded(node))


def _yaml_float(loader: Any, node: yaml.ScalarNode) -> float:
    return loader.construct_yaml_float(_bounded(node))


def _finite_float(loader: Any, node: yaml.ScalarNode) -> float:
    found = _yaml_float(loader, node)
    if not math.isfinite(found):
        raise ValueError(f"{str(node.value)[:40]!r} is no number that JSON has")
    return found


def _loader_with(*constructors: tuple[str, Callable[[Any, yaml.ScalarNode], object]]) -> Any:
    """Return a loader that reads some kinds of scalars in another way."""
    made: Any = type("Loader", (_LOADER,), {})
    for kind, construct in constructors:
        made.add_constructor(f"tag:yaml.org,2002:{kind}", construct)
    return made


_STRICT = _loader_with(("int", _yaml_int), ("float", _finite_float))
"""Refuses numbers that JSON does not have, and such as take long to read."""
_LOOSE = _loader_with(("int", _yaml_int), ("float", _yaml_float))
"""Lets every number pass that is soon read."""


def _bounded(node: yaml.ScalarNode) -> yaml.ScalarNode:
    if len(str(node.value)) > DIGITS:
        raise ValueError(f"a number of more than {DIGITS} characters")
    return node


def _check_events(events: Iterable[yaml.Event]) -> None:
    """Stop before anything is built of what is too deep, or of aliases that stand for too much.

    Raises:
        ValueError: it is.
    """
    count = _ValueCount()
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            count.sizes.clear()
        elif isinstance(event, yaml.CollectionStartEvent):
            count.open(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            count.close()
        elif isinstance(event, yaml.NodeEvent):
            count.add(event.anchor, is_alias=isinstance(event, yaml.AliasEvent))
        if count.total > MOST:
            raise ValueError(f"more than {MOST} values, aliases counted as what they stand for")


class _ValueCount:
    """Counts the values of a YAML document, each alias, also that of a merge key, as all that it stands for."""

    def __init__(self) -> None:
        self.total = 0
        self.sizes: dict[str, int] = {}
        self._opened: list[tuple[str | None, int]] = []

    def open(self, anchor: str | None) -> None:
        if len(self._opened) >= DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
        self.sizes.pop(anchor or "", None)  # until it is closed it stands for itself
        self._opened.append((anchor, self.total))
        self.total += 1

    def close(self) -> None:
        anchor, before = self._opened.pop()
        if anchor:
            self.sizes[anchor] = self.total - before

    def add(self, anchor: str | None, *, is_alias: bool) -> None:
        if is_alias and anchor not in self.sizes:
            raise ValueError("an alias of what is not there, or of what it stands in")
        self.total += self.sizes[anchor or ""] if is_alias else 1
        if anchor and not is_alias:
            self.sizes[anchor] = 1


def _shallow(value: Any, what: str) -> Any:
    level: list[Any] = [found for found in [value] if isinstance(found, (dict, list))]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (cast(dict[Any, Any], outer).values() if isinstance(outer, dict) else cast(list[Any], outer))
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return value
    raise _refused(what, f"more than {DEEPEST} levels")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    if len(text) > DIGITS or not math.isfinite(found := float(text)):
        raise ValueError(f"{text[:40]} is no number that a program can hold")
    return found


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of more than {DIGITS} characters")
    return int(text)


def _check_size(size: int, what: str) -> None:
    if size > LARGEST:
        raise _refused(what, f"more than {LARGEST} bytes")


def _refused(what: str, why: str) -> InvalidDocument:
    return InvalidDocument(f"{what} cannot be read: {why}", _NEXT)
