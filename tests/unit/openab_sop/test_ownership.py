"""Who else decides how many pods a Deployment has, as its managed fields tell."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop.agents.ownership import scalers
from openab_sop.objects import Object


def managed(*managers: str, replicas: bool = True) -> Object:
    """A Deployment whose fields these have set, in this order."""
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}} if replicas else {"f:template": {}}}
    entries = [
        {"manager": manager, "time": f"2026-01-01T00:00:{number:02}Z", "fieldsV1": fields}
        for number, manager in enumerate(managers)
    ]
    return {"metadata": {"name": "kiro", "managedFields": entries}}


@pytest.mark.parametrize("manager", ["helm", "Helm", "kubectl", "kubectl-client-side-apply", "k9s", "openab-sop"])
def test_what_a_human_types_keeps_nothing(manager: str) -> None:
    assert scalers(managed(manager)) == []


def test_others_that_have_set_replicas_do_and_the_last_comes_first() -> None:
    both = managed("kube-controller-manager", "helm", "keda-operator")
    assert scalers(both) == ["keda-operator", "kube-controller-manager"]
    assert scalers(both, also_by_hand=True) == ["keda-operator", "helm", "kube-controller-manager"]


def test_other_fields_are_nothing() -> None:
    assert scalers(managed("keda-operator", replicas=False)) == []
    assert scalers({"metadata": {"name": "kiro"}}) == []
