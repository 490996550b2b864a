"""Where charts come from: an OCI registry, a classic repository, or this machine (SOP 1.3).

A chart is pulled once, by helm, and kept under its digest: whatever the source does later, every step uses the same
bytes, and so does the run that goes on where another stopped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast
from urllib.parse import urlsplit

from openab_sop import bounded, storage
from openab_sop.cluster import helm
from openab_sop.errors import NotPulled, SettingsError, SourceError, ToolError
from openab_sop.escape import command
from openab_sop.objects import Object, at, parts
from openab_sop.targets import web
from openab_sop.targets.registry import Registry
from openab_sop.targets.version import Version, newest_first
from openab_sop.upstream.charts import CHARTS, CLASSIC, SOURCE

TRIED = 3
"""Older versions that are tried where one was taken back."""
_OCI = re.compile(r"oci://(?P<host>[\w.:\[\]-]+)/(?P<repository>[a-z0-9][a-z0-9._/-]*)")


@dataclass(frozen=True)
class ChartArchive:
    """A chart's archive on this machine, and its SHA-256."""

    path: Path
    digest: str


class ChartSource(Protocol):
    """Offers versions of one chart; its text is how messages name it. What it offers is asked once.

    Raises (every method):
        SourceError: it does not answer, or offers something that it must not.
    """

    def versions(self) -> tuple[Version, ...]:
        """Return what it offers, newest first."""
        ...

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        """Keep the archive of a version below ``directory``, in a directory that its SHA-256 names."""
        ...


def parse(text: str, names: tuple[str, ...] = CHARTS) -> ChartSource:
    """Read the value of ``--chart``.

    Args:
        text: ``oci://host/path/openab``, the address of a classic repository, or a path.
        names: what the chart may be called; where names are looked up, it is called as the first.

    Raises:
        SettingsError: it is neither.
    """
    try:
        address = urlsplit(text)
    except ValueError as error:
        raise SettingsError(f"--chart={text} is no address", f"write it as {SOURCE}, or {CLASSIC}") from error
    if "@" in address.netloc:
        raise SettingsError("--chart holds a user's name or password", "leave it out; helm registry login keeps logins")
    if address.scheme == "oci":
        if match := _OCI.fullmatch(text.rstrip("/")):
            return Oci(text.rstrip("/"), match["host"], match["repository"], names)
        raise SettingsError(
            f"--chart={text} is no address of a chart in a registry",
            f"write it as {SOURCE}; the version has an option of its own, --target-version",
        )
    if address.scheme in ("https", "http"):
        return Repository(text.rstrip("/"), names)
    try:
        path = Path(text).expanduser().absolute()
        is_there = path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, or of a home that is none
        raise SettingsError(f"--chart={text[:200]!r} is no path: {error}"[:400], f"write it as {SOURCE}") from error
    if not is_there:
        raise SettingsError(f"--chart={text} does not exist", f"name a directory, an archive, {SOURCE}, or {CLASSIC}")
    return Local(path, names)


@dataclass(frozen=True)
class Oci:
    """A chart in an OCI registry: its address, and the address's parts."""

    address: str
    host: str
    repository: str
    names: tuple[str, ...] = CHARTS

    def __str__(self) -> str:
        return self.address

    def versions(self) -> tuple[Version, ...]:
        """Return the tags that are versions; a tag has _ where the version has +."""
        # helm sees none that begins with v
        return newest_first(tag.replace("_", "+") for tag in self._tags if not tag.startswith("v"))

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        """Pull by helm, which knows logins and proves the registry's digests."""
        plain = ("--plain-http",) if Registry.at(self.host).address.startswith("http:") else ()
        with _pulling(self, version, directory) as own:
            helm.pull(self.address, *plain, version=version.text, directory=own)
            return _kept(self, self.names, version, own)

    @cached_property
    def _tags(self) -> list[str]:
        return Registry.at(self.host).tags(self.repository)


