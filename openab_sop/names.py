"""Names as Kubernetes and Helm allow them: what leads into an API path or an argument list is checked here (issue 14).

A name comes from a backup, a chart, a note on the cluster or an option, so it may be anything. One with ``/`` or
``..`` would lead an API path to another object or namespace, one that begins with ``-`` would be an option.

Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/, k8s.io/apimachinery
``pkg/api/validation/path``, helm/helm ``pkg/chartutil/validate_name.go``.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from openab_sop.errors import InvalidName
from openab_sop.escape import one_line
from openab_sop.objects import Object, at

LABEL = 63
"""Characters of a label: names of namespaces and containers, values of labels."""
SUBDOMAIN = 253
"""Characters of a DNS name: names of most objects."""
SEGMENT = 1024
"""Characters of other names. Kubernetes sets no limit; a request line has one."""
RELEASE = 53
"""Characters of a Helm release's name."""
SHOWN = 80
"""Characters of a refused name that a message quotes."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_KIND = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_OF_DNS = "lower case letters, digits, '-' and '.', no other"

KINDS_OF_DNS = frozenset(
    {
        "ConfigMap",
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Job",
        "Lease",
        "NetworkPolicy",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "ReplicaSet",
        "ResourceQuota",
        "Secret",
        "Service",
        "ServiceAccount",
        "StatefulSet",
        "StorageClass",
    }
)
"""Kinds whose objects have DNS names. Of all others, such as RBAC's, no more is known than that a name is one part of a
path."""


def label(name: object, what: str, origin: str = "") -> str:
    """Return the name of a namespace or a container, or a volume of a pod.

    Args:
        what: what it names, in words: ``namespace``.
        origin: where it stands, in words: ``the backup's manifest.yaml``; empty if that is not known.

    Raises:
        InvalidName: it is no DNS label (RFC 1123).
    """
    return _checked(name, what, origin, _LABEL, LABEL, "lower case letters, digits and '-', at most 63, no other")


def subdomain(name: object, what: str, origin: str = "") -> str:
    """Return a name that must be a DNS name (RFC 1123), as those of most objects; arguments as ``label`` has them.

    Raises:
        InvalidName: it is none.
    """
    return _checked(name, what, origin, _SUBDOMAIN, SUBDOMAIN, f"{_OF_DNS}, at most 253")


def release(name: object, origin: str = "") -> str:
    """Return the name of a Helm release.

    Raises:
        InvalidName: Helm would not take it.
    """
    return _checked(name, "release", origin, _SUBDOMAIN, RELEASE, f"{_OF_DNS}, at most 53")


def label_value(value: object, what: str, origin: str = "") -> str:
    """Return what is to be the value of a label, and is not empty; arguments as ``label`` has them.

    Raises:
        InvalidName: no label may have it.
    """
    return _checked(value, what, origin, _VALUE, LABEL, "letters, digits, '-', '_' and '.', at most 63, no other")


def of(kind: str, name: object, origin: str = "") -> str:
    """Return the name of an object, checked by the rules of its kind.

    Args:
        kind: its kind, as in a manifest; it may be any.
        origin: as ``label`` has it.

    Raises:
        InvalidName: no object of the kind can have it.
    """
    if kind == "Namespace":
        return label(name, "namespace", origin)
    if kind in KINDS_OF_DNS:
        return subdomain(name, kind, origin)
    text = str(name)
    wrong = not text or text in (".", "..") or {"/", "%"} & set(text) or not text.isprintable()
    if name is None or wrong or len(text) > SEGMENT:
        raise _refused(text, kind, origin, "one part of a path: neither '.' nor '..', without '/' and '%'")
    return text


def api_version(text: object, origin: str = "") -> str:
    """Return an object's ``apiVersion``, such as "v1" or "apps/v1".

    Raises:
        InvalidName: it is none.
    """
    said = str(text)
    group, slash, version = said.rpartition("/")
    fits = _VERSION.fullmatch(version) and len(version) <= LABEL
    if not fits or (slash and not (_SUBDOMAIN.fullmatch(group) and len(group) <= SUBDOMAIN)):
        raise _refused(said, "apiVersion", origin, "v1, or GROUP/VERSION as apps/v1")
    return said


def kind(text: object, origin: str = "") -> str:
    """Return an object's kind.

    Raises:
        InvalidName: it is none.
    """
    return _checked(text, "kind", origin, _KIND, LABEL, "letters, digits and '-', as Deployment")


def check(body: Object, origin: str) -> None:
    """Check what of an object names it and so leads to a place in the API: version, kind, name, namespace.

    Raises:
        InvalidName: one of them is none.
    """
    what = kind(body.get("kind"), origin)
    if "apiVersion" in body:  # where it has none, the API, or Helm, refuses it
        api_version(body["apiVersion"], origin)
    of(what, at(body, "metadata", "name"), origin)
    if namespace := at(body, "metadata", "namespace"):
        label(namespace, f"namespace of a {what}", origin)


def in_path(kind: str, name: object) -> str:
    """Return the name of an object as a part of an API path.

    Raises:
        InvalidName: no object of the kind can have it.
    """
    return quote(of(kind, name), safe="")


def _checked(name: object, what: str, origin: str, pattern: re.Pattern[str], most: int, rule: str) -> str:
    text = str(name)
    if name is None or len(text) > most or not pattern.fullmatch(text):
        raise _refused(text, what, origin, rule)
    return text


def _refused(text: str, what: str, origin: str, rule: str) -> InvalidName:
    shown = one_line(repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}..."))
    return InvalidName(
        f"{origin or 'what was asked for'}: {shown} cannot be the {what if what in _PLAIN else f'name of a {what}'}",
        f"expected {rule}; find out who has written it: nothing is done by it",
    )


_PLAIN = ("kind", "apiVersion")
