"""A helm that renders the same only once: a walk asks for each chart with the same values many times."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import get_ident

import yaml

from openab_sop.cluster.helm import Helm
from openab_sop.errors import ToolError


@dataclass(frozen=True)
class RememberingHelm(Helm):
    """Helm, but what it has rendered from a chart's bytes, or refused to, it does not render again.

    Attributes:
        renderings: a directory where they are kept.
    """

    renderings: Path

    def template(self, release: str, chart: Path, values: str, *, anew: bool = False) -> str:
        """Render as ``Helm.template`` does, or give what was rendered before."""
        key = hashlib.sha256(f"{release}\n{anew}\n{_digest(chart)}\n{values}".encode()).hexdigest()
        kept = self.renderings / key[:32]
        if not kept.exists():
            aside = kept.with_suffix(f".{get_ident()}")
            aside.write_text(json.dumps(self._rendered(release, chart, values, anew=anew)))
            aside.replace(kept)
        said = json.loads(kept.read_bytes())
        if "refused" in said:
            raise ToolError(said["refused"], said["next"])
        return said["text"]

    def _rendered(self, release: str, chart: Path, values: str, *, anew: bool) -> dict[str, str]:
        try:
            return {"text": super().template(release, chart, values, anew=anew)}
        except ToolError as error:
            return {"refused": error.problem, "next": error.next_step}


def _digest(chart: Path) -> str:
    return _digest_of(chart, chart.stat().st_mtime_ns)


@lru_cache(4096)
def _digest_of(chart: Path, changed: int) -> str:
    """Digest what a chart renders from: Helm's record of it is packed otherwise than the archive that it came from."""
    del changed
    digest = hashlib.sha256()
    with tarfile.open(chart) as archive:
        for name in sorted(archive.getnames()):
            stream, inside = archive.extractfile(name), name.partition("/")[2]
            if stream and inside in ("Chart.yaml", "values.yaml"):
                digest.update(json.dumps([inside, yaml.safe_load(stream.read())], sort_keys=True, default=str).encode())
            elif stream and inside.startswith(("templates/", "charts/")):
                digest.update(f"{inside}\n".encode() + stream.read())
    return digest.hexdigest()
