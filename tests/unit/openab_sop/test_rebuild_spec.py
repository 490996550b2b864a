"""What a rebuild reads out of a backup's directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openab_sop.backups.backup import Backup
from openab_sop.errors import BackupError
from openab_sop.redact import mask
from openab_sop.restores.preconditions import of_another_release, smaller
from openab_sop.restores.rebuild_spec import CLAIM, RebuildSpec
from tests.unit.openab_sop.stored import AGENT, made, written


def named(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more}


def deployment() -> dict[str, Any]:
    mounts = [{"name": "home", "mountPath": "/home/agent"}]
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": AGENT}}]
    pod = {"containers": [{"name": "openab", "volumeMounts": mounts}], "volumes": volumes}
    selector = {"matchLabels": {"app": AGENT}}
    return named("Deployment", AGENT, spec={"selector": selector, "template": {"spec": pod}})


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """A backup whose chart renders a Deployment, its claim and a Secret, beside a Secret that it does not."""
    backup = made(tmp_path)
    rendered = [deployment(), named(CLAIM, AGENT, spec={}), named("Secret", "ours")]
    (backup.directory / "manifest.yaml").write_text("\n---\n".join(map(json.dumps, rendered)))
    for name, value in (("ours", "b3VyLXNlY3JldA=="), ("theirs", "dGhlaXItc2VjcmV0")):
        (backup.directory / f"secret-{name}.yaml").write_text(json.dumps(named("Secret", name, data={"k": value})))
    (backup.directory / AGENT / "claim.yaml").write_text(json.dumps(named(CLAIM, AGENT, spec={"volumeName": "pv"})))
    (backup.directory / "openab-0.8.1.tgz").write_bytes(b"the chart")
    return written(backup)


def test_what_the_chart_renders_and_what_it_does_not(backup: Backup) -> None:
    plan = RebuildSpec(backup)
    assert [stored["metadata"]["name"] for stored in plan.references(rendered=True)] == ["ours"]
    assert [stored["metadata"]["name"] for stored in plan.references(rendered=False)] == ["theirs"]
    ((agent, stored, claim),) = plan.with_claims
    assert (agent.home, stored.deployment, claim) == ("/home/agent", AGENT, AGENT)
    assert plan.claim(stored)["spec"] == {"volumeName": "pv"}
    assert plan.chart.name == "openab-0.8.1.tgz"


def test_what_is_secret_is_masked_from_then_on(backup: Backup) -> None:
    RebuildSpec(backup)
    assert "their-secret" not in mask("it says their-secret")
    assert "secret-of-" not in mask(f"token secret-of-{backup.name}")


@pytest.mark.parametrize("text", ["kind: [", '{"kind": "Secret", "metadata": {"name": "../x"}}', "- a"])
def test_a_manifest_that_is_none_is_told_with_the_backup(backup: Backup, text: str) -> None:
    (backup.directory / "manifest.yaml").write_text(text)
    with pytest.raises(BackupError, match=f"backup {backup.manifest.name}: "):
        RebuildSpec(written(backup))


@pytest.mark.parametrize("gone", ["manifest.yaml", "values.yaml"])
def test_a_part_that_is_not_there_is_named(backup: Backup, gone: str) -> None:
    (backup.directory / gone).unlink()
    with pytest.raises(BackupError, match=f"{gone} is missing"):
        RebuildSpec(backup)
    with pytest.raises(BackupError, match=f"the backup has no {gone}"):
        RebuildSpec(written(backup))


def test_an_agent_that_the_manifest_does_not_render_is_named(backup: Backup) -> None:
    (backup.directory / "manifest.yaml").write_text(json.dumps(named("Secret", "ours")))
    with pytest.raises(BackupError, match=f"no Deployment {AGENT}"):
        RebuildSpec(written(backup))


@pytest.mark.parametrize(
    ("namespace", "release", "told"),
    [
        ("namespace", None, []),
        ("namespace", "openab", []),
        ("elsewhere", None, ["run again with --namespace=namespace"]),
        ("namespace", "another", ["leave out --release"]),
    ],
)
def test_a_backup_of_something_else(backup: Backup, namespace: str, release: str | None, told: list[str]) -> None:
    assert [finding.next_step for finding in of_another_release(RebuildSpec(backup), namespace, release)] == told


@pytest.mark.parametrize(
    ("made", "had", "accepted", "told"),
    [
        ("10Gi", "10Gi", (), []),
        ("10Gi", "10240Mi", (), []),
        ("10Gi", "20Gi", (), [f"claim {AGENT}"]),
        ("10Gi", "20Gi", (f"claim-smaller:{AGENT}",), []),
        ("20Gi", "10Gi", (), []),
    ],
)
def test_a_claim_that_was_enlarged_by_hand(
    backup: Backup, made: str, had: str, accepted: tuple[str, ...], told: list[str]
) -> None:
    """The chart would make it as small as the values say, and its home may not fit."""

    def claim(size: str) -> dict[str, Any]:
        return named(CLAIM, AGENT, spec={"resources": {"requests": {"storage": size}}})

    (backup.directory / "manifest.yaml").write_text("\n---\n".join(map(json.dumps, (deployment(), claim(made)))))
    (backup.directory / AGENT / "claim.yaml").write_text(json.dumps(claim(had)))
    assert [finding.subject for finding in smaller(RebuildSpec(written(backup)), accepted)] == told
