"""What a backup's directory says of its release: what a rebuild makes, and of what (SOP 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openab_sop import bounded, redact
from openab_sop.agents.agent import Agent, learn_environment
from openab_sop.backups import kept_objects
from openab_sop.backups.backup import Backup, StoredAgent
from openab_sop.errors import BackupError, InvalidDocument, InvalidName, ReleaseError
from openab_sop.objects import Object
from openab_sop.releases.manifest import ReleaseManifest

CLAIM = "PersistentVolumeClaim"
VALUES = "values.yaml"


class RebuildSpec:
    """A backup as the specification of its release. What in it is secret is masked from now on.

    Attributes:
        manifest: what helm had sent; ``deployments``: those of it, by name; ``runners``: all that keeps pods running,
            by what it is called.
        agents: those that were backed up; ``volumes``: each with its home, and with each further volume that the
            chart mounts.
        chart_file: name of the chart's archive.

    Raises:
        BackupError: the backup has not what a rebuild needs.
    """

    def __init__(self, source: Backup) -> None:
        self.source = source
        self.release = source.manifest.release
        try:
            self._read()
        except (InvalidDocument, InvalidName, ReleaseError) as error:
            raise BackupError(f"backup {source.manifest.name}: {error.problem}", "use another backup") from error

    def _read(self) -> None:
        source = self.source
        self.chart_file = f"{source.manifest.chart}-{source.manifest.version}.tgz"
        self.manifest = ReleaseManifest.parse(self._text("manifest.yaml"), "the backup's manifest.yaml")
        self.deployments = {item.name: item.body for item in self.manifest.of_kind("Deployment")}
        self.runners = {workload.called: workload.body for workload in self.manifest.workloads}
        self.agents = tuple((self._agent(stored), stored) for stored in source.manifest.agents)
        found = ((self._volume(stored), stored) for stored in source.manifest.stored)
        self.volumes = tuple((volume, stored) for volume, stored in found if volume)
        self._learn_secrets()

    @property
    def chart(self) -> Path:
        """Path of the chart's archive.

        Raises:
            BackupError: it is not as it was when it was backed up, like ``values``.
        """
        return self.source.file(self.chart_file)

    @property
    def values(self) -> Path:
        """Path of the user-supplied values."""
        return self.source.file(VALUES)

    @property
    def with_claims(self) -> Iterator[tuple[Agent, StoredAgent, str]]:
        """The volumes that are on a claim, with the claim's name."""
        return ((volume, stored, volume.claim) for volume, stored in self.volumes if volume.claim and stored.claim)

    @property
    def parts(self) -> dict[str, str]:
        """Which part of its claim each home was, by its key."""
        return {agent.key: agent.part for agent, _ in self.agents}

    def rendered(self, kind: str, name: str) -> Object | None:
        """Return an object as the chart renders it; None if it does not."""
        return self.manifest.find(kind, name)

    def claim(self, stored: StoredAgent) -> Object:
        """Return a volume's claim as its old cluster had it."""
        return kept_objects.claim(self.source, stored)

    def references(self, *, rendered: bool) -> Iterator[Object]:
        """Yield the Secrets and ConfigMaps that the chart renders, or those that it only refers to."""
        for kind in kept_objects.KINDS:
            for stored in kept_objects.references(self.source, kind):
                if bool(self.rendered(kind, stored["metadata"]["name"])) == rendered:
                    yield stored

    def _agent(self, stored: StoredAgent) -> Agent:
        if (deployment := self.deployments.get(stored.deployment)) is None:
            raise BackupError(f"manifest.yaml has no Deployment {stored.deployment}", "use another backup")
        return Agent.of(deployment)

    def _volume(self, stored: StoredAgent) -> Agent | None:
        return next((volume for volume in self._agent(stored).volumes if volume.key == stored.key), None)

    def _learn_secrets(self) -> None:
        redact.learn_values(bounded.load_yaml(self._text(VALUES), f"{VALUES} of the backup"))
        for stored in kept_objects.references(self.source, "Secret"):
            redact.learn_secret(stored)
        for deployment in self.deployments.values():
            learn_environment(deployment)

    def _text(self, name: str) -> str:
        if name not in {file.path for file in self.source.manifest.contents}:
            raise BackupError(f"the backup has no {name}", "a rebuild needs it: use another backup")
        try:
            return self.source.read(name).decode()
        except UnicodeDecodeError as error:
            raise BackupError(f"{name} of the backup is not text", "use another backup") from error
