"""Helm's command line, one method per command; works with Helm 3 and Helm 4."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from openab_sop import redact
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import ReleaseError, SourceError, ToolError
from openab_sop.process import run

CHANGE = 600
"""Seconds that Helm may take to change a release: its hooks run meanwhile, each at most 300 s by Helm's default."""

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
class Chart:
    """What a chart's Chart.yaml says of it; ``app`` is the version of what it installs, empty if it does not say."""

    name: str
    version: str
    app: str = ""


PULL = 120
"""Seconds that a chart may take to arrive."""


def chart_at(path: Path) -> Chart:
    """Read a chart, a directory or an archive (SOP 1.3).

    Raises:
        SourceError: it is none.
    """
    try:
        said = yaml.safe_load(run(["helm", "show", "chart", str(path)]).stdout)
        return Chart(str(said["name"]), str(said["version"]), str(said.get("appVersion") or ""))
    except (ToolError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SourceError(f"{path} is no Helm chart", f"look at it with: helm show chart {path}") from error


def pull(*chart: str, version: str, directory: Path) -> None:
    """Put the archive of a chart into a directory (SOP 1.3).

    Args:
        chart: what helm takes to name it: an address, or a name and ``--repo``.
    """
    run(["helm", "pull", *chart, "--version", version, "--destination", str(directory)], timeout=PULL)


def package(chart: Path, directory: Path) -> None:
    """Put the archive of a chart's directory into another directory (SOP 1.3)."""
    run(["helm", "package", str(chart), "--destination", str(directory)])


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

    def find(self, release: str) -> Listed | None:
        """Return what helm lists of a release now, whatever its status; None if it is not there."""
        return next((listed for listed in self.releases() if listed.name == release), None)

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

    def dry_run(self, release: str, chart: Path, values: Path) -> str:
        """Return the objects that an upgrade would render, hooks included, as a stream of YAML documents (SOP 3.1).

        Helm asks the cluster for what templates look up, and submits nothing.

        Args:
            chart: the packaged chart.
            values: file with the user-supplied values.

        Raises:
            ToolError: the chart cannot be rendered with these values, or the release is not in a state to be upgraded.
        """
        text = self._run(*_upgrade(release, chart, values), "--dry-run=server", "--output=json")
        rendered = json.loads(text)
        hooks = (f"---\n{hook['manifest']}\n" for hook in rendered.get("hooks") or ())
        return "".join((rendered["manifest"], *hooks))

    def upgrade(self, release: str, chart: Path, values: Path, mark: Mapping[str, str]) -> None:
        """Upgrade a release; returns when Helm has sent everything, not when it runs (SOP 3.2, 3.4).

        Args:
            mark: variables that tell later runs whose helm this is, should it outlive this one.
        """
        self._run(*_upgrade(release, chart, values), "--output=json", timeout=CHANGE, env=mark)

    def rollback(self, release: str, revision: int, mark: Mapping[str, str]) -> None:
        """Roll a release back to a revision; returns as ``upgrade`` does (SOP 4.2)."""
        self._run("rollback", release, str(revision), timeout=CHANGE, env=mark)

    def uninstall(self, release: str) -> None:
        """Remove a release, its history and its objects but those that its manifest keeps (SOP 4.5)."""
        self._run("uninstall", release, timeout=CHANGE)

    def template(self, release: str, chart: Path, values: str) -> str:
        """Return the objects that a chart would render for a release, as ``manifest`` does (SOP 1.7).

        Args:
            values: the user-supplied values as YAML; they pass by standard input, since they hold secrets.
        """
        return self._run("template", release, str(chart), "--is-upgrade", "--values=-", stdin=values.encode())

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
        self._run("install", release, str(chart), *given, timeout=CHANGE)

    def _run(
        self, *arguments: str, timeout: float = 60, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> str:
        return run(["helm", *arguments], timeout=timeout, env={**self.cluster.env, **(env or {})}, stdin=stdin).stdout


def _upgrade(release: str, chart: Path, values: Path) -> tuple[str, ...]:
    """``--reset-values``, Helm's default where ``-f`` is given, is said aloud: never the stored ones (SOP 3.2)."""
    return ("upgrade", release, str(chart), f"--values={values}", "--reset-values")


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
