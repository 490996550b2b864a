"""The release of a rebuild as Helm has it: not there, begun, broken off, done, or somebody else's (SOP 5)."""

from __future__ import annotations

from dataclasses import dataclass

from openab_sop.cluster import records
from openab_sop.cluster.helm import Helm, Listed
from openab_sop.cluster.kube import MANAGER
from openab_sop.errors import Broken, SopError
from openab_sop.journal import Journal
from openab_sop.objects import Object, part
from openab_sop.releases.manifest import RENDERED, ReleaseManifest
from openab_sop.restores.rebuild_spec import RebuildSpec
from openab_sop.wait import wait

LABEL = f"{MANAGER}/rebuilt-from"
"""Label of a release's record, there from its first moment: the backup that it is rebuilt from."""
ORPHAN = 60
"""Seconds that a helm which a killed run has left behind gets to end."""


@dataclass(frozen=True)
class Installation:
    """The release of a rebuild spec on a cluster; looked up each time."""

    spec: RebuildSpec
    helm: Helm
    journal: Journal

    def listed(self) -> Listed | None:
        """What helm says of it now, whatever its state; None if it is not there."""
        return self.helm.find(self.spec.release)

    def is_foreign(self, listed: Listed) -> bool:
        """Tell whether it is anything else than what a rebuild from this backup made, or began to make."""
        backup = self.spec.source.manifest.name
        return listed.revision != 1 or part(self._record(), "metadata", "labels").get(LABEL) != backup

    def try_out(self) -> ReleaseManifest:
        """Let helm render it and look for objects in its way; returns what it would make.

        Raises:
            ToolError: it does not render, or something is in its way.
        """
        return ReleaseManifest.parse(self._install(dry_run=True), RENDERED)

    def settled(self) -> Listed | None:
        """Wait for a helm that a killed run has left behind; returns what helm says of the release then."""
        try:
            wait(self._pending, what="the end of an earlier install", timeout=ORPHAN, next_step="run again")
        except Broken:
            raise
        except SopError as nobody:
            self.journal.record("an install broke off", seen=nobody.problem)
        return self.listed()

    def make(self) -> None:
        """Install it. If an earlier install broke off, its record is removed, and what it made is adopted.

        Raises:
            ToolError: helm failed.
        """
        if self.listed():
            self.helm.forget(self.spec.release, 1)
        self._install()

    def _install(self, *, dry_run: bool = False) -> str:
        plan = self.spec
        label = (LABEL, plan.source.manifest.name)
        return self.helm.install(plan.release, plan.chart, plan.values, label, dry_run=dry_run)

    def _pending(self) -> str | None:
        listed = self.listed()
        return listed.status if listed and listed.status.startswith("pending") else None

    def _record(self) -> Object:
        return records.record(self.helm.cluster, self.spec.release, 1).stored
