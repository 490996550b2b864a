"""Other callers than the sandbox's administrator: their kubeconfigs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sandbox import Status
from tests.integration.conftest import ROOT
from world import World


def kubeconfig(status: Status) -> dict[str, Any]:
    """The sandbox's kubeconfig, as data."""
    return json.loads(status.kubeconfig.read_text())


def write(path: Path, document: object) -> Path:
    """Write a kubeconfig, or anything, as JSON."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(0o600)
    return path


def least_rights(*stages: str) -> list[dict[str, Any]]:
    """The rules of the Role that the product prints for these stages, without what they can do without."""
    command = [sys.executable, "-m", "openab_sop.rights", "--least", *stages]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (role,) = [found for found in yaml.safe_load_all(printed) if found["kind"] == "Role"]
    return role["rules"]


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
