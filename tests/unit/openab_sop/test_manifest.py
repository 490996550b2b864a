"""Helm's rendered objects."""

from __future__ import annotations

import pytest

from openab_sop.errors import ReleaseError
from openab_sop.releases.manifest import Manifest

OBJECTS = (("B", "one"), ("A", "two"), ("B", "three"))


def test_objects_in_order_by_kind() -> None:
    one, two, three = (f"---\nkind: {kind}\nmetadata: {{name: {name}}}\n" for kind, name in OBJECTS)
    text = f"{one}{two}---\n# nothing\n{three}"
    manifest = Manifest.parse(text)
    assert [item.name for item in manifest.objects] == ["one", "two", "three"]
    assert [item.name for item in manifest.of_kind("B")] == ["one", "three"]


def test_empty_manifest() -> None:
    assert Manifest.parse("").objects == ()


@pytest.mark.parametrize("text", ["a: b: c", "just text", "kind: A", "- list"])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(ReleaseError, match="not a stream of Kubernetes objects"):
        Manifest.parse(text)
