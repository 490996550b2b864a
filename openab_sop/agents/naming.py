"""The names that a pod's spec holds: what it refers to is looked up, and its containers are run in (issue 14)."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop import names
from openab_sop.objects import Object, at, part, parts


def check_pod(pod: Object, origin: str) -> None:
    """Check every name in a pod's spec that leads to an object, or into a container.

    Args:
        origin: where the spec stands, in words.

    Raises:
        InvalidName: Kubernetes would not take one of them.
    """
    for container in (*parts(pod, "initContainers"), *parts(pod, "containers")):
        names.label(container.get("name"), "container", origin)
    for volume in parts(pod, "volumes"):
        names.label(volume.get("name"), "volume of a pod", origin)
    for kind, name in _referred(pod):
        if name not in (None, ""):
            names.subdomain(name, kind, origin)


def _referred(pod: Object) -> Iterator[tuple[str, object]]:
    for container in (*parts(pod, "initContainers"), *parts(pod, "containers")):
        for source in (part(entry, "valueFrom") for entry in parts(container, "env")):
            yield "Secret", _needed(source, "secretKeyRef")
            yield "ConfigMap", _needed(source, "configMapKeyRef")
        for source in parts(container, "envFrom"):
            yield "Secret", _needed(source, "secretRef")
            yield "ConfigMap", _needed(source, "configMapRef")
    for volume in parts(pod, "volumes"):
        yield "PersistentVolumeClaim", at(volume, "persistentVolumeClaim", "claimName")
        for source in (volume, *parts(volume, "projected", "sources")):
            yield "Secret", _needed(source, "secret")
            yield "ConfigMap", _needed(source, "configMap")
    yield "ServiceAccount", pod.get("serviceAccountName")
    yield "PriorityClass", pod.get("priorityClassName")
    yield "RuntimeClass", pod.get("runtimeClassName")


def _needed(source: Object, word: str) -> object:
    """Return the name in a reference without which a pod does not start; of others, Kubernetes takes any."""
    reference = part(source, word)
    return None if reference.get("optional") else reference.get("secretName") or reference.get("name")
