"""What a chart version would make of a release, judged by Helm and by the API before anything is sent (SOP 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openab_sop import redact
from openab_sop.agents.agent import learn_environment
from openab_sop.agents.workload import Workload
from openab_sop.cluster.helm import Helm
from openab_sop.errors import ClusterError, Conflict
from openab_sop.releases.manifest import RENDERED, ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.verdict import Finding, Verdict

HELM = "helm"
"""The field manager under which Helm applies."""


@dataclass(frozen=True)
class Rendered:
    """A chart version as Helm renders it for a release with its values."""

    manifest: ReleaseManifest

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What of it keeps pods running."""
        return tuple(workload for workload in self.manifest.workloads if workload.replicas)

    def image(self, deployment: str) -> str | None:
        """Return the image of an agent's container; None if the version has no such agent."""
        body = self.manifest.find("Deployment", deployment)
        return Workload(body).image if body else None


def render(helm: Helm, release: str, chart: Path, values: Path) -> Rendered:
    """Have Helm render an upgrade; what is secret in it is masked from now on.

    Raises:
        ToolError: Helm refuses: the chart cannot be rendered with these values.
    """
    rendered = Rendered(ReleaseManifest.parse(helm.dry_run(release, chart, values), RENDERED))
    for item in rendered.manifest.of_kind("Secret"):
        redact.learn_secret(item.body)
    for item in rendered.manifest.of_kind("Deployment"):
        learn_environment(item.body)
    return rendered


def refused(release: Release, rendered: Rendered) -> Verdict:
    """Send each rendered object through the API with dryRun=All: admission, quota, what may not change.

    Where Helm applies the release by server-side apply, what somebody else has edited by hand is named too: there Helm
    itself would stop in the middle.
    """
    server_side = release.helm.record(release.name, release.revision).is_server_side
    findings: list[Finding] = []
    for item in rendered.manifest.objects:
        subject = f"{item.kind} {item.name}"
        try:
            release.cluster.try_apply(item.body, HELM, force=not server_side)
        except Conflict as conflict:
            next_step = "put the edit into the values, or take it back by kubectl, then run again"
            findings.append(Finding(subject, conflict.problem, "no field that somebody else has edited", next_step))
        except ClusterError as error:
            findings.append(Finding(subject, error.problem, "an object that the API takes", error.next_step))
    return Verdict(f"{len(rendered.manifest.objects)} objects, sent with dryRun=All", tuple(findings))
