"""Which values there are, a chart without one of them, and which charts render alike; renderings need helm itself."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from openab_sop.objects import Object
from openab_sop.plans import effects
from openab_sop.plans.effects import leaves, without
from tests.unit.openab_sop.plans.drawn import deployment, secret

VALUES: Object = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}, "f": None, "g": "x"}
CHART = {
    "Chart.yaml": "version: 0.8.1",
    "values.yaml": "a: 1\nb: 2\n",
    "templates/x.yaml": "kind: X",
    "templates/NOTES.txt": "Welcome",
    "README.md": "one",
}


def test_every_value_is_tried_once() -> None:
    assert list(leaves(VALUES)) == [("a", "b"), ("a", "c", "d"), ("e",), ("f",), ("g",)]
    assert list(leaves({})) == []


def test_one_value_is_left_out_and_nothing_else() -> None:
    before = repr(VALUES)
    assert without(VALUES, ("a", "c", "d")) == {**VALUES, "a": {"b": 1, "c": {}}}
    assert without(VALUES, ("g",)) == {"a": VALUES["a"], "e": {}, "f": None}
    assert repr(VALUES) == before


def archive(directory: Path, name: str = "chart.tgz", **changed: str) -> Path:
    """A chart; a file that becomes empty is left out."""
    path = directory / name
    files = {**CHART, **{key.replace("__", "/").replace("_", "."): value for key, value in changed.items()}}
    with tarfile.open(path, "w:gz") as chart:
        for file, text in files.items():
            if text:
                member = tarfile.TarInfo(f"openab/{file}")
                member.size = len(text)
                chart.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"Chart_yaml": "version: 0.9.0"}, True),
        ({"templates__NOTES_txt": "Good bye"}, True),
        ({"README_md": "two"}, True),
        ({"values_yaml": "# how\nb: 2\na: 1\n"}, True),
        ({"values_yaml": "a: 1\nb: 3\n"}, False),
        ({"templates__x_yaml": "kind: Y"}, False),
        ({"templates__y_yaml": "kind: X"}, False),
        ({"templates__x_yaml": ""}, False),
        ({"charts__sub_tgz": "x"}, False),
    ],
    ids=str,
)
def test_charts_that_render_alike(tmp_path: Path, changed: dict[str, str], same: bool) -> None:
    sources = effects._sources  # pyright: ignore[reportPrivateUsage]
    assert (sources(archive(tmp_path)) == sources(archive(tmp_path, "other.tgz", **changed))) is same


def test_only_checksums_do_not_count() -> None:
    plain = effects._plain  # pyright: ignore[reportPrivateUsage]
    one = deployment(annotations={"checksum/config": "a", "x": "y"})
    assert plain(one) == plain(deployment(annotations={"checksum/config": "b", "x": "y"}))
    assert plain(one) == deployment(annotations={"x": "y"})
    assert plain(one) != plain(deployment(annotations={"x": "z"}))
    assert plain(one) != plain(deployment(annotations={"x": "y"}, image="x:1"))
    assert plain(secret()) == secret()
