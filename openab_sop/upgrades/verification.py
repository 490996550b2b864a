"""Whether a release is what it was meant to become: version, images, processes, claims, volumes (SOP 3.5, 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from openab_sop.agents.container import HostOf, process_alive
from openab_sop.backups.backup import Backup
from openab_sop.escape import command
from openab_sop.objects import parts
from openab_sop.plans.dryrun import Rendered
from openab_sop.releases import identity
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import UpgradeState
from openab_sop.restores.changes import VolumeSince, names, volume_since
from openab_sop.rollouts import logs
from openab_sop.upgrades import fingerprint
from openab_sop.upgrades.image_identity import is_other
from openab_sop.verdict import Finding, Verdict


@dataclass
class Seen:
    """What a verification saw.

    Attributes:
        release, version: of what.
        findings: what is not as it must be.
        images: by agent: the image that the version renders, and the one that runs, by its digest.
        changes: by agent: what became of its volume since the baseline, in words.
        later: by agent: what has changed on its volume since the version had settled, in words.
        own: what is gone and no work of this version, in words.
        missing: configuration files of the baseline that are gone or no longer parse.
        lost: agents whose claim is another than before.
        silent: agents without their process.
        gone: volumes whose agents have vanished, as was accepted: they are not compared.
        jobs: by agent: how many of the home's own jobs are loaded, in words.
    """

    release: str
    version: str
    findings: list[Finding] = field(default_factory=list[Finding])
    changes: dict[str, str] = field(default_factory=dict[str, str])
    images: dict[str, str] = field(default_factory=dict[str, str])
    later: dict[str, str] = field(default_factory=dict[str, str])
    own: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    silent: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    jobs: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def highlights(self) -> dict[str, str]:
        """What must not be overlooked, by what it is."""
        found: dict[str, str] = {}
        if self.own:
            why = "already gone before this version, or removed by the old version's start as well; the baseline has it"
            found["not this version's work"] = f"{'; '.join(self.own)} ({why})"
        if self.gone:
            found["not compared"] = f"WARNING: {', '.join(self.gone)}: no agent has it any more, as was accepted"
        return found

    def summary(self) -> str:
        """Return the findings as a verdict's text."""
        return str(self._verdict)

    def require(self) -> None:
        """Raise ``NotPassed`` if something was found."""
        self._verdict.require()

    @property
    def _verdict(self) -> Verdict:
        return Verdict(f"state of {self.release} on {self.version}", tuple(self.findings))


@dataclass(frozen=True)
class Looked:
    """What has become of an agent's volume since the baseline: all changes in words, what of them must not be.

    Attributes:
        lost: files that are gone, by path.
        broken: agents' and steering files that are gone or no longer parse, by path.
        mend: paths that go back to the baseline to mend what is broken.
        own: paths that are gone and that no version is to blame for.
        later: what has changed since the version had settled, in words.
    """

    changes: str
    lost: Mapping[str, Finding] = field(default_factory=dict[str, Finding])
    broken: Mapping[str, Finding] = field(default_factory=dict[str, Finding])
    mend: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    later: str = ""

    @property
    def damage(self) -> frozenset[str]:
        """The paths of all that must not be."""
        return frozenset((*self.lost, *self.broken))

    def without(self, paths: Container[str]) -> Looked:
        """Return it with these paths held against nobody."""
        return replace(
            self,
            lost={path: finding for path, finding in self.lost.items() if path not in paths},
            broken={path: finding for path, finding in self.broken.items() if path not in paths},
            mend=tuple(path for path in self.mend if path not in paths),
            own=tuple(sorted({*self.own, *(path for path in self.damage if path in paths)})),
        )


def look(
    release: Release,
    baseline: Backup,
    may_vanish: Sequence[str],
    state: UpgradeState,
    later: Callable[[str, VolumeSince], str] = lambda key, since: "",
) -> dict[str, Looked]:
    """Look at each volume whose claim is the one from before, or was restored since; by its key.

    What the state excuses is held against nobody.

    Args:
        later: told each volume's key and what is on it, it says what has changed since the version had settled.

    Raises:
        PodError: an agent has no running pod.
    """
    lost = fingerprint.lost(release, state)
    seen: dict[str, Looked] = {}
    for volume in release.mounted:
        if volume.key in state.claims and volume.key not in lost:
            with volume_since(volume.pod(release.cluster), volume, baseline, may_vanish) as since:
                since_settled = later(volume.key, since)
                broken = since.broken_config()
                mend = tuple(dict.fromkeys(map(since.root_of, broken)))
                found = Looked(str(since.changes), since.lost(), broken, mend, later=since_settled)
            seen[volume.key] = found.without(state.excused.get(volume.key, ()))
    return seen


