"""What an upgrade leads to: the version, by way of which pre-release, and the bytes of both charts (SOP 1.3-1.5)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cattrs
from cattrs.errors import BaseValidationError

from openab_sop import bounded, storage
from openab_sop.errors import NothingToDo, SettingsError, TargetError
from openab_sop.escape import command
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState
from openab_sop.targets.chart_source import ChartSource, pull
from openab_sop.targets.notes import Notes
from openab_sop.targets.values import TargetValues
from openab_sop.targets.version import Version, near, newest_stable

RECORD = "target.json"
"""Lies beside the target's chart."""

_BETA = re.compile(r"beta\.\d+")
_CONVERTER = cattrs.Converter()
_CONVERTER.register_unstructure_hook(Version, str)
_CONVERTER.register_structure_hook(Version, lambda text, _: Version.parse(text))


@dataclass(frozen=True)
class Choice:
    """The pre-release to validate first, or why there is none (SOP 1.5).

    Attributes:
        unvalidated: whether nothing stands in for it: the plan tells, and an operator has to accept it.
    """

    prerelease: Version | None
    why: str
    unvalidated: bool = False

    def __str__(self) -> str:
        return f"{self.prerelease} is validated first: {self.why}" if self.prerelease else f"none: {self.why}"


@dataclass(frozen=True)
class Target:
    """Where an upgrade leads.

    Attributes:
        current: the version that runs.
        version: the version that shall run.
        chart: its archive, kept under its digest.
        digest: the archive's SHA-256.
        prerelease: the version that is validated first; None if none is.
        prerelease_chart, prerelease_digest: its archive.
        why_no_prerelease: why none is validated; empty if one is.
        unvalidated: whether nothing stands in for a pre-release.
    """

    current: Version
    version: Version
    chart: Path
    digest: str
    prerelease: Version | None
    prerelease_chart: Path | None
    prerelease_digest: str
    why_no_prerelease: str
    unvalidated: bool = False

    @property
    def archives(self) -> dict[Path, str]:
        """Every chart that is needed, and its SHA-256."""
        before = {self.prerelease_chart: self.prerelease_digest} if self.prerelease_chart else {}
        return {self.chart: self.digest, **before}

    @property
    def choice(self) -> Choice:
        """The choice as an earlier run has made it."""
        return Choice(self.prerelease, self.why_no_prerelease or "it was chosen before", self.unvalidated)

    def __str__(self) -> str:
        by_way_of = f" by way of {self.prerelease}" if self.prerelease else ""
        return f"{self.version}{by_way_of}, from {self.current}"


def choose(
    source: ChartSource, current: Version, wanted: Version | None = None, *, allow_downgrade: bool = False
) -> Version:
    """Choose the version to upgrade to (SOP 1.3).

    Args:
        wanted: value of ``--target-version``; None takes the newest stable one.
        allow_downgrade: whether it may be older than what runs; only one that was named may.

    Raises:
        TargetError: there is no such version, or it is older.
        SourceError: the source does not tell its versions.
    """
    offered = source.versions()
    version = _named(source, offered, wanted) if wanted else newest_stable(offered)
    if version is None:
        raise TargetError(f"{source} has no stable version; it has {_listed(offered)}", "name one: --target-version")
    if version.is_older_than(current) and not (wanted and allow_downgrade):
        what = "is" if wanted else f"is the newest stable version of {source}, and"
        raise TargetError(
            f"{version} {what} older than {current}, which runs",
            f"to go back: {command(f'--target-version={version}')} --allow-downgrade; "
            "if the source lags behind: another --chart",
        )
    return version


def check_needed(release: Release, version: Version, state: UpgradeState | None = None, *, force: bool = False) -> str:
    """End the run well if the target is what runs already (SOP 1.4); else return what there is to do.

    Args:
        state: the upgrade that is under way, if one is: it is gone on with, whatever runs by now.

    Raises:
        NothingToDo: it runs, Helm calls it deployed, and ``force`` does not ask for it once more.
    """
    if state:
        return f"upgrade {state.id} to {state.target} is under way since {state.begun}"
    if version == Version.parse(release.version) and release.status == "deployed" and not force:
        raise NothingToDo(f"already on {version}; --force goes on all the same, also with other --values alone")
    return f"{release.version}, {release.status}, becomes {version}"


def under_way(state: UpgradeState | None) -> UpgradeState | None:
    """Return the state if its upgrade has neither come to its end nor back."""
    return state if state and state.ended in ("", End.STUCK) else None


