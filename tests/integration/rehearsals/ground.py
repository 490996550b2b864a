"""A rehearsal by the library, of a release in a namespace of its own that a suite has backed up."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from openab_sop import storage
from openab_sop.backups.backup import Backup
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Lease
from openab_sop.journal import Journal
from openab_sop.rehearsals.copied import RehearsalOptions
from openab_sop.rehearsals.rehearsal import Rehearsal
from openab_sop.releases import release as releases
from openab_sop.rollouts.logs import Patterns
from openab_sop.rollouts.problem import Limits
from openab_sop.targets.target import Target
from openab_sop.targets.version import Version
from sandbox import Status
from tests.integration.suites.upgrades import Upgrading
from world import World

LIMITS = Limits(rollout=60, ready=10, connected=10, settle=5, retry=5, reconnect=2)


@dataclass(frozen=True)
class Ground:
    """One release with a backup, to be rehearsed."""

    world: World
    upgrading: Upgrading
    helm: Helm
    scratch: Path

    @property
    def backup(self) -> Backup:
        (newest,) = self.upgrading.suites.backups()[-1:]
        return Backup.load(newest)

    def target(self, version: str) -> Target:
        """Where the upgrade leads, without a pre-release."""
        chart, current = self.world.package(version), Version.parse(self.backup.manifest.version)
        wanted = Version.parse(version)
        return Target(current, wanted, chart, storage.digest(chart), None, None, "", "nobody asked for one")

    def rehearsal(self, version: str, **options: Any) -> Rehearsal:
        """A rehearsal of the way to a version."""
        release = releases.resolve(self.helm, releases.find(self.helm, None))
        usual = RehearsalOptions(limits=LIMITS, patterns=Patterns(), may_vanish=("*.lock",))
        return Rehearsal(
            release=release,
            source=self.backup,
            options=replace(usual, **options),
            journal=Journal(self.scratch / "journal.jsonl"),
            target=self.target(version),
            directory=self.scratch / "session",
            lease=Lease(release.cluster, release.name),
        )


@contextmanager
def ground(upgrading: Upgrading, status: Status, directory: Path) -> Generator[Ground]:
    """Back the release up, and have the library reach the cluster as suites do."""
    run = upgrading.run("suites/backup")
    assert run.status == 0, run.output
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(status.kubeconfig))
        patch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
        access = kubeconfig.resolve(str(status.kubeconfig), None, upgrading.namespace)
        yield Ground(upgrading.world, upgrading, Helm(Cluster(access)), directory)
