"""Documents of others: what is beyond the bounds is refused with a name, soon; what people write passes (issue 14)."""

from __future__ import annotations

import ast
import gzip
import json
import lzma
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from openab_sop import bounded
from openab_sop.errors import InvalidDocument

ROOT = Path(__file__).resolve().parents[3]
SOON = 3.0
"""Seconds of processor time, generous: what was read before took minutes, or all memory."""
LETTERS = "abcdefghij"


def amplified(line: str) -> str:
    """A document whose every line stands for nine times the one before."""
    lines = (line.format(own=own, above=above) for above, own in pairwise(LETTERS))
    return "\n".join(("a: &a {k: 1}", *lines))


NINE = ",".join(["*{above}"] * 9)
HOSTILE: dict[str, tuple[Callable[[Any, str], object], str | bytes, str]] = {
    "aliases": (bounded.load_yaml, amplified("{own}: &{own} [" + NINE + "]"), "values, aliases counted"),
    "merge keys": (bounded.load_yaml, amplified("{own}: &{own} {{<<: [" + NINE + "]}}"), "values, aliases counted"),
    "values": (bounded.load_yaml, "[" + "1," * 600_000 + "]", "values, aliases counted"),
    "itself": (bounded.load_yaml, "&a [*a]", "an alias of what is not there"),
    "deep YAML": (bounded.load_yaml, "[" * 100_000, "levels"),
    "deep blocks": (bounded.load_yaml, "- " * 100_000, "levels"),
    "sexagesimal": (bounded.load_yaml, "1" + ":1" * 500_000, "a number of more than"),
    "endless": (bounded.load_yaml, "a: .inf", "no number"),
    "a date": (bounded.load_yaml, "2001-99-99", "no valid YAML"),
    "a tag": (bounded.load_yaml, "!!python/object/apply:os.system [true]", "no valid YAML"),
    "a wrong tag": (bounded.load_yaml, "!!timestamp x", "no valid YAML"),
    "a key": (bounded.load_yaml, "? [a]\n: b", "no valid YAML"),
    "control": (bounded.load_yaml, "a: \x01", "no valid YAML"),
    "no text": (bounded.load_yaml, b"\xff\xfe\x00", "no valid YAML"),
    "two": (bounded.load_yaml, "a: 1\n---\nb: 2\n", "more than one"),
    "deep JSON": (bounded.load_json, "[" * 100_000, "levels"),
    "deeper than is built": (bounded.load_json, "[" * 200 + "]" * 200, "levels"),
    "infinity": (bounded.load_json, "[1e999]", "no number"),
    "NaN": (bounded.load_json, '{"size": NaN}', "no number"),
    "digits": (bounded.load_json, "9" * 4000, "a number of more than"),
    "no JSON": (bounded.load_json, b"\xff", "no valid JSON"),
    "dotted": (bounded.load_toml, "a" + ".a" * 500_000 + "=1", "a key of more than"),
    "dotted and quoted": (bounded.load_toml, '"a"' + '."a"' * 300_000 + "=1", "a key of more than"),
    "deep TOML": (bounded.load_toml, "a=" + "[" * 100_000, "levels"),
    "gzip": (bounded.gunzip, gzip.compress(bytes(bounded.LARGEST + 1)), "when it is unpacked"),
    "gzip in pieces": (bounded.gunzip, gzip.compress(bytes(bounded.LARGEST // 2)) * 3, "when it is unpacked"),
    "gzip cut off": (bounded.gunzip, gzip.compress(b"abc" * 1000)[:-9], "cut off"),
    "no gzip": (bounded.gunzip, b"PK\x03\x04", "no valid gzip"),
    "lzma": (bounded.unxz, lzma.compress(bytes(bounded.LARGEST + 1)), "when it is unpacked"),
    "lzma cut off": (bounded.unxz, lzma.compress(b"abc" * 1000)[:-9], "cut off"),
    "no lzma": (bounded.unxz, b"PK\x03\x04", "no valid lzma"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_beyond_the_bounds_is_refused_soon(name: str) -> None:
    read, document, told = HOSTILE[name]
    begun = time.process_time()
    with pytest.raises(InvalidDocument, match=f"values.yaml cannot be read: .*{told}"):
        read(document, "values.yaml")
    assert time.process_time() - begun < SOON


def test_what_people_write_passes() -> None:
    text = "base: &base {b: 1, c: 1.5, d: 2001-01-01}\nown:\n  <<: *base\n  e: '1e999'\n  f: 0x1F\n"
    assert bounded.load_yaml(text, "")["own"] == bounded.load_yaml(text, "")["base"] | {"e": "1e999", "f": 31}
    assert list(bounded.load_all_yaml("a: 1\n---\n---\nb: 2\n", "")) == [{"a": 1}, None, {"b": 2}]
    assert bounded.load_yaml("", "") is None
    document = {"a": [1, -1.5e3, None, True, "\u00e9", {"b": 1 << 70}]}
    assert bounded.load_json(json.dumps(document), "") == document
    assert bounded.load_toml('[a.b."c.d"]\nx = "www.example.org"\n', "") == {
        "a": {"b": {"c.d": {"x": "www.example.org"}}}
    }
    assert bounded.gunzip(gzip.compress(b"one") + gzip.compress(b"two"), "") == b"onetwo"
    assert bounded.unxz(lzma.compress(b"one"), "") == b"one"


def test_an_agents_own_configuration_may_have_any_number() -> None:
    """A file that its program reads must not be taken for broken."""
    assert bounded.load_json("[1e999]", "", any_number=True) == [float("inf")]
    assert bounded.load_yaml("a: .inf", "", any_number=True) == {"a": float("inf")}


def test_one_module_calls_the_parsers() -> None:
    parsers = {"safe_load", "safe_load_all", "load_all", "full_load", "loads", "load", "decompress"}
    modules = {"yaml", "json", "tomllib", "gzip", "lzma", "zlib", "bz2"}
    known = {
        "openab_sop/backups/inventory.py",  # a line at a time, and the line is bounded there
        "openab_sop/rehearsals/placeholders.py",  # only asks whether a text is JSON
    }
    found: set[str] = set()
    for path in (ROOT / "openab_sop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in parsers and isinstance(node.value, ast.Name):
                found |= {str(path.relative_to(ROOT))} if node.value.id in modules else set()
    assert found - known == {"openab_sop/bounded.py"}
