"""What mends a release without going back: a restart, its configuration from the backup (SOP 4.1)."""

from __future__ import annotations

from contextlib import suppress

from openab_sop.agents.agent import Agent
from openab_sop.backups.items import Selection
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import BackupError, NotNeeded
from openab_sop.restores.restore import Restoration
from openab_sop.upgrades.maintenance import Maintenance, Progress
from openab_sop.wait import wait

CONFIG = "agents,steering"
"""The items that the SOP calls configuration."""
ENDED = 150
"""Seconds until a pod that was deleted must be gone: Kubernetes' own grace and the kubelet's work."""


def restart(cluster: Cluster, agent: Agent) -> list[str]:
    """Have an agent's pods made anew, leaving no trace on its Deployment; returns the names of the old ones.

    Raises:
        SopError: one does not end.
    """
    old = {pod["metadata"]["uid"]: str(pod["metadata"]["name"]) for pod in cluster.list("Pod", agent.selector)}
    for name in old.values():
        cluster.delete("Pod", name)
    wait(
        lambda: (
            ", ".join(p["metadata"]["name"] for p in cluster.list("Pod", agent.selector) if p["metadata"]["uid"] in old)
            or None
        ),
        what=f"the end of the pods of {agent.deployment}",
        timeout=ENDED,
        next_step=f"kubectl -n {cluster.namespace} describe pods -l '{agent.selector}'",
    )
    return list(old.values())


def restore_config(maintenance: Maintenance, progress: Progress) -> str:
    """Bring the agents' configuration back from the baseline, the agents standing still; returns what was written.

    Raises:
        BackupError: a volume could not be brought back.
    """
    source, release = maintenance.baseline(), maintenance.release()
    restoration = Restoration(source, release, Selection.parse(CONFIG), maintenance.journal)
    written = ""
    try:
        restoration.stop()
        for verdict in (restoration.preflight(),):
            if not verdict.passed:
                raise BackupError(str(verdict), "look at the volume; pytest suites/rollback goes back")
        with suppress(NotNeeded):
            restoration.set_aside()
        with suppress(NotNeeded):
            written = str(restoration.write(progress))
        verdict = restoration.verify()
        if not verdict.passed:
            raise BackupError(str(verdict), "run the same command again")
    finally:
        restoration.start()
    return written
