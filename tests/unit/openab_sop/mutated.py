"""Values that somebody else has put into what we have written: JSON, changed in one place at a time."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator
from typing import Any, cast

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1.5,
    float("inf"),
    float("nan"),
    "",
    "..",
    "/",
    "a\0b",
    "--help",
    "\x1b[2J",
    "a\nb",
    "\udcff",
    "x" * 100_000,
    [],
    {},
    [[[[]]]],
    {"a": {"b": [None]}},
    ["x"] * 1000,
)


def mutations(good: Any, number: int, seed: int = 1) -> Iterator[Any]:
    """Yield so many copies of a value, each with one part replaced, doubled, or taken out."""
    chance = random.Random(seed)
    for _ in range(number):
        changed = copy.deepcopy(good)
        places = list(_places(changed))
        holder, key = chance.choice(places)
        how = chance.randrange(4)
        if how == 0:
            del holder[key]
        elif how == 1 and type(key) is int:
            holder.append(holder[key])
        else:
            holder[key] = copy.deepcopy(chance.choice(ODD))
        yield changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a value: what holds it, and by which key."""
    keys: Iterable[Any] = ()
    if isinstance(value, dict):
        keys = list(cast(dict[str, Any], value))
    elif isinstance(value, list):
        keys = range(len(cast(list[Any], value)))
    for key in keys:
        yield value, key
        yield from _places(value[key])
