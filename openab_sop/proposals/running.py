"""A release as it runs: what values for another version are made from, and compared with."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from openab_sop import redact
from openab_sop.cluster.helm import Helm
from openab_sop.objects import Object, part
from openab_sop.proposals.comparison import Live, parsed
from openab_sop.releases import portable_objects
from openab_sop.releases.manifest import RENDERED, ReleaseManifest
from openab_sop.releases.release import Release


@dataclass(frozen=True)
class Running:
    """A release, without the cluster that it is on.

    Attributes:
        name: of the release.
        helm: renders its chart and others.
        chart: the packaged chart that it was installed from.
        version: of that chart.
        values: what it was installed with.
        manifest: its objects, without hooks.
        live: texts of its ConfigMaps as they are now.
    """

    name: str
    helm: Helm
    chart: Path
    version: str
    values: Object
    manifest: ReleaseManifest
    live: Live = field(default_factory=dict[tuple[str, str], str])

    def rendered(self, chart: Path, values: str) -> ReleaseManifest:
        """Return the objects, without hooks, that a chart makes of this release with values.

        Raises:
            ToolError: it cannot be rendered.
        """
        return ReleaseManifest.parse(self.helm.template(self.name, chart, values), RENDERED).parted()[0]

    @property
    def app(self) -> str:
        """The appVersion of its chart."""
        labels = (part(w.body, "metadata", "labels") for w in self.manifest.workloads if w.is_agent)
        named = (str(found.get("app.kubernetes.io/version") or "") for found in labels)
        return next(filter(None, named), self.version)


@contextmanager
def running(release: Release) -> Generator[Running]:
    """Read a release from Helm's record, and its ConfigMaps from the cluster; what is secret in them is masked.

    Raises:
        BackupError: the chart cannot be packed from the record.
        ReleaseError: the record is not readable.
    """
    record = release.helm.record(release.name, release.revision)
    manifest = ReleaseManifest.parse(record.manifest).parted()[0]
    live: dict[tuple[str, str], str] = {}
    for item in manifest.of_kind("ConfigMap"):
        if body := release.cluster.find("ConfigMap", item.name):
            live |= {(item.name, key): text for key, text in part(body, "data").items()}
    for text in live.values():
        _learn(parsed(text) or {})
    with portable_objects.packed_chart(record) as chart:
        yield Running(release.name, release.helm, chart, release.version, record.values, manifest, live)


def _learn(tree: object) -> None:
    """Learn the secrets of a configuration; a reference to a variable is not a secret."""
    if isinstance(tree, Mapping):
        entries = cast(Object, tree)
        redact.learn_values({k: v for k, v in entries.items() if isinstance(v, str) and not v.startswith("${")})
        for inner in entries.values():
            _learn(inner)
    elif isinstance(tree, list):
        for inner in cast(list[object], tree):
            _learn(inner)
