"""Helm's rendered objects of a revision, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from openab_sop import bounded, names
from openab_sop.agents.naming import check_pod
from openab_sop.agents.workload import KINDS, Workload
from openab_sop.errors import InvalidDocument, InvalidName, ReleaseError
from openab_sop.objects import Object, part

RENDERED = "what the chart renders"
"""Where a name stands that a chart has made."""
_TASKS = {"Job": ("spec",), "CronJob": ("spec", "jobTemplate", "spec"), "Pod": ("spec",)}
"""Kinds that run pods to an end, and where each has what a Job has as its spec."""
HOOK = "helm.sh/hook"
"""Annotation of what Helm runs or makes around a change, and does not take for a part of the release."""


@dataclass(frozen=True)
class ManifestObject:
    """One rendered object; ``body`` is the whole of it as the API's JSON would have it."""

    kind: str
    name: str
    body: Object


@dataclass(frozen=True)
class ReleaseManifest:
    """The objects of a revision, in the order that the chart rendered them."""

    objects: tuple[ManifestObject, ...]

    @classmethod
    def parse(cls, text: str, origin: str = "the release's manifest") -> ReleaseManifest:
        """Parse what ``helm get manifest`` prints.

        Args:
            origin: where it stands, in words.

        Raises:
            ReleaseError: it is not a stream of YAML objects.
            InvalidName: an object in it, or what its pods refer to, has a name that Kubernetes would not take.
        """
        try:
            return cls(tuple(_objects(text, origin)))
        except (InvalidDocument, KeyError, TypeError, AttributeError) as error:
            raise ReleaseError(
                f"{origin} is not a stream of Kubernetes objects{_why(error)}",
                "look at it with: helm get manifest RELEASE",
            ) from error

    def of_kind(self, kind: str) -> tuple[ManifestObject, ...]:
        """Return the objects of one kind ("Deployment", "Secret")."""
        return tuple(item for item in self.objects if item.kind == kind)

    @property
    def by_key(self) -> dict[tuple[str, str], Object]:
        """The objects by kind and name."""
        return {(item.kind, item.name): item.body for item in self.objects}

    def find(self, kind: str, name: str) -> Object | None:
        """Return an object; None if the chart does not render it."""
        return next((item.body for item in self.of_kind(kind) if item.name == name), None)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What of it keeps pods running."""
        return tuple(Workload(item.body) for kind in KINDS for item in self.of_kind(kind))

    @property
    def tasks(self) -> tuple[Workload, ...]:
        """What of it runs pods to an end, at once or by the clock; what is no pod's shape, the API refuses."""
        found: list[Workload] = []
        for item in (item for item in self.objects if item.kind in _TASKS):
            with suppress(InvalidName, AttributeError, TypeError):
                task = Workload({**item.body, "spec": _task(item.body)})
                check_pod(task.pod, item.kind)
                found.append(task)
        return tuple(found)

    def parted(self) -> tuple[ReleaseManifest, ReleaseManifest]:
        """Return the release's own objects, and the hooks."""
        hooks = tuple(item for item in self.objects if HOOK in part(item.body, "metadata", "annotations"))
        return ReleaseManifest(tuple(item for item in self.objects if item not in hooks)), ReleaseManifest(hooks)


def is_kept(body: Object) -> bool:
    """Tell whether an object's policy keeps Helm from deleting it."""
    return part(body, "metadata", "annotations").get("helm.sh/resource-policy") == "keep"


def hook_of(body: Object) -> str:
    """Return when Helm runs or makes an object, as its annotation says; empty if it is no hook."""
    return str(part(body, "metadata", "annotations").get(HOOK, ""))


def runs_in_upgrade(body: Object) -> bool:
    """Tell whether an object is a hook of upgrades: those of tests and installations are left alone then."""
    return any(hook.strip() in ("pre-upgrade", "post-upgrade") for hook in hook_of(body).split(","))


def _task(body: Object) -> Object:
    """Return the spec of what runs pods to an end, with the pod where a Deployment has it."""
    spec = part(body, *_TASKS[str(body["kind"])])
    return spec if body["kind"] != "Pod" else {"template": {"spec": spec}}


def _why(error: Exception) -> str:
    return f": {error.problem}" if isinstance(error, InvalidDocument) else ""


def _objects(text: str, origin: str) -> Iterator[ManifestObject]:
    for document in _flat(bounded.load_all_yaml(text, origin)):
        if document is not None:
            kind, name = str(document["kind"]), str(document["metadata"]["name"])
            names.check(document, origin)
            if kind in KINDS:
                check_pod(Workload(document).pod, f"{origin}, {kind} {name}")
            yield ManifestObject(kind, name, document)


def _flat(documents: Iterable[Any]) -> Iterator[Any]:
    """Yield the objects of lists in the place of the lists, as Helm and kubectl take them: none may hide there."""
    for document in documents:
        left: list[Any] = [document]
        while left:
            one = left.pop()
            body = cast(Object, one) if isinstance(one, dict) else {}
            if isinstance(items := body.get("items"), list):
                about = {"apiVersion": body.get("apiVersion"), "kind": str(body.get("kind")).removesuffix("List")}
                left += (
                    {**about, **item} if isinstance(item, dict) else item for item in reversed(cast(list[Any], items))
                )
            else:
                yield one
