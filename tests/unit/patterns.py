"""Every pattern of the library and the plugins, and texts that nearly match it, derived from the pattern itself."""

from __future__ import annotations

import ast
import importlib
import os
import re
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any, cast

compiler, ops, parser = (
    cast(Any, importlib.import_module(f"re._{name}")) for name in ("compiler", "constants", "parser")
)
"""How ``re`` takes a pattern apart; no other way is there to know its parts."""
ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("openab_sop", "fixtures")
PROBES = " \t\n\r\0aAzZ09_-.:=/\\'\"<>#*[]{}()@,;+!éx"
"""Characters of every kind that a pattern may tell apart."""
SMALL, DOUBLINGS = 4000, 3
"""Characters of the shortest text, and how often it is doubled for a pattern that takes long for it."""
ENDLESS = 64
"""Rounds above which a run counts as one without an end."""
QUICK = 1e-3
"""Seconds of processor time for the shortest text, below which no pattern grows faster than its text: one that tries
each place against the whole rest has millions of steps to do by then."""
FASTER = 3.0
"""How much longer a pattern may take for twice the text: 2 is linear, 4 quadratic."""
LONGEST = 0.5
"""Seconds after which a text is not doubled any more."""
TEXTS = 200
"""Texts that are tried of a pattern; ``OPENAB_FUZZ=N`` tries N times as many."""
_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)
_CALLS = ("compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")


@dataclass(frozen=True)
class Named:
    """A pattern, where it stands, and by which methods it is used there; by all if that cannot be told."""

    where: str
    pattern: re.Pattern[Any]
    calls: frozenset[str]


def patterns() -> Iterator[Named]:
    """Yield every pattern that is compiled when the modules are imported, and every one that stands in a function."""
    seen: set[tuple[Any, int]] = set()
    for path in _modules():
        for found in (*_of_module(path), *_of_source(path)):
            key = (found.pattern.pattern, found.pattern.flags)
            if key not in seen:
                seen.add(key)
                yield found


def composed() -> Iterator[str]:
    """Yield where in a function a pattern is put together: nobody but its own test can know it."""
    for path in _modules():
        for function, call in _calls(path):
            if function and not isinstance(call.args[0], ast.Constant):
                yield f"{path.relative_to(ROOT)}:{function}"


def _modules() -> list[Path]:
    return sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def _of_module(path: Path) -> Iterator[Named]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    text = path.read_text()
    for variable, value in vars(importlib.import_module(name)).items():
        by = variable if isinstance(value, re.Pattern) else "pattern"  # one of several is called so in a loop
        used = frozenset(re.findall(rf"\b{by}\.(\w+)\(", text)) & frozenset(_CALLS)
        for pattern in _within(cast(object, value)):
            yield Named(f"{name}.{variable}", pattern, used or frozenset(_CALLS))


def _within(value: object, depth: int = 3) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from _within(list(value.values()), depth)  # pyright: ignore
    elif isinstance(value, list | tuple | set | frozenset) and depth:
        for one in value:  # pyright: ignore
            yield from _within(one, depth - 1)  # pyright: ignore


