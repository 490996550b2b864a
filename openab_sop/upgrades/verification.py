"""Whether a release is what it was meant to become: version, images, processes, claims, volumes (SOP 3.5, 4.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from openab_sop.agents.container import Host, process_alive
from openab_sop.backups.backup import Backup
from openab_sop.objects import parts
from openab_sop.releases.course import Course
from openab_sop.releases.manifest import Manifest
from openab_sop.releases.release import Release
from openab_sop.restores.changes import volume_since
from openab_sop.upgrades import fingerprint
from openab_sop.upgrades.dryrun import Rendered
from openab_sop.verdict import Finding, Verdict


@dataclass
class Seen:
    """What a verification saw.

    Attributes:
        release, version: of what.
        findings: what is not as it must be.
        images: by agent: the image that the version renders, and the one that runs, by its digest.
        changes: by agent: what became of its volume since the baseline, in words.
        missing: configuration files of the baseline that are gone or no longer parse.
        lost: agents whose claim is another than before.
        silent: agents without their process.
    """

    release: str
    version: str
    findings: list[Finding] = field(default_factory=list[Finding])
    changes: dict[str, str] = field(default_factory=dict[str, str])
    images: dict[str, str] = field(default_factory=dict[str, str])
    missing: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    silent: list[str] = field(default_factory=list[str])

    def told(self) -> str:
        """Return the findings as a verdict's text."""
        return str(Verdict(f"{self.release} runs {self.version}", tuple(self.findings)))


def verify(
    release: Release,
    version: str,
    hosts: Mapping[str, Host],
    course: Course,
    baseline: Backup,
    may_vanish: Sequence[str],
) -> Seen:
    """Compare a release that runs with what a version renders, and its volumes with the baseline.

    Args:
        version: the chart version that it must be at.
        hosts: the inside of each agent's container.
        may_vanish: patterns of names in a home that may be gone.

    Raises:
        PodError: an agent has no running pod.
    """
    rendered = Rendered(Manifest.parse(release.helm.record(release.name, release.revision).manifest))
    seen = Seen(release.name, version)
    seen.findings += _version(release, version)
    seen.lost += fingerprint.replaced_claims(release, course)
    for agent in release.agents:
        name, describe = agent.deployment, f"kubectl -n {release.namespace} describe deployment {agent.deployment}"
        pod, wanted = agent.pod(release.cluster), rendered.image(name)
        seen.images[name] = f"{wanted}, {pod.image_id}"
        live = release.cluster.get("Pod", pod.name)
        runs = next(str(c["image"]) for c in parts(live, "spec", "containers") if c["name"] == agent.container)
        if runs != wanted:
            seen.findings.append(Finding(f"image of {name}", runs, f"{wanted}, as the chart renders", describe))
        if not process_alive(hosts[name]):
            seen.silent.append(name)
            seen.findings.append(Finding(f"process of {name}", "none is called openab", "one that lives", describe))
        if name in seen.lost:
            expected = f"UID {course.claims[name]}, as before"
            uid = fingerprint.claim(release.cluster, agent)
            seen.findings.append(Finding(f"claim of {name}", f"UID {uid}", expected, describe))
        elif name in course.claims:
            with volume_since(pod, agent, baseline, may_vanish) as since:
                broken = list(since.broken_config())
                seen.changes[name] = str(since.changes)
                seen.missing += [finding.subject for finding in broken]
                seen.findings += dict.fromkeys([*since.lost(), *broken])
    return seen


def broken_config(release: Release, baseline: Backup) -> list[str]:
    """Return the agents' and steering files of a backup that are gone or no longer parse (SOP 3.5)."""
    stored = {agent.deployment for agent in baseline.manifest.agents}
    broken: list[str] = []
    for agent in release.agents:
        if agent.deployment in stored:
            with volume_since(agent.pod(release.cluster), agent, baseline) as since:
                broken += [finding.subject for finding in since.broken_config()]
    return broken


def _version(release: Release, version: str) -> Iterator[Finding]:
    if (release.version, release.status) != (version, "deployed"):
        yield Finding(
            f"release {release.name}",
            f"{release.version}, {release.status}",
            f"{version}, deployed",
            f"helm history {release.name}",
        )
