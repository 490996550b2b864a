"""What mends a release without going back: a restart, its configuration from the backup (SOP 4.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from openab_sop.agents.agent import Agent
from openab_sop.backups.items import Selection
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import BackupError, SopError, StepSkipped
from openab_sop.escape import command
from openab_sop.restores.restore import Restoration
from openab_sop.upgrades.maintenance import Maintenance, Progress
from openab_sop.verdict import Verdict
from openab_sop.wait import wait

ENDED = 150
"""Seconds until a pod that was deleted must be gone: Kubernetes' own grace and the kubelet's work."""


def restart(cluster: Cluster, agent: Agent) -> list[str]:
    """Have an agent's pods made anew, leaving no trace on its Deployment; returns the names of the old ones.

    Raises:
        SopError: one does not end.
    """
    old = {str(pod["metadata"]["uid"]): str(pod["metadata"]["name"]) for pod in cluster.list("Pod", agent.selector)}
    for uid, name in old.items():
        cluster.delete("Pod", name, uid)
    wait(
        lambda: (
            ", ".join(p["metadata"]["name"] for p in cluster.list("Pod", agent.selector) if p["metadata"]["uid"] in old)
            or None
        ),
        what=f"the end of the pods of {agent.deployment}",
        timeout=ENDED,
        next_step=command("kubectl", "-n", cluster.namespace, "describe", "pods", "-l", agent.selector),
    )
    return list(old.values())


def restore_config(maintenance: Maintenance, progress: Progress, broken: Mapping[str, Collection[str]]) -> str:
    """Bring back from the baseline what of the agents' configuration is broken; returns what was written.

    The agents concerned stand still meanwhile.

    Args:
        broken: paths by volume.

    Raises:
        BackupError: a volume could not be brought back.
    """
    m, release, written = maintenance, maintenance.release(), dict[str, str]()
    for key, paths in broken.items():
        restoration = Restoration(m.baseline(), release, Selection.of(paths), m.journal, only=(key,), notes=m.notes)
        try:
            written |= bring_back(restoration, progress)
        except BaseException:
            with suppress(SopError):  # an agent whose volume is whole runs, whatever it was
                restoration.leave()
            raise
        release.cluster.again(restoration.start)
    return str(written)


def bring_back(restoration: Restoration, progress: Progress) -> dict[str, str]:
    """Do a restore's steps one after the other, as far as the proof; the agents stand still then.

    Returns:
        By agent: what was written; none for one that was as the backup says already.

    Raises:
        BackupError: a volume may not be written, or is not as the backup says.
    """
    written: dict[str, str] = {}

    def once() -> None:
        restoration.stop()
        _demand(restoration.preflight())
        with suppress(StepSkipped):
            restoration.set_aside()
        with suppress(StepSkipped):
            written.update(restoration.write(progress))
        _demand(restoration.verify())

    restoration.release.cluster.again(once)
    return written


def _demand(verdict: Verdict) -> None:
    if not verdict.passed:
        raise BackupError(str(verdict), "look at the volume; pytest suites/rollback goes back")
