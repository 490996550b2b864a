"""What is on the volume, and whether the new version finds it, sees it and may read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from openab_sop.agents.workload import Workload
from openab_sop.escape import command
from openab_sop.plans.plan import Plan
from openab_sop.plans.rules.configuration import configuration, settings
from openab_sop.rule import blocks, warns
from openab_sop.targets.version import Version
from openab_sop.upstream.configuration import outside
from openab_sop.verdict import Finding


@dataclass(frozen=True)
class FileMove:
    """A file of the home that is expected elsewhere from a version on.

    Attributes:
        old, new: paths relative to the home; with ``setting``, ``{}`` in them is the path that it names.
        setting: what of the agent's configuration names the file, by its dotted path; without it nothing is read there.
    """

    since: str
    old: str
    new: str
    setting: str = ""


MOVES: tuple[FileMove, ...] = (
    # docs/cronjob.md and docs/ai-install-upgrade.md at v0.8.2 say so; src/main.rs has it from v0.8.2-beta.8 on
    FileMove("0.8.2-beta.8", "{}", ".openab/{}", "cron.usercron_path"),
)
"""By documents and sources of github.com/openabdev/openab."""


@blocks("file-moved", "The new version continues without the file, and does not report it.")
def file_moved(plan: Plan) -> Iterator[Finding]:
    """The new version looks for a file in another place, where it is not."""
    for old, new in plan.staying:
        present = plan.present.get(old.name, frozenset())
        for move in _named(plan, old):
            if move.old in present and move.new not in present:
                yield Finding(
                    f"{new.name}.{move.old}",
                    f"it is on the volume; from {move.since} on it is read from {move.new}",
                    f"{move.new} in the home",
                    "copy it there before the upgrade: "
                    + command("kubectl", "exec", f"deploy/{old.name}", "--", "sh", "-c", _copy(move)),
                )


@warns("state-outside", "It is in no backup, and a rollback does not restore it.")
def state_outside(plan: Plan) -> Iterator[Finding]:
    """The target's configuration names state that is on no volume of the agent."""
    for change in plan.agents:
        if change.after and change.after.replicas:
            args = tuple(map(str, change.after.container.get("args") or ()))
            for what in outside(configuration(plan.new, change.after), args):
                yield Finding(
                    f"{change.after.name}.{what.name}",
                    what.why,
                    "all that the agent knows on its volume",
                    "keep a copy of what it loads, and know what it uploads, before you go on",
                )


@blocks("file-covered", "The agent's own file is still on the volume, but the agent sees another one.")
def file_covered(plan: Plan) -> Iterator[Finding]:
    """The target mounts something over a file of the home."""
    for old, new in plan.staying:
        for path in sorted(new.covered - old.covered):
            if path in plan.present.get(old.name, frozenset()):
                yield Finding(
                    f"{new.name}.{path}",
                    "the target mounts a file of its own over it",
                    "the agent's own file",
                    "take over what it says into the values, then move it away; or leave out agentsMd",
                )


@blocks("user-changed", "The agent may not be able to read or write its own files.")
def user_changed(plan: Plan) -> Iterator[Finding]:
    """The agent would run as another user, and nothing gives that user the volume."""
    for old, new in plan.staying:
        (was, group), (would, given) = old.user, new.user
        if new.claim and was is not None and would is not None and was != would and would != 0 and given is None:
            yield Finding(
                new.name,
                f"it would run as user {would}, without fsGroup",
                f"user {was}" if group is None else f"user {was}, group {group}",
                plan.in_values(f"podSecurityContext.runAsUser={was}", "podSecurityContext.fsGroup"),
            )


@warns("writes-at-start", "What it changes looks like the new version's work, or undoes a restore.")
def writes_at_start(plan: Plan) -> Iterator[Finding]:
    """Another container or hook may write to the volume at each start of the target."""
    for change in plan.agents:
        if change.after and (writers := change.after.writers_at_start):
            yield Finding(
                change.name,
                f"{', '.join(writers)} may write to its volume at each start",
                "only the agent writes there",
                "nothing to do: files that the old version's start removes as well do not fail the upgrade",
            )


RULES = (file_moved, file_covered, user_changed, writes_at_start, state_outside)


def due(plan: Plan) -> Iterator[FileMove]:
    """Yield the moves that this plan goes through."""
    for move in MOVES:
        since = Version.parse(move.since)
        if plan.current.openab.is_older_than(since) and not plan.target.openab.is_older_than(since):
            yield move


def asked(plan: Plan) -> dict[str, list[str]]:
    """Return the paths of each home that these rules want to know of, by Deployment as it is now."""
    wanted: dict[str, list[str]] = {}
    for old, new in plan.staying:
        moves = [path for move in _named(plan, old) for path in (move.old, move.new)]
        wanted[old.name] = [*moves, *sorted(new.covered - old.covered)]
    return wanted


def _named(plan: Plan, agent: Workload) -> Iterator[FileMove]:
    """Yield the moves that an agent goes through, with the paths that its configuration names."""
    for move in due(plan):
        if not move.setting:
            yield move
            continue
        path = settings(plan.old, agent).get(move.setting)
        if isinstance(path, str) and path and not PurePosixPath(path).is_absolute():
            yield replace(move, old=move.old.format(path), new=move.new.format(path))


def _copy(move: FileMove) -> str:
    """Return what a shell in the container copies the file with."""
    parent = str(PurePosixPath(move.new).parent)
    return f"cd && {command('mkdir', '-p', '--', parent)} && {command('cp', '-a', '--', move.old, move.new)}"
