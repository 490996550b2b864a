"""Bad charts: a good version with one change that hurts whoever upgrades to it, by the plan's rule that names it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from world.charts import Helm, assemble
from world.versions import Family

BASE = "0.8.2"
"""The version that they are made from; its image is theirs."""


@cache
def harms() -> Mapping[str, Mapping[str, Any]]:
    """Every bad chart of ``harms.toml`` by its name."""
    return tomllib.loads(Path(__file__).with_name("harms.toml").read_text())


def package_harm(family: Family, name: str, registry: str, directory: Path, helm: Helm) -> Path:
    """Package a bad chart below ``directory``.

    Args:
        registry: host and port that ``@REGISTRY@`` stands for.

    Raises:
        KeyError: there is none of this name.
        ValueError: a text that is to be replaced is not there once, since the family has changed.
    """
    harm = harms()[name]
    chart = assemble(family, family.find(BASE), directory)
    for file, old, new in harm["edits"]:
        _edit(chart / file, old, new.replace("@REGISTRY@", registry))
    if renamed := harm.get("name"):
        _edit(chart / "Chart.yaml", '"name": "openab"', f'"name": "{renamed}"')
    helm(["package", "--destination", directory, chart])
    return directory / f"{harm.get('name', 'openab')}-{BASE}.tgz"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text() if path.exists() else ""
    if old and text.count(old) != 1:
        raise ValueError(f"{path.name} has {old!r} {text.count(old)} times")
    path.write_text(text.replace(old, new) if old else text + new)
