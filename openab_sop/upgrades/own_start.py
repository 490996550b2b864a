"""What the old version's own start does to its volumes, tried on a copy: no newer version is to blame for it (SOP 3.5).

A container that runs before the agent, or beside it, may remove or rewrite files at each start. Whether it was that or
the new version cannot be seen on the volume afterwards; a start of the old version on a copy tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from openab_sop.agents.workload import Workload, deployment_of
from openab_sop.errors import Broken, SopError
from openab_sop.rehearsals.copied import Copied, RehearsalOptions
from openab_sop.releases.release import Release
from openab_sop.upgrades.maintenance import Maintenance, Progress
from openab_sop.upgrades.verification import Looked

TRIED = "own start tried"
"""The mark of a state for which this was done."""


def without_own_start(
    m: Maintenance, release: Release, seen: Mapping[str, Looked], progress: Progress
) -> dict[str, Looked]:
    """Return what was seen without what the old version's start removes too; it is tried once an upgrade, if it may be.

    If it cannot be tried, nothing is excused, and the summary says why.

    Args:
        seen: by volume what has become of it.
    """
    damaged = {deployment_of(key) for key, looked in seen.items() if looked.damage}
    old = m.rebuild_spec().deployments
    suspects = {name for name in damaged if name in old and Workload(old[name]).writers_at_start}
    if suspects and not m.state.when(TRIED):
        removed = _tried(m, release, suspects, progress)
        m.file.mark(TRIED, excused=m.state.excusing(removed))
    return {key: looked.without(m.state.excused.get(key, ())) for key, looked in seen.items()}


def _tried(
    m: Maintenance, release: Release, suspects: Collection[str], progress: Progress
) -> dict[str, tuple[str, ...]]:
    """Return by volume what the start of the old version removes, of these agents."""
    policy = m.policy
    copied = Copied(
        release=release,
        source=m.baseline(),
        options=RehearsalOptions(limits=policy.limits, patterns=policy.patterns, may_vanish=policy.may_vanish),
        journal=m.journal,
    )
    removed: dict[str, tuple[str, ...]] = {}
    try:
        with m.journal.action("try the old version's start on a copy", agents=sorted(suspects)):
            removed = _removed(copied, progress)
    except Broken:
        raise
    except SopError as error:
        m.notes["old version's start"] = f"WARNING: not tested on a copy: {error.problem}"
    finally:
        with m.journal.action("remove the copy"), suppress(SopError):  # what is known counts; cleanup removes the rest
            copied.close()
    return {key: paths for key, paths in removed.items() if deployment_of(key) in suspects}


def _removed(copied: Copied, progress: Progress) -> dict[str, tuple[str, ...]]:
    copied.prepare()
    copied.isolate()
    copied.restore(progress)
    copied.make_harmless()
    copied.run_old()
    return copied.removed()
