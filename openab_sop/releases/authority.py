"""What objects could do beyond their release: outside its namespace, by rights that they give, on the node (issue 14).

Pure: it looks at what a chart renders or a backup brings. Two sides are compared by what they may do, not by names: a
Role that gets one verb more is told as that verb.

Sources: https://kubernetes.io/docs/concepts/security/rbac-good-practices/, .../pod-security-standards/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from openab_sop.objects import Object, at
from openab_sop.releases.manifest import HOOK, ManifestObject

BEYOND, GRANTS, HOST = "beyond-namespace", "grants-rights", "host-access"
"""Names of the rules that tell of it; they stand before the subject in a finding's id."""

Wide = Collection[tuple[str, str]]
"""``apiVersion`` and kind of what no namespace holds, as the cluster tells."""

_WIDE = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeSnapshotClass",
    }
)
"""Kinds that no namespace holds, also where no cluster was asked."""
_TESTS = frozenset({"test", "test-success", "test-failure"})
"""Hooks that only ``helm test`` makes."""
_AGGREGATES = "rbac.authorization.k8s.io/aggregate-to-"
_TOKEN = "kubernetes.io/service-account-token"
_ACCOUNT = "kubernetes.io/service-account.name"
_ON_HOST = ("hostNetwork", "hostPID", "hostIPC")
_OF_WINDOWS = "windowsOptions"


@dataclass(frozen=True)
class Power:
    """Something that an object may do, or lets others do, beyond its release.

    Attributes:
        rule: one of ``BEYOND``, ``GRANTS``, ``HOST``.
        subject: the object, and what of it; the second half of a finding's id.
        description: in words.
        content: what it amounts to; two are the same only if this is too.
    """

    rule: str
    subject: str
    description: str
    content: str = ""


def powers(objects: Iterable[ManifestObject], namespace: str, wide: Wide = ()) -> list[Power]:
    """Return what objects could do beyond a release, in their order; what only ``helm test`` makes does not count.

    Args:
        namespace: the release's.
        wide: as the cluster tells; kinds that Kubernetes itself has are known.
    """
    counted = [item for item in objects if not _is_test(item.body)]
    own = {item.name for item in counted if item.kind == "ServiceAccount"}
    found: list[Power] = []
    for item in counted:
        found += (*_beyond(item, namespace, wide), *_granted(item), *_on_host(item), *_as_others(item, own))
    return found


def beyond(new: Iterable[Power], old: Iterable[Power] = ()) -> dict[tuple[str, str], str]:
    """Return what is new, by rule and subject, in words."""
    known = {(power.rule, power.subject, power.content) for power in old}
    descriptions: dict[tuple[str, str], dict[str, None]] = {}
    for power in new:
        if (power.rule, power.subject, power.content) not in known:
            descriptions.setdefault((power.rule, power.subject), {})[power.description] = None
    return {key: "; ".join(words) for key, words in descriptions.items()}


def _is_test(body: Object) -> bool:
    events = {event.strip() for event in str(_mapping(body, "metadata", "annotations").get(HOOK) or "").split(",")}
    return events <= _TESTS


def _beyond(item: ManifestObject, namespace: str, wide: Wide) -> Iterator[Power]:
    theirs = at(item.body, "metadata", "namespace")
    if item.kind in _WIDE or (str(item.body.get("apiVersion")), item.kind) in wide:
        yield Power(BEYOND, _subject(item), "no namespace holds it: it counts in the whole cluster")
    elif theirs not in (None, "", namespace):
        yield Power(BEYOND, f"{_subject(item)}@{theirs}", f"it is made in namespace {theirs}")


def _granted(item: ManifestObject) -> Iterator[Power]:
    """Yield each right that an object gives, or each request of others that it gets to see or to change."""
    subject, body = _subject(item), item.body
    given = _GIVES.get(item.kind)
    for what in given(body) if given else ():
        yield Power(GRANTS, subject, f"it gives: {_shown(what)}", _canonical(what))
    if item.kind == "Secret" and body.get("type") == _TOKEN:
        account = str(_mapping(body, "metadata", "annotations").get(_ACCOUNT))
        yield Power(GRANTS, subject, f"it gets a token of service account {account}", account)


def _as_others(item: ManifestObject, own: Collection[str]) -> Iterator[Power]:
    """Yield the service account that an object's pods are, where it is not the release's own."""
    account = str(_pod(item).get("serviceAccountName") or _pod(item).get("serviceAccount") or "default")
    if account != "default" and account not in own:
        yield Power(GRANTS, f"{_subject(item)}.serviceAccountName", f"its pods act as {account}", account)


def _on_host(item: ManifestObject) -> Iterator[Power]:
    pod = _pod(item)
    for what, description in (*_of_pod(pod), *(one for c in _containers(pod) for one in _of_container(c))):
        yield Power(HOST, f"{_subject(item)}.{what}", description, description)


