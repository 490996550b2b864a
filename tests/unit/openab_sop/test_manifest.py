"""Helm's rendered objects."""

from __future__ import annotations

import pytest
import yaml

from openab_sop.errors import ReleaseError
from openab_sop.releases.manifest import ReleaseManifest

OBJECTS = (("B", "one"), ("A", "two"), ("B", "three"))


def test_objects_in_order_by_kind() -> None:
    one, two, three = (f"---\nkind: {kind}\nmetadata: {{name: {name}}}\n" for kind, name in OBJECTS)
    text = f"{one}{two}---\n# nothing\n{three}"
    manifest = ReleaseManifest.parse(text)
    assert [item.name for item in manifest.objects] == ["one", "two", "three"]
    assert [item.name for item in manifest.of_kind("B")] == ["one", "three"]


def test_empty_manifest() -> None:
    assert ReleaseManifest.parse("").objects == ()


@pytest.mark.parametrize("text", ["a: b: c", "just text", "kind: A", "- list"])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(ReleaseError, match="not a stream of Kubernetes objects"):
        ReleaseManifest.parse(text)


@pytest.mark.parametrize(
    "spec", [5, "a", {"containers": {"a": 1}}, {"containers": [5]}, {"containers": [{"name": "A/b"}]}]
)
def test_a_task_of_no_pods_shape_is_passed_over(spec: object) -> None:
    good = {"kind": "Pod", "metadata": {"name": "good"}, "spec": {"containers": [{"name": "it", "image": "x:1"}]}}
    bad = {"kind": "Pod", "metadata": {"name": "bad"}, "spec": spec}
    text = yaml.safe_dump_all([{"apiVersion": "v1", **body} for body in (good, bad)])
    assert [task.name for task in ReleaseManifest.parse(text).tasks] == ["good"]