def verify(
    release: Release,
    version: str,
    host_of: HostOf,
    state: UpgradeState,
    volumes: Mapping[str, Looked],
    *,
    jobs: bool = False,
    given_up: Container[str] = (),
) -> Seen:
    """Compare a release that runs with what a version renders, and its volumes with the baseline.

    Args:
        jobs: whether the home's own jobs count: later than at the start they are the agent's own business.
        version: the chart version that it must be at.
        host_of: returns the inside of an agent's container.
        volumes: what ``look`` has seen, just now; empty where the baseline is gone.
        given_up: keys of volumes whose agents may have vanished.

    Raises:
        PodError: an agent has no running pod.
    """
    rendered = Rendered(ReleaseManifest.parse(release.helm.record(release.name, release.revision).manifest))
    seen = Seen(release.name, version)
    seen.findings += _version(release, version)
    mounted = {volume.key: volume for volume in release.mounted}
    seen.lost += fingerprint.unaccounted(release, state, given_up)
    seen.gone += [key for key in state.claims if key not in mounted and key in given_up]
    for agent in release.agents:
        name, describe = agent.deployment, _describe(release, agent.deployment)
        pod, wanted = agent.pod(release.cluster), rendered.image(name)
        seen.images[name] = f"{wanted}, {pod.image_id}"
        live = release.cluster.get("Pod", pod.name)
        runs = next(str(c["image"]) for c in parts(live, "spec", "containers") if c["name"] == agent.container)
        if runs != wanted:
            seen.findings.append(Finding(f"image of {name}", runs, f"{wanted}, as the chart renders", describe))
        elif is_other(state.pulled.get(runs, ""), pod.image_id):
            expected = f"{state.pulled[runs]}, as it was before the upgrade: the tag was moved since"
            seen.findings.append(Finding(f"image of {name}", f"{runs} is {pod.image_id}", expected, describe))
        if not process_alive(host_of(agent)):
            seen.silent.append(name)
            seen.findings.append(Finding(f"process of {name}", "none is called openab", "one that lives", describe))
        if jobs and (before := state.before.get(agent.identity)) and before.jobs:
            now = logs.jobs(logs.fetch(release.cluster, pod.name, agent.container))
            seen.jobs[name] = f"{before.jobs} before, {'not told' if now is None else now} now"
            if now == 0:
                expected = f"{before.jobs} of its own jobs, as before"
                where = command("kubectl", "-n", release.namespace, "logs", pod.name, "-c", agent.container)
                seen.findings.append(Finding(f"jobs of {name}", "none is loaded", expected, where))
    for key, uid in state.claims.items():
        if key in seen.lost:
            now = f"UID {identity.uid(release.cluster, mounted[key])}" if key in mounted else "no agent mounts it"
            where = _describe(release, min(identity.holders(release.agents, [key])))
            seen.findings.append(Finding(f"claim of {key}", now, f"UID {uid}, as before", where))
        elif looked := volumes.get(key):
            seen.changes[key] = looked.changes
            seen.later |= {key: looked.later} if looked.later else {}
            seen.own += [f"{key}: {names(looked.own)}"] if looked.own else []
            seen.missing += [finding.subject for finding in looked.broken.values()]
            seen.findings += dict.fromkeys([*looked.lost.values(), *looked.broken.values()])
    return seen


def _version(release: Release, version: str) -> Iterator[Finding]:
    if (release.version, release.status) != (version, "deployed"):
        yield Finding(
            f"release {release.name}",
            f"{release.version}, {release.status}",
            f"{version}, deployed",
            command("helm", "history", release.name),
        )


def _describe(release: Release, deployment: str) -> str:
    return command("kubectl", "-n", release.namespace, "describe", "deployment", deployment)