def _of_pod(pod: Object) -> Iterator[tuple[str, str]]:
    for word in _ON_HOST:
        if pod.get(word):
            yield word, f"its pods have the node's own: {word}"
    for volume in _mappings(pod, "volumes"):
        if "hostPath" in volume:
            path = str(at(volume, "hostPath", "path"))
            yield f"hostPath={quote(path)}", f"its pods mount {path} of the node"
    yield from _unconfined(_mapping(pod, "securityContext"))


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    context = _mapping(container, "securityContext")
    if context.get("privileged"):
        yield "privileged", f"container {container.get('name')} is privileged"
    if context.get("procMount") not in (None, "Default"):
        yield "procMount", f"container {container.get('name')} sees the node's /proc"
    for name in _each(context, "capabilities", "add"):
        yield f"capability={name}", f"container {container.get('name')} has the capability {name}"
    for port in _mappings(container, "ports"):
        if port.get("hostPort"):
            yield f"hostPort={port['hostPort']}", f"container {container.get('name')} takes port {port['hostPort']}"
    yield from _unconfined(context)


def _unconfined(context: Object) -> Iterator[tuple[str, str]]:
    for word in ("seccompProfile", "appArmorProfile"):
        if at(context, word, "type") == "Unconfined":
            yield word, f"it switches {word} off"
    if at(context, _OF_WINDOWS, "hostProcess"):
        yield "hostProcess", "it runs as a process of the node"
    for setting in _mappings(context, "sysctls"):
        yield f"sysctl={setting.get('name')}", f"it sets {setting.get('name')} of the kernel"


def _pod(item: ManifestObject) -> Object:
    """Return the spec of an object's pods, empty if it has none; any kind may have a template."""
    if item.kind == "Pod":
        return _mapping(item.body, "spec")
    for path in (
        ("spec", "template", "spec"),
        ("spec", "jobTemplate", "spec", "template", "spec"),
        ("template", "spec"),
    ):
        if found := _mapping(item.body, *path):
            return found
    return {}


def _containers(pod: Object) -> Iterator[Object]:
    for word in ("initContainers", "containers", "ephemeralContainers"):
        yield from _mappings(pod, word)


def _mapping(body: Object, *path: str) -> Object:
    found = at(body, *path)
    return cast(Object, found) if isinstance(found, dict) else {}


def _each(body: Object, *path: str) -> Iterator[object]:
    """Yield what is in a list, whatever it is; what stands in a list's place is told as a whole."""
    found = at(body, *path)
    yield from cast(list[object], found) if isinstance(found, list) else [found] if found else []


def _mappings(body: Object, *path: str) -> Iterator[Object]:
    yield from (cast(Object, entry) for entry in _each(body, *path) if isinstance(entry, dict))


def _subject(item: ManifestObject) -> str:
    return f"{item.kind}/{item.name}"


def _rules(body: Object) -> Iterator[object]:
    yield from _each(body, "rules")
    if aggregated := body.get("aggregationRule"):
        yield {"aggregationRule": aggregated}
    labels = _mapping(body, "metadata", "labels")
    yield from ({"adds its rules to": name} for name in sorted(labels) if str(name).startswith(_AGGREGATES))


def _bindings(body: Object) -> Iterator[object]:
    yield from ({"roleRef": body.get("roleRef"), "subject": subject} for subject in _each(body, "subjects"))


def _spec(body: Object) -> Iterator[object]:
    yield at(body, "spec")


def _definition(body: Object) -> Iterator[object]:
    """What of a definition reaches others: its kind, and who converts it. Its schema may change with each version."""
    spec = _mapping(body, "spec")
    yield {"group": spec.get("group"), "kind": at(spec, "names", "kind"), "conversion": spec.get("conversion")}


_GIVES: dict[str, Callable[[Object], Iterator[object]]] = {
    "APIService": _spec,
    "CertificateSigningRequest": _spec,
    "ClusterRole": _rules,
    "ClusterRoleBinding": _bindings,
    "CustomResourceDefinition": _definition,
    "MutatingAdmissionPolicy": _spec,
    "MutatingAdmissionPolicyBinding": _spec,
    "MutatingWebhookConfiguration": lambda body: _each(body, "webhooks"),
    "Role": _rules,
    "RoleBinding": _bindings,
    "ValidatingAdmissionPolicy": _spec,
    "ValidatingAdmissionPolicyBinding": _spec,
    "ValidatingWebhookConfiguration": lambda body: _each(body, "webhooks"),
}
"""By kind: each right that it gives, or that takes effect by it."""
_SHOWN = 300
"""Characters of such a right that a finding quotes."""


def _canonical(what: Any) -> str:
    return json.dumps(what, sort_keys=True, default=str)


def _shown(what: object) -> str:
    text = _canonical(what)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