def _of_source(path: Path) -> Iterator[Named]:
    for function, call in _calls(path):
        first = call.args[0]
        if function and isinstance(first, ast.Constant):
            yield Named(
                f"{path.relative_to(ROOT)}:{call.lineno}", re.compile(cast(str, first.value), _flags(call)), _used(call)
            )


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of ``re`` in a module, and the function that it is in; empty at the module's top."""

    def below(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{name}" for name in _CALLS}:
            yield function, node
        for child in ast.iter_child_nodes(node):
            yield from below(child, function)

    return below(ast.parse(path.read_text(), path), "")


def _used(call: ast.Call) -> frozenset[str]:
    assert isinstance(call.func, ast.Attribute)
    return frozenset(_CALLS) if call.func.attr == "compile" else frozenset((call.func.attr,))


def _flags(call: ast.Call) -> int:
    """Flags of a call, wherever they stand in it."""
    given = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    named = (node for value in given for node in ast.walk(value) if isinstance(node, ast.Attribute))
    return sum(int(getattr(re, node.attr)) for node in named if node.attr.isupper() and hasattr(re, node.attr))


# Texts.


def near_misses(pattern: re.Pattern[Any], size: int) -> Iterator[tuple[str, str]]:
    """Yield texts of about so many characters that begin as the pattern does and then go on, each after what it is."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    if not (leading := list(_begins(tree, ""))):
        return
    begins = list(dict.fromkeys(["", *leading]))
    pumps = dict.fromkeys([*PROBES, *_pumps(tree)])
    pairs = [(begin, pump) for begin in begins for pump in pumps]
    pairs += [("", pump) for begin in begins for pump in (begin, begin[:-1], *(begin + sign for sign in "-. :\n"))]
    for begin, pump in dict.fromkeys(pairs):
        for end in ("\0", "\n!") if pump else ():
            yield f"{begin[:40]!r} {pump[:40]!r}* {end!r}", begin + pump * (size // len(pump)) + end


def _begins(items: Iterable[Any], before: str) -> Iterator[str]:
    """Yield what leads to each run without an end, and past it: what has none takes no longer for a longer text."""
    for op, argument in items:
        if _is_endless(op, argument):
            yield before
            yield before + _sample([(op, argument)])
        for inner in _inner(op, argument):
            yield from _begins(inner, before)
        before += _sample([(op, argument)])


def _pumps(items: Iterable[Any]) -> Iterator[str]:
    """Yield one round of each run without an end, in each of its forms."""
    for op, argument in items:
        if _is_endless(op, argument):
            yield _sample(argument[2])
            for inner_op, inner in argument[2]:
                yield from (f"{quote}{_sample(part)}" for part in _inner(inner_op, inner) for quote in ("", '"', "'"))
        for part in _inner(op, argument):
            yield from _pumps(part)


def _is_endless(op: Any, argument: Any) -> bool:
    return op in _REPEATS and int(argument[1]) > ENDLESS


def _inner(op: Any, argument: Any) -> Iterator[Any]:
    if op in _REPEATS:
        yield argument[2]
    elif op is ops.BRANCH:
        yield from argument[1]
    elif op is ops.SUBPATTERN:
        yield argument[3]
    elif op is ops.ATOMIC_GROUP:
        yield argument
    elif op in (ops.ASSERT, ops.ASSERT_NOT):
        yield argument[1]


def _sample(items: Iterable[Any]) -> str:
    """Return a short text that these items match, or nearly."""
    return "".join(_one(op, argument) for op, argument in items)


def _one(op: Any, argument: Any) -> str:
    if op is ops.LITERAL:
        return chr(argument)
    if op in (ops.NOT_LITERAL, ops.ANY, ops.IN):
        return _member(op, argument)
    rounds = max(1, min(int(argument[0]), 64)) if op in _REPEATS else 1
    if op is ops.ASSERT_NOT or (op is ops.ASSERT and argument[0] > 0):
        return ""  # what follows says it
    return _sample(next(iter(_inner(op, argument)), ())) * rounds


def _member(op: Any, argument: Any) -> str:
    """Return a character of a set."""
    if op is ops.ANY:
        return "a"
    alone = parser.SubPattern(parser.State(), [(op, argument)])
    one = compiler.compile(alone)
    return next((probe for probe in "aA0" + PROBES if one.fullmatch(probe)), "a")


# Growth.


class Late(Exception):
    """A pattern has taken too long for one text."""


def searches(named: Named) -> tuple[Callable[[Any], object], ...]:
    """Return what to do with a text, as the pattern is used."""
    anchored = {"match", "fullmatch"}
    pattern: Any = named.pattern
    found: list[Callable[[Any], object]] = [getattr(named.pattern, name) for name in sorted(named.calls & anchored)]
    if named.calls - anchored:
        found.append(lambda text: sum(map(bool, pattern.finditer(text))))
    return tuple(found)


def faster_than_its_text(named: Named) -> str:
    """Return the kind of text for which a pattern takes far more than twice the time for twice the text; empty if none.

    The first measure is coarse, so that thousands of texts are soon tried; what it suspects is doubled several times.
    """
    small = list(near_misses(named.pattern, SMALL))
    indices = range(0, len(small), 1 + len(small) // (TEXTS * int(os.environ.get("OPENAB_FUZZ", "1"))))
    usual = median(_taken(named, small[at][1], tries=1) for at in indices[:: 1 + len(indices) // 10]) if small else 0
    slow = max(QUICK, 4 * min(usual, QUICK))
    for at in indices:
        what, text = small[at]
        if _taken(named, text, tries=1) > slow and _taken(named, text) > slow and _grows(named, at):
            return what
    return ""


def _grows(named: Named, at: int) -> bool:
    taken: list[float] = []
    for doubling in range(DOUBLINGS + 1):
        *_, (_, text) = islice(near_misses(named.pattern, SMALL << doubling), at + 1)
        taken.append(_taken(named, text))
        if taken[-1] >= LONGEST:
            return True
    return all(then > FASTER * max(now, QUICK) for now, then in pairwise(taken))


def _taken(named: Named, text: str, tries: int = 3) -> float:
    """Return the seconds of processor time for a text, the least of some tries; at most ``LONGEST``."""
    subject: Any = text.encode("latin-1", "replace") if isinstance(named.pattern.pattern, bytes) else text
    best = LONGEST
    for _ in range(tries):
        begun = time.process_time()
        try:
            with _limited():
                for search in searches(named):
                    search(subject)
        except Late:
            return LONGEST
        best = min(best, time.process_time() - begun)
    return best


@contextmanager
def _limited() -> Generator[None]:
    """Stop what takes too long: ``re`` looks for signals on its way."""

    def stop(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
