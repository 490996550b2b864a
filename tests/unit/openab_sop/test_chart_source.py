"""Chart sources: how they are named, and what a classic repository's index may hold; pulling is tried with helm."""

from __future__ import annotations

from pathlib import Path

import pytest

from openab_sop.errors import NotPulled, SettingsError, SourceError
from openab_sop.targets import chart_source
from openab_sop.targets.chart_source import ChartArchive, Local, Oci, Repository, pull
from openab_sop.targets.version import Version, newest_first
from openab_sop.upstream import charts
from tests.served import Says, serving

INDEX = """
apiVersion: v1
entries:
  other: [{version: 9.9.9}]
  openab:
    - {version: 0.8.0, urls: [openab-0.8.0.tgz]}
    - {version: 0.8.1-beta.1}
    - {version: v0.8.1}
    - {version: nonsense}
    - {urls: [x]}
"""


def test_what_is_named_is_told_by_its_shape(tmp_path: Path) -> None:
    assert chart_source.parse(charts.SOURCE) == Oci(charts.SOURCE, "ghcr.io", "openabdev/charts/openab")
    assert chart_source.parse("oci://[::1]:5000/a/openab/") == Oci(
        "oci://[::1]:5000/a/openab", "[::1]:5000", "a/openab"
    )
    assert chart_source.parse(f"{charts.CLASSIC}/") == Repository(charts.CLASSIC)
    assert chart_source.parse(str(tmp_path)) == Local(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "oci://ghcr.io",
        "oci://ghcr.io/openab:0.8.1",
        "oci://ghcr.io/openab@sha256:0",
        "oci://ghcr.io/a b",
        "https://me:s3cret@host/charts",
        "http://[::1",
        "/no/such/chart",
        "openab/openab",
    ],
)
def test_what_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as refused:
        chart_source.parse(text)
    assert "s3cret" not in str(refused.value)


def test_tags_of_a_registry_are_versions() -> None:
    tags = ["latest", "0.8.1", "0.8.1_build.1", "v0.9.0", "0.9.0-beta.1"]
    with serving(lambda _: Says({"tags": tags})) as server:
        source = chart_source.parse(f"oci://{server.host}/charts/openab")
        assert [str(v) for v in source.versions()] == ["0.9.0-beta.1", "0.8.1+build.1", "0.8.1"]
        source.versions()
        assert len(server.asked) == 1, "they are read once"


def test_an_index_lists_the_versions_of_its_chart() -> None:
    with serving(lambda _: Says(INDEX.encode())) as server:
        source = chart_source.parse(f"{server.url}/charts")
        assert [str(version) for version in source.versions()] == ["0.8.1", "0.8.1-beta.1", "0.8.0"]
        source.versions()
        assert server.paths() == ["/charts/index.yaml"], "it is read once"


BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "a0: &a0 [x]" for n in range(30))

BAD = {
    "is missing": (Says(b"", 404), "status 404"),
    "is a page": (Says(b"<html><body>: :"), "is no index"),
    "is a list": (Says(b"[openab]"), "is no index"),
    "is a picture": (Says(b"\x89PNG\xff\xfe"), "is no index"),
    "has other charts": (Says(b"entries: {nginx: [{version: 1.0.0}]}"), "lists no chart openab"),
    "has no charts": (Says(b"entries:"), "lists no chart openab"),
    "has a text": (Says(b"entries: {openab: 0.8.1}"), "is no index"),
    "has texts": (Says(b"entries: {openab: [0.8.1]}"), "is no index"),
    "has aliases": (Says(BOMB.encode()), "is no index"),
    "is deep": (Says(b"- " * 300_000), "is no index"),
    "is deep in brackets": (Says(b"[" * 300_000), "is no index"),
    "makes objects": (Says(b"entries: !!python/object/apply:os.system ['touch /tmp/pwned']"), "is no index"),
}


@pytest.mark.parametrize(("says", "told"), BAD.values(), ids=BAD)
def test_an_index_that_is_none_is_told(says: Says, told: str) -> None:
    with serving(lambda _: says) as server, pytest.raises(SourceError, match=told):
        chart_source.parse(server.url).versions()


class Lagging:
    """A source that lists versions and has only some of them."""

    def __init__(self, *there: str) -> None:
        self.there = there

    def __str__(self) -> str:
        return "source"

    def versions(self) -> tuple[Version, ...]:
        return newest_first(["0.10.0", "0.10.0-beta.3", "0.9.0", "0.8.5", "0.8.4", "0.8.3"])

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        if version.text in self.there:
            return ChartArchive(directory / version.text, "0")
        raise NotPulled(f"{version} is not there", "choose another")


def test_where_the_newest_was_taken_back_the_newest_that_is_there_is_named(tmp_path: Path) -> None:
    assert pull(Lagging("0.10.0"), Version.parse("0.10.0"), tmp_path).path.name == "0.10.0"
    with pytest.raises(NotPulled) as stopped:
        pull(Lagging("0.10.0-beta.3", "0.8.5", "0.8.4"), Version.parse("0.10.0"), tmp_path)
    assert stopped.value.next_step.endswith("is 0.8.5: --target-version=0.8.5")
    with pytest.raises(NotPulled) as stopped:
        pull(Lagging("0.8.3"), Version.parse("0.10.0"), tmp_path)
    assert stopped.value.next_step == "choose another"
