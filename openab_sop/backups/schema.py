"""The schema of ``backup.json``: which values its fields may have (issue 14).

Whoever can write a backup's directory or bucket writes this file. Its words become names in the API, paths on this
machine and arguments of programs, so each is checked where the file is read, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from openab_sop import names
from openab_sop.errors import BackupError, InvalidName
from openab_sop.escape import harmless, one_line

Check = Callable[[Any], bool]

LARGEST = 64 << 20
"""Bytes of a file that is read as a whole; a ``backup.json`` of 100,000 files has 20 MB."""
BITS = 63
"""A number of files or bytes has no more."""


class Refused(ValueError):
    """A field has a value that it may not have; the message names both."""


def check(data: object) -> None:
    """Check every field that is known; what is not known is not read.

    Args:
        data: what the JSON of a ``backup.json`` says.

    Raises:
        Refused: a field has a value that it may not have.
        KeyError: a field is missing.
    """
    if not isinstance(data, dict):
        raise Refused("it is not an object")
    body = cast(dict[str, Any], data)
    _fields("", body, _MANIFEST)
    for name, checks in (("agents", _VOLUME), ("volumes", _VOLUME), ("contents", _FILE)):
        for number, item in enumerate(_items(body, name)):
            _fields(f"{name}[{number}].", item, checks)
    paths = [item["path"] for item in _items(body, "contents")]
    keys = [
        (item["deployment"], item.get("volume", "")) for item in (*_items(body, "agents"), *_items(body, "volumes"))
    ]
    for what, found in (("file", paths), ("volume", keys)):
        if len(set(found)) < len(found):
            raise Refused(f"it lists a {what} twice")


def require_size(size: int, path: object) -> None:
    """Refuse a file that is too large to be read as a whole.

    Raises:
        BackupError: it has more than ``LARGEST`` bytes.
    """
    if size > LARGEST:
        raise BackupError(
            f"{path} has {size} bytes; such a file of a backup has at most {LARGEST}",
            "do not use it: we have not written it; use another backup",
        )


def is_below(path: Any) -> bool:
    """Tell whether a path leads below the directory that it is relative to."""
    return isinstance(path, str) and "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))


def is_name(text: Any) -> bool:
    """Tell whether a text may be the name of most Kubernetes objects: an RFC 1123 subdomain."""
    return _named(names.subdomain)(text)


def _fields(where: str, item: Any, checks: Mapping[str, Check]) -> None:
    if not isinstance(item, dict):
        raise Refused(f"{where.rstrip('.')} is not an object")
    found = cast(dict[str, Any], item)
    for name, holds in checks.items():
        optional = name.endswith("?")
        key = name.rstrip("?")
        if optional and key not in found:
            continue
        if not holds(value := found[key]):
            raise Refused(f"{where}{key} is {one_line(repr(value)[:200])}")


def _items(body: Mapping[str, Any], name: str) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list):
        raise Refused(f"{name} is not a list")
    return cast(list[Any], found)


def _matches(pattern: str, most: int) -> Check:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and len(value) <= most and compiled.fullmatch(value) is not None


def _named(rule: Callable[[object, str], str]) -> Check:
    """What a rule of ``names`` lets pass, if it is a text."""

    def holds(value: Any) -> bool:
        with suppress(InvalidName):
            return isinstance(value, str) and rule(value, "") == value
        return False

    return holds


def _plain(most: int) -> Check:
    """One line of text that does nothing to a terminal."""
    return lambda value: (
        isinstance(value, str) and len(value) <= most and "\n" not in value and harmless(value) == value
    )


def _number(least: int) -> Check:
    return lambda value: type(value) is int and value >= least and value.bit_length() <= BITS


def _or_none(holds: Check) -> Check:
    return lambda value: value is None or holds(value)


def _each(holds: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(holds, cast(list[Any], value)))


def _mapping(holds: Check) -> Check:
    return lambda value: (
        isinstance(value, dict) and all(holds(word) for pair in cast(dict[Any, Any], value).items() for word in pair)
    )


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.isascii() and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_home(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/") and (value == "/" or is_below(value[1:].rstrip("/")))


def _is_recipient(key: str) -> bool:
    """Tell whether a text is a public key as it is typed, and no file's name."""
    return _plain(8192)(key) and key.startswith(("age1", "ssh-"))


_IDENTIFIER = r"[0-9A-Za-z.-]+"

_MANIFEST: Mapping[str, Check] = {
    "schema": _number(1),
    "tool": _plain(128),
    "name": _named(names.label_value),  # it becomes one
    "sealed_to": _each(lambda key: isinstance(key, str) and _is_recipient(key.strip())),  # and no file's name
    "created": _moment,
    "cluster": _plain(253),
    "cluster_also?": _each(_plain(253)),
    "context": _plain(4096),
    "namespace": _named(names.label),
    "release": _named(names.release),
    "revision": _number(1),
    "chart": _matches(r"[A-Za-z0-9][-A-Za-z0-9._]*", 250),
    "version": _matches(rf"v?\d+(\.\d+){{0,2}}(-{_IDENTIFIER})?(\+{_IDENTIFIER})?", 128),
    "uncovered?": _each(lambda value: isinstance(value, str)),
}
_VOLUME: Mapping[str, Check] = {
    "deployment": is_name,
    "home": _is_home,
    "claim": _or_none(is_name),
    "claim_uid": _or_none(_matches(r"[0-9A-Za-z._-]*", 253)),
    "image": _matches(r"([A-Za-z0-9\[][-A-Za-z0-9._:/@+\[\]]*)?", 4096),
    "image_id": _plain(4096),
    "node": _plain(253),
    "items": _mapping(_plain(253)),
    "entries": _number(0),
    "files": _number(0),
    "bytes": _number(0),
    "databases": _each(is_below),
    "volume?": _matches(r"([a-z0-9][-a-z0-9.]*(@[-A-Za-z0-9._~=]+)?)?", 4096),  # a claim, and a part of it
    "inside?": lambda value: value in ("", ".") or is_below(value),
}
_FILE: Mapping[str, Check] = {
    "path": lambda value: is_below(value) and value not in ("backup.json", "backup.json.sig"),
    "size": _number(0),
    "sha256": _matches(r"[0-9a-f]{64}", 64),
}
