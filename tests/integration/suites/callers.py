"""Other callers than the sandbox's administrator: their kubeconfigs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox import Status
from world import World


def kubeconfig(status: Status) -> dict[str, Any]:
    """The sandbox's kubeconfig, as data."""
    return json.loads(status.kubeconfig.read_text())


def write(path: Path, document: object) -> Path:
    """Write a kubeconfig, or anything, as JSON."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(0o600)
    return path


def account(world: World, status: Status, namespace: str, rules: list[dict[str, list[str]]], path: Path) -> Path:
    """Write the kubeconfig of a new service account with these rights in the namespace."""
    name = path.stem
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]
    manifest = write(path.with_suffix(".objects"), {"apiVersion": "v1", "kind": "List", "items": objects})
    world.kubectl("--namespace", namespace, "apply", "--filename", manifest)
    token = world.kubectl("--namespace", namespace, "create", "token", name).strip()
    document = kubeconfig(status)
    document["users"] = [{"name": "admin", "user": {"token": token}}]
    return write(path, document)
