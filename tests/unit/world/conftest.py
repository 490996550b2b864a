"""What the world's unit tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from sandbox import parts
from sandbox.build import go_binaries
from world.charts import assemble
from world.versions import family

Manifest = dict[str, Any]
Helm = Callable[[Sequence[object]], str]


class Render(Protocol):
    """Renders a version as a release with values: its objects."""

    def __call__(self, version: str, release: str = "openab", values: Manifest | None = None) -> list[Manifest]: ...


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The sandbox's helm, built if the cache does not have it."""
    program = go_binaries(parts.cluster(), print) / "helm"

    def run(arguments: Sequence[object]) -> str:
        words = [str(program), *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def render(helm: Helm, tmp_path: Path) -> Render:
    """helm template, of charts put together for the test."""

    def rendered(version: str, release: str = "openab", values: Manifest | None = None) -> list[Manifest]:
        chart = assemble(family(), family().find(version), tmp_path)
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}))
        output = helm(["template", release, chart, "--values", file])
        return [document for document in yaml.safe_load_all(output) if document]

    return rendered
