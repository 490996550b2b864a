"""Turns a version into a packaged chart: layers of files, put together and given to `helm package`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from world.versions import Family, Version

Helm = Callable[[Sequence[object]], str]
"""Runs helm with these arguments and returns its output."""


def assemble(family: Family, version: Version, directory: Path) -> Path:
    """Write the chart's source below `directory` and return its own directory there."""
    target = directory / f"{version.name}-{version.version}"
    for layer in family.generations[version.chart]:
        shutil.copytree(layer, target, dirs_exist_ok=True)
    values = target / "values.yaml"
    values.write_text(values.read_text().replace("@TAG@", version.tag).replace("@NAME@", version.name))
    chart = {
        "apiVersion": "v2",
        "name": version.name,
        "description": "A stand-in for OpenAB's chart",
        "type": "application",
        "version": version.version,
        "appVersion": version.version,
    }
    (target / "Chart.yaml").write_text(json.dumps(chart, indent=2))  # JSON is YAML
    return target


def package(family: Family, versions: Sequence[Version], sources: Path, out: Path, helm: Helm) -> list[Path]:
    """Package `versions` into `out`, putting their sources together below `sources`."""
    out.mkdir(parents=True, exist_ok=True)
    helm(["package", "--destination", out, *(assemble(family, version, sources) for version in versions)])
    return [out / f"{version.name}-{version.version}.tgz" for version in versions]
