"""Verify: prove a backup at any later time, without a cluster (SOP 2.9)."""

from __future__ import annotations

import pytest

from fixtures.audit import Audit, Evidence
from openab_sop.backups import proof
from openab_sop.backups.backup import Backup
from openab_sop.settings import Settings


def test_backup_is_one(named_backup: Backup, audit: Audit, evidence: Evidence) -> None:
    """2.10 Check that the backup is complete, and of a schema that this version knows."""
    audit.facts["backup"] = named_backup.place
    manifest = named_backup.manifest
    evidence("release", f"{manifest.release} in namespace {manifest.namespace}, revision {manifest.revision}")
    evidence("chart", f"{manifest.chart} {manifest.version}, backed up {manifest.created}")


@pytest.mark.gate
def test_backup_is_of_this_release(named_backup: Backup, settings: Settings, evidence: Evidence) -> None:
    """2.9a Check that the backup is of the release that --namespace and --release name."""
    verdict = proof.belongs(named_backup, settings.namespace, settings.release)
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_encrypted_files_are_as_written(named_backup: Backup, evidence: Evidence) -> None:
    """2.9b Check that every file of an encrypted backup is as it was written; this needs no key."""
    verdict = proof.sealed_files(named_backup)
    verdict.require()
    evidence("verdict", verdict)


@pytest.mark.gate
def test_backup_is_sound(backup: Backup, settings: Settings, evidence: Evidence) -> None:
    """2.9c Check that every file is as written and listed, homes read back as listed, and databases are sound."""
    verdict = proof.prove(backup, quick=settings.quick, every_name=True)
    verdict.require()
    evidence("verdict", verdict)
