"""A helm that renders the same only once: a walk asks for each chart with the same values many times."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Lock

from openab_sop.cluster.helm import Helm
from openab_sop.errors import ToolError

_seen: dict[tuple[str, str, str], str | ToolError] = {}
_lock = Lock()


class RememberingHelm(Helm):
    """Helm, but what it has rendered from a chart's bytes, it does not render again."""

    def template(self, release: str, chart: Path, values: str) -> str:
        """Render as ``Helm.template`` does, or give what was rendered before; so are refusals."""
        key = (release, hashlib.sha256(chart.read_bytes()).hexdigest(), values)
        with _lock:
            known = _seen.get(key)
        if known is None:
            try:
                known = super().template(release, chart, values)
            except ToolError as error:
                known = error
            with _lock:
                _seen[key] = known
        if isinstance(known, ToolError):
            raise known
        return known
