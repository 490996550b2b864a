"""A cached build is used again exactly as long as nothing that decides its outcome has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import SandboxError, build
from sandbox.build import GoBuild

COMPILER = "go1.26.0 amd64"


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoBuild:
    monkeypatch.setenv("OPENAB_SANDBOX_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "hello"
    source.mkdir()
    (source / "go.mod").write_text("module hello\n\ngo 1.21\n")
    (source / "main.go").write_text('package main\n\nvar name = "nobody"\n\nfunc main() { println(name) }\n')
    return GoBuild(source, (".",))


def test_the_key_stays_while_nothing_changes(part: GoBuild) -> None:
    (part.source / "README.md").write_text("no input of the compiler")

    assert build.key(part, COMPILER) == build.key(replace(part, label="another name"), COMPILER)


@pytest.mark.parametrize(
    "change",
    [
        {"cgo": True},
        {"tags": ("seccomp",)},
        {"links": ("hi",)},
        {"packages": ("./other",)},
        {"strings": (("main.name", "you"),)},
        {"data": (("example.com/module", "directory"),)},
    ],
)
def test_the_key_follows_every_flag(part: GoBuild, change: dict[str, Any]) -> None:
    assert build.key(replace(part, **change), COMPILER) != build.key(part, COMPILER)


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "inner/other.go"])
def test_the_key_follows_every_source(part: GoBuild, name: str) -> None:
    before = build.key(part, COMPILER)
    file = part.source / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("// changed\n")

    assert build.key(part, COMPILER) != before


def test_the_key_follows_the_compiler(part: GoBuild) -> None:
    assert build.key(part, "go1.27.0 amd64") != build.key(part, COMPILER)


def test_a_build_runs_once_and_gives_what_was_asked_for(part: GoBuild) -> None:
    asked = replace(part, links=("hi",), strings=(("main.name", "you"),))
    said = list[str]()

    first = build.go_binaries(asked, said.append)
    second = build.go_binaries(asked, said.append)

    assert first == second
    assert said == ["building hello"]
    assert (first / "hi").resolve() == first / "hello"


def test_a_failed_build_names_the_part_and_leaves_nothing_to_be_used(part: GoBuild) -> None:
    (part.source / "main.go").write_text("package main\n\nfunc main() { nonsense }\n")

    with pytest.raises(SandboxError, match=r"building hello failed(.|\n)*undefined: nonsense"):
        build.go_binaries(part, lambda _: None)
    assert not build.is_built(part)
