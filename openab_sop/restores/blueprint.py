"""What a backup's directory says of its release: what a rebuild makes, and of what (SOP 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from openab_sop import bounded, redact
from openab_sop.agents.agent import Agent, learn_environment
from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.errors import BackupError
from openab_sop.objects import Object
from openab_sop.releases.manifest import Manifest

CLAIM = "PersistentVolumeClaim"


class Blueprint:
    """A backup as the plan of its release. What in it is secret is masked from now on.

    Attributes:
        manifest: what helm had sent; ``deployments``: those of it, by name.
        agents: those that were backed up; ``volumes``: each with its home, and with each further volume that the
            chart mounts.
        chart, values: paths of the chart's archive and of the user-supplied values.

    Raises:
        BackupError: the backup has not what a rebuild needs.
    """

    def __init__(self, source: Backup) -> None:
        self.source = source
        self.release = source.manifest.release
        self.chart = source.directory / f"{source.manifest.chart}-{source.manifest.version}.tgz"
        self.values = source.directory / "values.yaml"
        self.manifest = Manifest.parse(_read(source.directory / "manifest.yaml"))
        self.deployments = {item.name: item.body for item in self.manifest.of_kind("Deployment")}
        self.agents = tuple((self._agent(stored), stored) for stored in source.manifest.agents)
        found = ((self._volume(stored), stored) for stored in source.manifest.stored)
        self.volumes = tuple((volume, stored) for volume, stored in found if volume)
        self._learn_secrets()

    @property
    def with_claims(self) -> Iterator[tuple[Agent, StoredAgent, str]]:
        """The volumes that are on a claim, with the claim's name."""
        return ((volume, stored, volume.claim) for volume, stored in self.volumes if volume.claim and stored.claim)

    def rendered(self, kind: str, name: str) -> Object | None:
        """Return an object as the chart renders it; None if it does not."""
        return self.manifest.find(kind, name)

    def claim(self, stored: StoredAgent) -> Object:
        """Return a volume's claim as its old cluster had it."""
        return _parsed(self.source.directory / stored.key / "claim.yaml")

    def references(self, *, rendered: bool) -> Iterator[Object]:
        """Yield the Secrets and ConfigMaps that the chart renders, or those that it only refers to."""
        for pattern in ("secret-*.yaml", "configmap-*.yaml"):
            for path in sorted(self.source.directory.glob(pattern)):
                stored = _parsed(path)
                if bool(self.rendered(stored["kind"], stored["metadata"]["name"])) == rendered:
                    yield stored

    def _agent(self, stored: StoredAgent) -> Agent:
        if (deployment := self.deployments.get(stored.deployment)) is None:
            raise BackupError(f"manifest.yaml has no Deployment {stored.deployment}", "use another backup")
        return Agent.of(deployment)

    def _volume(self, stored: StoredAgent) -> Agent | None:
        return next((volume for volume in self._agent(stored).volumes if volume.key == stored.key), None)

    def _learn_secrets(self) -> None:
        redact.learn_values(bounded.load_yaml(_read(self.values), str(self.values)))
        for path in self.source.directory.glob("secret-*.yaml"):
            redact.learn_secret(_parsed(path))
        for deployment in self.deployments.values():
            learn_environment(deployment)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise BackupError(f"the backup has no {path.name}", "a rebuild needs it: use another backup") from error


def _parsed(path: Path) -> Object:
    return cast(Object, bounded.load_yaml(_read(path), str(path)))
