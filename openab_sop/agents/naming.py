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
            yield "Secret", at(source, "secretKeyRef", "name")
            yield "ConfigMap", at(source, "configMapKeyRef", "name")
        for source in parts(container, "envFrom"):
            yield "Secret", at(source, "secretRef", "name")
            yield "ConfigMap", at(source, "configMapRef", "name")
    for volume in parts(pod, "volumes"):
        yield "PersistentVolumeClaim", at(volume, "persistentVolumeClaim", "claimName")
        for source in (volume, *parts(volume, "projected", "sources")):
            yield "Secret", at(source, "secret", "secretName") or at(source, "secret", "name")
            yield "ConfigMap", at(source, "configMap", "name")
    yield from (("Secret", secret.get("name")) for secret in parts(pod, "imagePullSecrets"))
    yield "ServiceAccount", pod.get("serviceAccountName")
    yield "PriorityClass", pod.get("priorityClassName")
    yield "RuntimeClass", pod.get("runtimeClassName")
