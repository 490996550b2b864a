"""Helm's rendered objects of a revision, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openab_sop import bounded
from openab_sop.agents.workload import KINDS, Workload
from openab_sop.errors import InvalidDocument, ReleaseError
from openab_sop.objects import Object, part

HOOK = "helm.sh/hook"
"""Annotation of what Helm runs or makes around a change, and does not take for a part of the release."""


@dataclass(frozen=True)
class ManifestObject:
    """One rendered object; ``body`` is the whole of it as the API's JSON would have it."""

    kind: str
    name: str
    body: Object


@dataclass(frozen=True)
class Manifest:
    """The objects of a revision, in the order that the chart rendered them."""

    objects: tuple[ManifestObject, ...]

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Parse what ``helm get manifest`` prints.

        Raises:
            ReleaseError: it is not a stream of YAML objects.
        """
        try:
            return cls(tuple(_objects(text)))
        except (InvalidDocument, KeyError, TypeError) as error:
            raise ReleaseError(
                f"the release's manifest is not a stream of Kubernetes objects{_why(error)}",
                "look at it with: helm get manifest RELEASE",
            ) from error

    def of_kind(self, kind: str) -> tuple[ManifestObject, ...]:
        """Return the objects of one kind ("Deployment", "Secret")."""
        return tuple(item for item in self.objects if item.kind == kind)

    def find(self, kind: str, name: str) -> Object | None:
        """Return an object; None if the chart does not render it."""
        return next((item.body for item in self.of_kind(kind) if item.name == name), None)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What of it keeps pods running."""
        return tuple(Workload(item.body) for kind in KINDS for item in self.of_kind(kind))

    def parted(self) -> tuple[Manifest, Manifest]:
        """Return the release's own objects, and the hooks."""
        hooks = tuple(item for item in self.objects if HOOK in part(item.body, "metadata", "annotations"))
        return Manifest(tuple(item for item in self.objects if item not in hooks)), Manifest(hooks)


def _why(error: Exception) -> str:
    return f": {error.problem}" if isinstance(error, InvalidDocument) else ""


def _objects(text: str) -> Iterator[ManifestObject]:
    for document in bounded.load_all_yaml(text, "the release's manifest"):
        if document is not None:
            yield ManifestObject(str(document["kind"]), str(document["metadata"]["name"]), document)
