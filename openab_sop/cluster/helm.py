"""Helm, one method per command; works with Helm 3 and Helm 4.

What only reads asks the API for Helm's records: helm itself is started where it renders or changes something, and for
what an operator compares by eye.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import cast

from openab_sop import bounded, names, redact
from openab_sop.cluster import records
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.records import Record
from openab_sop.errors import InvalidDocument, SourceError, ToolError, Unreachable
from openab_sop.escape import command
from openab_sop.objects import Object, part
from openab_sop.process import run

_UNHEARD = "cluster unreachable"
"""How helm says that it did not get through to the API, when it begins."""
_BROKEN = re.compile(
    r"cluster unreachable|connection refused|connection reset|no such host|no route to host|network is unreachable"
    r"|i/o timeout|TLS handshake timeout|\bEOF\b|connection lost|broken pipe|too many requests|etcdserver"
    r"|the server is currently unable|apiserver not ready|an error on the server|Service Unavailable",
    re.IGNORECASE,
)
"""How it says that the line broke, or that the API is not well."""
CHANGE = 600
"""Seconds that Helm may take to change a release: its hooks run meanwhile, each at most 300 s by Helm's default."""


@dataclass(frozen=True)
class Listed:
    """A line of ``helm list``: release name, revision, status, chart name and version."""

    name: str
    revision: int
    status: str
    chart: str
    version: str


@dataclass(frozen=True)
class RevisionInfo:
    """A line of ``helm history``, in the fields of its JSON: one revision of a release."""

    revision: int
    updated: str
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


def adopts_on_rollback() -> bool:
    """Tell whether a rollback takes over what is there already, as an upgrade does: since Helm 4.2.

    Earlier ones end with "no KIND with the name NAME found" (helm/helm, ``pkg/kube/client.go``).
    """
    match = re.match(r"v(\d+)\.(\d+)", version())
    return match is not None and (int(match[1]), int(match[2])) >= (4, 2)


@dataclass(frozen=True)
class ChartMetadata:
    """What a chart's Chart.yaml says of it; ``app`` is the version of what it installs, empty if it does not say."""

    name: str
    version: str
    app: str = ""


_VALIDATED = "--disable-openapi-validation"
"""Not by Helm too, which reads the API's whole schema for it, four fifths of its time: the API judges each object of an
upgrade itself before (dryRun=All), and those of an installation were judged in its dry run."""
PULL = 120
"""Seconds that a chart may take to arrive."""


def chart_at(path: Path) -> ChartMetadata:
    """Read a chart, a directory or an archive (SOP 1.3).

    Raises:
        SourceError: it is none.
    """
    try:
        said = bounded.load_yaml(run(["helm", "show", "chart", "--", str(path)]).stdout, f"Chart.yaml of {path}")
        return ChartMetadata(str(said["name"]), str(said["version"]), str(said.get("appVersion") or ""))
    except (ToolError, InvalidDocument, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} is no Helm chart", f"look at it with: {command('helm', 'show', 'chart', str(path))}"
        ) from error


def defaults(chart: Path) -> Object:
    """Return a chart's own values, which those of the operator are merged into (SOP 3.2).

    Raises:
        SourceError: they are not a mapping.
    """
    values: object = (
        bounded.load_yaml(run(["helm", "show", "values", "--", str(chart)]).stdout, f"values of {chart}") or {}
    )
    if not isinstance(values, dict):
        look = command("helm", "show", "values", str(chart))
        raise SourceError(f"the values of {chart} are not a mapping", f"look at them with: {look}")
    return cast(Object, values)


def pull(chart: str, *options: str, version: str, directory: Path) -> None:
    """Put the archive of a chart into a directory (SOP 1.3).

    Args:
        chart: its address, or its name in the repository that an option names.
        options: what helm needs beside it to reach it.
    """
    run(["helm", "pull", f"--version={version}", f"--destination={directory}", *options, "--", chart], timeout=PULL)


def package(chart: Path, directory: Path) -> None:
    """Put the archive of a chart's directory into another directory (SOP 1.3)."""
    run(["helm", "package", f"--destination={directory}", "--", str(chart)])


