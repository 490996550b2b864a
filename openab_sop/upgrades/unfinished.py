"""What an earlier run has left unfinished, so that nothing is called done, or begun, on top of it (SOP 1.4, 3.0)."""

from __future__ import annotations

import shlex

from openab_sop.agents.scaling import STOPPED, noted_replicas
from openab_sop.cluster.lease import Board
from openab_sop.errors import ReleaseError
from openab_sop.escape import command
from openab_sop.objects import at, part
from openab_sop.releases import identity
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import End, UpgradeState

_BEGUN = {"suites/restore", "suites/reinstall", "suites/rollback"}
_WITH = {"--backup", "--items", "--logins", "--abandon"}
"""Stages that hold the lock and leave on it how they are run again, and with which options."""
ROLLBACK = "pytest suites/rollback"


def closed_elsewhere(state: UpgradeState, release: Release) -> str:
    """Tell how somebody has brought a release on from where its upgrade has left it; empty if nobody has.

    What is half written on a volume keeps the upgrade open: no revision of Helm's mends that.
    """
    expected = {state.last, *((state.in_progress_from, state.in_progress_from + 1) if state.in_progress else ())}
    if not state.changed or state.writing or release.status != "deployed" or release.revision in expected:
        return ""
    return (
        f"somebody has brought the release to revision {release.revision} ({release.version}, deployed) since; "
        f"upgrade {state.id} to {state.target} had left it at revision {state.last}"
    )


def require_running(release: Release, board: Board, known: UpgradeState | None) -> None:
    """Stop if an agent stands still that a run of ours has stopped and not started again.

    Args:
        known: the last upgrade as this machine has it; where its lock was deleted it is all that is known.

    Raises:
        ReleaseError: one does; the message says what was under way, and both ways on.
    """
    cluster = release.cluster
    still: dict[str, int] = {}
    for agent in release.agents:
        deployment = cluster.get("Deployment", agent.deployment)
        noted = noted_replicas(deployment)
        if noted is not None and not at(deployment, "spec", "replicas"):
            still[agent.deployment] = noted
    if still:
        begun = board.doing()
        lost = known if known and known.changed and known.ended == End.ELSEWHERE else None
        agents = identity.identified(cluster, release.agents, lost.claims) if lost else ()
        half = identity.holders(agents, lost.writing) & still.keys() if lost else set[str]()
        kubectl = ("kubectl", "--context", cluster.access.context, "-n", cluster.namespace)
        by_hand = " && ".join(
            f"{command(*kubectl, 'scale', 'deploy', name, f'--replicas={replicas}')} && "
            f"{command(*kubectl, 'annotate', 'deploy', name, f'{STOPPED}-')}"
            for name, replicas in still.items()
        )
        again = again_by(begun) or (ROLLBACK if lost else "")
        ways = [f"do again what it did, which ends it: {again}"] if again else []
        ways += [] if half else [f"if the data are as they should be, start it: {by_hand}"]
        raise ReleaseError(
            f"{', '.join(still)} stands still: a run that did not end has stopped it"
            + (f" ({begun})" if begun else "")
            + (f"; the data of {', '.join(sorted(half))} are half written" if half else ""),
            "; or, ".join(ways),
        )


def again_by(begun: str) -> str:
    """Return the command that a note on the lock names, if it is one as a run of ours begins it; else the rollback.

    Others than us may write that note, and what is returned is pasted into a shell (issue 14).
    """
    try:
        words = shlex.split(begun)
    except ValueError:
        words = []
    ours = words[:1] == ["pytest"] and {*words[1:2]} & _BEGUN and {w.partition("=")[0] for w in words[2:]} <= _WITH
    if ours:
        return command(*words)
    return ROLLBACK if begun else ""


def require_well(release: Release) -> list[str]:
    """Stop if what is called done does not run; returns the agents that somebody has scaled to nothing.

    Raises:
        ReleaseError: an agent has not all of its replicas.
    """
    paused: list[str] = []
    for agent in release.agents:
        deployment = release.cluster.get("Deployment", agent.deployment)
        wanted, ready = at(deployment, "spec", "replicas"), part(deployment, "status").get("readyReplicas", 0)
        paused += [] if wanted else [agent.deployment]
        if ready < wanted:
            raise ReleaseError(
                f"{release.version} is deployed already, and {agent.deployment} does not run: "
                f"{ready} of {wanted} replicas are ready",
                f"{command('kubectl', '-n', release.namespace, 'describe', 'pods', '-l', agent.selector)} shows why; "
                "--force applies the version once more",
            )
    return paused