@dataclass(frozen=True)
class Repository:
    """A classic repository: an index.yaml, and archives."""

    address: str
    names: tuple[str, ...] = CHARTS

    def __str__(self) -> str:
        return self.address

    def versions(self) -> tuple[Version, ...]:
        """Return what its index lists of the chart."""
        return newest_first(str(entry.get("version")) for entry in self._entries)

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        """Pull by helm, and compare with the digest in the index."""
        with _pulling(self, version, directory) as own:
            helm.pull(self.names[0], f"--repo={self.address}", version=version.text, directory=own)
            pulled = _kept(self, self.names, version, own)
        digests = {str(e.get("digest")).removeprefix("sha256:") for e in self._entries if _is(e, version)}
        if digests - {"None", pulled.digest}:
            raise SourceError(
                f"the archive of {version} in {self} is not the one in its index: SHA-256 {pulled.digest}",
                "do not use it; ask who runs the repository",
            )
        return pulled

    @cached_property
    def _entries(self) -> list[Object]:
        answer = web.get(f"{self.address}/index.yaml")
        if answer.status != 200:
            raise SourceError(
                f"{web.without_credentials(answer.url)} answers with status {answer.status}",
                "check the address in --chart",
            )
        entries = parts(_index(answer, self.names[0]), "entries", self.names[0])
        if not entries:
            raise SourceError(
                f"{web.without_credentials(answer.url)} lists no chart {self.names[0]}", "check the address in --chart"
            )
        return entries


@dataclass(frozen=True)
class Local:
    """A chart on this machine: a directory or an archive; it has the one version that it says."""

    path: Path
    names: tuple[str, ...] = CHARTS

    def __str__(self) -> str:
        return str(self.path)

    def versions(self) -> tuple[Version, ...]:
        """Return its version."""
        return (Version.parse(helm.chart_at(self.path).version),)

    def pull(self, version: Version, directory: Path) -> ChartArchive:
        """Package the directory, or copy the archive."""
        with _pulling(self, version, directory) as own:
            if self.path.is_dir():
                helm.package(self.path, own)
            else:
                shutil.copyfile(self.path, own / f"{self.names[0]}-{version}.tgz")
            return _kept(self, self.names, version, own)


def pull(source: ChartSource, version: Version, directory: Path) -> ChartArchive:
    """Pull a version as ``ChartSource.pull`` does; of one that was taken back, name the newest older one that is there.

    Raises:
        NotPulled: it was taken back.
        SourceError: as ``ChartSource.pull`` raises it.
    """
    try:
        return source.pull(version, directory)
    except NotPulled as error:
        if (other := _newest_before(source, version, directory)) is None:
            raise
        next_step = f"the newest stable version that can be pulled is {other}: {command(f'--target-version={other}')}"
        raise NotPulled(error.problem, next_step) from error


def _newest_before(source: ChartSource, version: Version, directory: Path) -> Version | None:
    older = (one for one in source.versions() if not one.prerelease and one.is_older_than(version))
    for other in islice(older, TRIED):
        with suppress(SourceError):
            source.pull(other, directory)
            return other
    return None


@contextmanager
def _pulling(source: ChartSource, version: Version, directory: Path) -> Generator[Path]:
    """Give an empty directory for one archive, and tell helm's failure as the source's."""
    storage.private_directory(directory)
    with storage.translate_os_errors(directory), TemporaryDirectory(dir=directory, prefix=".") as own:
        try:
            yield Path(own)
        except ToolError as error:
            raise NotPulled(
                f"{source} offers {version}, but it cannot be pulled (was it taken back?): {error.problem}",
                "choose another with --target-version, or another source with --chart",
            ) from error


def _kept(source: ChartSource, names: tuple[str, ...], version: Version, own: Path) -> ChartArchive:
    """Keep the archive that was put into a directory, if it is what was asked for."""
    archives = list(own.glob("*.tgz"))
    chart = helm.chart_at(archives[0]) if len(archives) == 1 else None
    if chart is None or chart.name not in names or version not in newest_first([chart.version]):
        seen = f"{chart.name} {chart.version}" if chart else f"{len(archives)} archives"
        raise SourceError(
            f"{source} gives {seen} for {names[0]} {version}",
            "name another source with --chart; ask who runs this one",
        )
    digest = storage.digest(archives[0])
    kept = own.parent / digest
    storage.private_directory(kept)
    archives[0].chmod(0o600)
    return ChartArchive(archives[0].replace(kept / archives[0].name), digest)


def _index(answer: web.HttpResponse, name: str) -> Object:
    try:
        index: object = bounded.load_yaml(answer.body.decode(), web.without_credentials(answer.url))
        if isinstance(index, dict) and _are_entries(cast(Object, index), name):
            return cast(Object, index)
    except ValueError:
        pass
    raise SourceError(
        f"{web.without_credentials(answer.url)} is no index of a chart repository", "check the address in --chart"
    )


def _are_entries(index: Object, name: str) -> bool:
    listed: object = at(index, "entries", name) or []
    return isinstance(listed, list) and all(isinstance(entry, dict) for entry in cast(list[object], listed))


def _is(entry: Object, version: Version) -> bool:
    return version in newest_first([str(entry.get("version"))])