@dataclass(frozen=True)
class Helm:
    """Helm against one cluster and namespace.

    Names of releases and paths come behind ``--``: none of them is ever an option (issue 14).

    Args:
        post_renderer: what every rendering passes through, as helm takes it: a program (Helm 3), a plugin (Helm 4).

    Raises (every method):
        ToolError: helm is missing, failed or did not end in time.
        InvalidName: no release can be called so; helm was not started.
        Unreachable: the API did not answer it for as long as it is retried; or, in a change, it was cut off.
    """

    cluster: Cluster
    post_renderer: str = field(default="", kw_only=True)
    _told: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str], init=False, compare=False)
    """By uid and version of a record: the values that helm has written of it."""
    _renderings: dict[tuple[str, ...], str] = field(
        default_factory=dict[tuple[str, ...], str], init=False, compare=False
    )
    """By arguments, digest of the chart and values: what helm has rendered without the cluster."""

    def releases(self) -> list[Listed]:
        """Return every release of the namespace, whatever its status (SOP 1.1)."""
        return [_listed(found) for found in records.newest(self.cluster)]

    def find(self, release: str) -> Listed | None:
        """Return what is listed of a release now, whatever its status; None if it is not there."""
        return next((_listed(found) for found in records.newest(self.cluster, release)), None)

    def record(self, release: str, revision: int) -> Record:
        """Return Helm's record of a revision; what sounds secret in its values is masked from now on."""
        found = records.record(self.cluster, release, revision)
        redact.learn_values(found.values)
        return found

    def knows(self, release: str, revision: int) -> bool:
        """Tell whether Helm still has a revision: it prunes old ones, and people delete them (SOP 4.2)."""
        return revision in records.revisions(self.cluster, release)

    def history(self, release: str) -> list[RevisionInfo]:
        """Return the revisions that helm still knows, oldest first (SOP 2.7)."""
        return [_row(found) for found in records.history(self.cluster, release)]

    def values(self, release: str, revision: int) -> str:
        """Return the user-supplied values as helm writes them in YAML (SOP 2.1); it is started once for a record.

        Raises:
            ReleaseError: there is no such revision, or its record cannot be read.
        """
        about = records.record(self.cluster, release, revision).stored["metadata"]
        state = (about["uid"], about["resourceVersion"])
        if state not in self._told:
            asked = ("get", "values", f"--revision={revision}", "--output=yaml", "--", names.release(release))
            self._told[state] = self._run(*asked, repeatable=True)
        return self._told[state]

    def dry_run(self, release: str, chart: Path, values: Path) -> str:
        """Return the objects that an upgrade would render, hooks included, as a stream of YAML documents (SOP 3.1).

        Helm asks the cluster for what templates look up, and submits nothing.

        Args:
            chart: the packaged chart.
            values: file with the user-supplied values.

        Raises:
            ToolError: the chart cannot be rendered with these values, or the release is not in a state to be upgraded.
        """
        given = self._upgrade(release, chart, values, "--dry-run=server", "--output=json", _VALIDATED)
        return _objects(self._run(*given, repeatable=True))

    def upgrade(self, release: str, chart: Path, values: Path, mark: Mapping[str, str]) -> None:
        """Upgrade a release; returns when Helm has sent everything, not when it runs (SOP 3.2, 3.4).

        Args:
            mark: variables that tell later runs whose helm this is, should it outlive this one.
        """
        given = self._upgrade(release, chart, values, "--output=json", _VALIDATED)
        self._run(*given, timeout=CHANGE, env=mark)

    def rollback(self, release: str, revision: int, mark: Mapping[str, str]) -> None:
        """Roll a release back to a revision; returns as ``upgrade`` does (SOP 4.2)."""
        self._run("rollback", "--", names.release(release), str(revision), timeout=CHANGE, env=mark)

    def forget(self, release: str, revision: int) -> None:
        """Throw a revision's record away: of a change that was cut off, and would be in the next one's way."""
        kept = records.record(self.cluster, release, revision).stored
        self.cluster.delete(kept["kind"], kept["metadata"]["name"], kept["metadata"]["uid"])

    def uninstall(self, release: str) -> None:
        """Remove a release, its history and its objects but those that its manifest keeps (SOP 4.5)."""
        self._run("uninstall", "--", names.release(release), timeout=CHANGE)

    def template(self, release: str, chart: Path, values: str, *, anew: bool = False) -> str:
        """Return the objects that a chart would render for a release, as ``manifest`` does (SOP 1.7).

        The same chart is rendered with the same values once.

        Args:
            chart: the packaged chart.
            values: the user-supplied values as YAML; they pass by standard input, since they hold secrets.
            anew: whether it is an installation, which brings the chart's own definitions (CRDs) too.
        """
        how = "--include-crds" if anew else "--is-upgrade"
        given = ("template", how, "--values=-", *self._through, "--", names.release(release))
        key = (*given, sha256(chart.read_bytes()).hexdigest(), values)
        if key not in self._renderings:
            self._renderings[key] = self._run(*given, str(chart), stdin=values.encode(), repeatable=True)
        return self._renderings[key]

    def install(self, release: str, chart: Path, values: Path, label: tuple[str, str], *, dry_run: bool = False) -> str:
        """Install a release from a chart's archive (SOP 5.1); what is there and its own, it adopts.

        Args:
            values: file with the user-supplied values; they are in no argument list.
            label: name and value, kept with the release's record from its first moment.
            dry_run: render it and look for objects in its way, and change nothing; ``install`` itself does not wait
                until anything runs.

        Returns:
            The objects that it made, or would make, as ``dry_run`` has them.
        """
        given = [
            f"--values={values}",
            f"--labels={label[0]}={names.label_value(label[1], 'backup')}",
            "--dry-run=server" if dry_run else _VALIDATED,
            *self._through,
        ]
        asked = ("install", "--output=json", *given, "--", names.release(release), str(chart))
        return _objects(self._run(*asked, timeout=CHANGE, repeatable=dry_run))

    @property
    def _through(self) -> tuple[str, ...]:
        return (f"--post-renderer={self.post_renderer}",) if self.post_renderer else ()

    def _upgrade(self, release: str, chart: Path, values: Path, *more: str) -> tuple[str, ...]:
        """``--reset-values``, Helm's default where ``-f`` is given, is said aloud: never the stored ones (SOP 3.2)."""
        given = (f"--values={values}", "--reset-values", *more, *self._through)
        return ("upgrade", *given, "--", names.release(release), str(chart))

    def _run(
        self,
        *arguments: str,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        repeatable: bool = False,
    ) -> str:
        variables = {**self.cluster.env, **(env or {})}

        def once() -> str:
            try:
                return run(["helm", *arguments], timeout=timeout, env=variables, stdin=stdin).stdout
            except ToolError as error:
                if broken := _broken(error):
                    raise broken from error
                raise

        return self.cluster.retry.over(once, repeatable=repeatable)


def _objects(text: str) -> str:
    """Return the objects of a release that helm prints as JSON, hooks included, as a stream of YAML documents."""
    rendered = bounded.load_json(text, "what helm has rendered")
    hooks = (f"---\n{hook['manifest']}\n" for hook in rendered.get("hooks") or ())
    return "".join((rendered["manifest"], *hooks))


def _broken(error: ToolError) -> Unreachable | None:
    """Tell whether helm failed since the API did not answer; of a webhook that did not, the API tells."""
    if "failed calling webhook" in error.problem or not _BROKEN.search(error.problem):
        return None
    return Unreachable(error.problem, error.next_step, heard=_UNHEARD not in error.problem)


def _row(found: Record) -> RevisionInfo:
    about = part(found.chart, "metadata")
    return RevisionInfo(
        revision=found.revision,
        updated=found.info("last_deployed"),
        status=found.info("status"),
        chart=f"{about['name']}-{about['version']}",
        app_version=str(about.get("appVersion") or ""),
        description=found.info("description"),
    )


def _listed(found: Record) -> Listed:
    about = part(found.chart, "metadata")
    return Listed(found.name, found.revision, found.info("status"), str(about["name"]), str(about["version"]))
