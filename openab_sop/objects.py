"""Kubernetes objects as the API's JSON has them, and typed ways into them.

They stay inside the modules that parse them into values: nothing else passes dictionaries around.
"""

from __future__ import annotations

from typing import Any, cast

import yaml

Object = dict[str, Any]


def at(body: Object, *path: str) -> Any:
    """Return what is at a path of keys, None where the path ends early."""
    value: Any = body
    for key in path:
        if not isinstance(value, dict):
            return None
        value = cast(Object, value).get(key)
    return value


def part(body: Object, *path: str) -> Object:
    """Return the object at a path, empty if there is none."""
    return cast(Object, at(body, *path) or {})


def parts(body: Object, *path: str) -> list[Object]:
    """Return the list of objects at a path, empty if there is none."""
    return cast(list[Object], at(body, *path) or [])


def as_yaml(body: Object) -> bytes:
    """Return an object as YAML, without the API server's own bookkeeping of who changed which field."""
    metadata = {key: value for key, value in part(body, "metadata").items() if key != "managedFields"}
    return yaml.safe_dump({**body, "metadata": metadata}, sort_keys=False, allow_unicode=True).encode()
