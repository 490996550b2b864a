"""The chart out of a release record, as Helm stores one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from base64 import b64encode
from typing import Any

import pytest

from openab_sop.errors import BackupError
from openab_sop.rebuild import chart_archive

CHART: dict[str, Any] = {
    "metadata": {"apiVersion": "v2", "name": "openab", "version": "1.2.3"},
    "values": {"a": 1},
    "templates": [{"name": "templates/x.yaml", "data": b64encode(b"kind: X\n").decode()}],
    "files": [{"name": "README.md", "data": b64encode(b"# Hi\n").decode()}],
    "schema": b64encode(b"{}").decode(),
}


def stored(chart: dict[str, Any], kind: str = "Secret") -> dict[str, Any]:
    """A release record as the API gives it."""
    raw = b64encode(gzip.compress(json.dumps({"chart": chart}).encode()))
    data = b64encode(raw).decode() if kind == "Secret" else raw.decode()
    return {"kind": kind, "metadata": {"name": "sh.helm.release.v1.x.v1"}, "data": {"release": data}}


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_chart_is_whole(kind: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(chart_archive(stored(CHART, kind)))) as tar:
        names = {
            f"openab/{name}"
            for name in ("Chart.yaml", "values.yaml", "templates/x.yaml", "README.md", "values.schema.json")
        }
        assert set(tar.getnames()) == names
        template = tar.extractfile("openab/templates/x.yaml")
        assert template is not None
        assert template.read() == b"kind: X\n"


def test_dependencies_are_not_in_a_record() -> None:
    chart = CHART | {"metadata": CHART["metadata"] | {"dependencies": [{"name": "other"}]}}
    with pytest.raises(BackupError, match="has dependencies"):
        chart_archive(stored(chart))


@pytest.mark.parametrize("release", ["", "!!", b64encode(b"no gzip").decode()])
def test_damaged_record(release: str) -> None:
    record = stored(CHART) | {"data": {"release": release}}
    with pytest.raises(BackupError, match="cannot be read"):
        chart_archive(record)
