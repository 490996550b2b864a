"""Helm's command line, one method per command; works with Helm 3 and Helm 4."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from openab_sop import redact
from openab_sop.errors import ReleaseError
from openab_sop.kube import Cluster
from openab_sop.process import run

INSTALL = 330
"""Seconds for an install: helm itself gives a chart's hooks 300."""

_CHART = re.compile(r"^(?P<name>.+?)-(?P<version>\d+\.\d+\.\d+.*)$")


@dataclass(frozen=True)
class Listed:
    """A line of ``helm list``: release name, revision, status, chart name and version."""

    name: str
    revision: int
    status: str
    chart: str
    version: str


@dataclass(frozen=True)
class HistoryEntry:
    """A line of ``helm history``: one revision of a release."""

    revision: int
    status: str
    chart: str
    app_version: str
    description: str


def version() -> str:
    """Return helm's version, "v4.3.1" (SOP 0.1).

    Raises:
        ToolError: helm is missing.
    """
    return run(["helm", "version", "--template={{.Version}}"]).stdout.strip()


@dataclass(frozen=True)
class Helm:
    """Helm against one cluster and namespace.

    Raises (every method):
        ToolError: helm is missing, failed or did not end in time.
    """

    cluster: Cluster

    def releases(self) -> list[Listed]:
        """Return every release of the namespace, whatever its status (SOP 1.1)."""
        every = () if version().startswith("v4") else ("--all",)  # Helm 4 lists all by default and lost the flag
        listed = cast(list[dict[str, str]], json.loads(self._run("list", *every, "--max=0", "--output=json")))
        return [_listed(row) for row in listed]

    def history(self, release: str) -> list[HistoryEntry]:
        """Return the revisions that helm still knows, oldest first (SOP 2.7)."""
        rows = cast(list[dict[str, Any]], json.loads(self.history_json(release)))
        return [
            HistoryEntry(
                revision=int(row["revision"]),
                status=str(row["status"]),
                chart=str(row["chart"]),
                app_version=str(row.get("app_version", "")),
                description=str(row.get("description", "")),
            )
            for row in rows
        ]

    def history_json(self, release: str) -> str:
        """Return the history as helm's JSON (SOP 2.7)."""
        return self._run("history", release, "--max=256", "--output=json")

    def history_text(self, release: str) -> str:
        """Return the history as helm's table (SOP 2.7)."""
        return self._run("history", release, "--max=256")

    def values(self, release: str, revision: int) -> str:
        """Return the user-supplied values as YAML (SOP 2.1); what sounds secret in them is masked from now on."""
        text = self._run("get", "values", release, f"--revision={revision}", "--output=yaml")
        redact.learn_values(yaml.safe_load(text))
        return text

    def manifest(self, release: str, revision: int) -> str:
        """Return the rendered objects as a stream of YAML documents (SOP 1.2)."""
        return self._run("get", "manifest", release, f"--revision={revision}")

    def install(
        self, release: str, chart: Path, values: Path, label: tuple[str, str], *, dry_run: bool = False
    ) -> None:
        """Install a release from a chart's archive (SOP 5.1); what is there and its own, it adopts.

        Args:
            values: file with the user-supplied values; they are in no argument list.
            label: name and value, kept with the release's record from its first moment.
            dry_run: render it and look for objects in its way, and change nothing; ``install`` itself does not wait
                until anything runs.
        """
        given = [f"--values={values}", f"--labels={label[0]}={label[1]}", *(["--dry-run=server"] if dry_run else [])]
        self._run("install", release, str(chart), *given, timeout=INSTALL)

    def _run(self, *arguments: str, timeout: float = 60) -> str:
        return run(["helm", *arguments], env=self.cluster.env, timeout=timeout).stdout


def _listed(row: dict[str, str]) -> Listed:
    chart = _CHART.match(row["chart"])
    if chart is None:
        raise ReleaseError(f"helm names a chart without a version: {row['chart']!r}", "check it with: helm list")
    return Listed(
        name=row["name"],
        revision=int(row["revision"]),
        status=row["status"],
        chart=chart["name"],
        version=chart["version"],
    )