def choose_prerelease(
    source: ChartSource, version: Version, notes: Notes, named: Version | None = None, *, skipped: str = ""
) -> Choice:
    """Choose the pre-release to validate first (SOP 1.5).

    Args:
        named: value of ``--prerelease-version``; None takes the target's newest beta.
        skipped: why an operator wants none (``--prerelease=none --reason=TEXT``); empty if one is wanted.

    Raises:
        TargetError: the one named cannot serve.
    """
    if skipped:
        return Choice(None, f"an operator wants one step to {version}: {skipped}")
    offered = source.versions()
    if named:
        if not named.prerelease or not named.is_older_than(version):
            raise TargetError(f"{named} is no pre-release that leads to {version}", "name one: --prerelease-version")
        return Choice(_named(source, offered, named), "it was named")
    if version.prerelease:
        return Choice(None, f"{version} is a pre-release itself")
    if beta := _newest_beta(version, offered):
        return Choice(beta, f"{source} has it")
    if notes.prerelease_validated:
        return Choice(None, f"{notes.address} says pre-release-validated: true")
    without = notes.problem or f"{notes.address} does not say pre-release-validated: true"
    why = f"{version} was not validated as a pre-release: {source} has no {version}-beta.1, and {without}"
    return Choice(None, why, unvalidated=True)


def resolve(source: ChartSource, current: Version, version: Version, choice: Choice, directory: Path) -> Target:
    """Pull the charts, once: every later step uses these bytes (SOP 1.3).

    Args:
        directory: where charts are kept.

    Raises:
        SourceError: one cannot be pulled, or is not what it should be.
    """
    chart = pull(source, version, directory)
    before = source.pull(choice.prerelease, directory) if choice.prerelease else None
    target = Target(
        current=current,
        version=version,
        chart=chart.path,
        digest=chart.digest,
        prerelease=choice.prerelease,
        prerelease_chart=before.path if before else None,
        prerelease_digest=before.digest if before else "",
        why_no_prerelease="" if before else choice.why,
        unvalidated=choice.unvalidated,
    )
    storage.replace(chart.path.with_name(RECORD), json.dumps(_CONVERTER.unstructure(target), indent=2).encode() + b"\n")
    return target


def stored(state: UpgradeState, directory: Path) -> Target | None:
    """Return the target of an upgrade that is under way, as the run that began it has resolved it.

    None if it is not there any more, or not what the state says: then the source has to be asked again.
    """
    try:
        said = bounded.load_json((directory / state.digest / RECORD).read_text(), RECORD)
        target = _CONVERTER.structure(said, Target)
        intact = all(storage.digest(path) == digest for path, digest in target.archives.items())
    except (OSError, ValueError, TypeError, BaseValidationError):
        return None
    known = (str(target.version), target.digest, str(target.prerelease or ""))
    return target if intact and known == (state.target, state.digest, state.prerelease) else None


def values_of(state: UpgradeState, given: TargetValues | None, directory: Path) -> TargetValues:
    """Return the values that an upgrade under way goes on with: those that it began with.

    Args:
        given: what was named now; they must be the same.
        directory: where the earlier run has kept them.

    Raises:
        SettingsError: others were named, or they are not on this machine.
    """
    if given and given.digest != state.values:
        began = f"values of SHA-256 {state.values[:16]}" if state.values else "the release's own values"
        raise SettingsError(
            f"upgrade {state.id} began with {began}; --values={given.origin} are others ({given.digest[:16]})",
            "go on without --values, or with the same; to change them: go back first (pytest suites/rollback)",
        )
    if not state.values:  # Helm may have lost that revision by now: the baseline has them
        return TargetValues("", origin=f"the release's own, as backup {state.backup} has them")
    kept = given or TargetValues.stored(directory, state.values)
    if kept is None:
        raise SettingsError(
            f"upgrade {state.id} began with values of SHA-256 {state.values[:16]}, which are not on this machine",
            "name the same files with --values=FILE",
        )
    return kept


def forget_others(target: Target) -> list[str]:
    """Remove the charts of earlier upgrades, which nothing needs any more; returns their digests."""
    kept, charts = set(target.archives.values()), target.chart.parent.parent
    gone = [path for path in charts.iterdir() if path.name not in kept and not path.name.startswith(".")]
    for path in gone:  # what begins with a dot is being pulled by somebody who only looks
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in gone]


def _named(source: ChartSource, offered: Sequence[Version], wanted: Version) -> Version:
    if wanted in offered:
        return wanted
    raise TargetError(
        f"{source} has no version {wanted}; near it are {_listed(near(wanted, offered))}",
        "check --target-version and --prerelease-version; another source: --chart",
    )


def _newest_beta(version: Version, offered: Sequence[Version]) -> Version | None:
    """Return ``<version>-beta.N`` with the highest N: a later beta takes the earlier one's place."""
    betas = (v for v in offered if v.core == version.core and _BETA.fullmatch(v.prerelease))
    return max(betas, key=Version.rank, default=None)


def _listed(versions: Sequence[Version]) -> str:
    return ", ".join(map(str, versions[:10])) or "none at all"
