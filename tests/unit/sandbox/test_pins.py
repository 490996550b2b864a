"""Reading go.mod files and ordering Go's versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import SandboxError, gomod, parts, pins
from sandbox.gomod import Version

GO_MOD = """\
module example

require github.com/one/alone v1.0.0

require (
	dario.cat/mergo v1.0.2
	github.com/two/direct v0.1.0 // indirect
	github.com/three/odd v2.0.0+incompatible // indirect
)

replace (
	k8s.io/api => k8s.io/api v0.36.3
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


@pytest.fixture
def go_mod(tmp_path: Path) -> Path:
    file = tmp_path / "go.mod"
    file.write_text(GO_MOD)
    return file


def test_requirements_are_read_from_blocks_and_single_lines(go_mod: Path) -> None:
    assert gomod.requirements(go_mod) == {
        "github.com/one/alone": "v1.0.0",
        "dario.cat/mergo": "v1.0.2",
        "github.com/two/direct": "v0.1.0",
        "github.com/three/odd": "v2.0.0+incompatible",
    }


def test_staging_modules_are_those_replaced_by_folders(go_mod: Path) -> None:
    assert gomod.staging_modules(go_mod.read_text()) == ["k8s.io/client-go"]
    assert gomod.replaced_modules(go_mod) == ["k8s.io/api", "k8s.io/client-go"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("v1.9.0", "v1.10.0"),
        ("v1.0.0-rc.2", "v1.0.0-rc.10"),
        ("v1.0.0-rc.1", "v1.0.0"),
        ("v1.36.12-0.20260120151049-f2248ac996af", "v1.36.12"),
        ("v0.0.0-20241129210726-2c02b8208cf8", "v0.0.0-20250730193827-2d320260d730"),
        ("v2.0.0+incompatible", "v2.0.1+incompatible"),
    ],
)
def test_versions_are_ordered_as_semver_says(older: str, newer: str) -> None:
    assert Version(older) < Version(newer)
    assert not Version(newer) < Version(older)


def test_every_part_has_a_pin_that_is_a_version() -> None:
    assert all(version.startswith("v") for version in parts.versions().values())


def test_every_user_of_kubernetes_replaces_all_of_its_staging_modules_by_its_version() -> None:
    published = parts.versions()["kubernetes"].replace("v1.", "v0.", 1)
    blocks = [
        {line.strip() for line in (parts.SOURCES / user / "go.mod").read_text().splitlines() if "=> k8s.io/" in line}
        for user in pins.USERS_OF_KUBERNETES
    ]

    assert blocks[0] == blocks[1] == blocks[2]
    assert all(line.endswith(f" {published}") for line in blocks[0])


@pytest.mark.parametrize("change", ["kubernetes", "nothing=v1.0.0", "=v1.0.0"])
def test_a_change_that_names_no_part_is_refused(change: str) -> None:
    with pytest.raises(SandboxError, match="cannot pin"):
        pins.change([change], lambda _: None)
