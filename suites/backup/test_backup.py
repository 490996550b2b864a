"""Backup: store everything that restores the release with its data (SOP 2).

The steps up to 2.7 record a failure and continue; gate 2.9a lists all of them and stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from testinfra.host import Host

from fixtures.audit import Audit, Evidence
from fixtures.console import Progress
from openab_sop import readiness
from openab_sop.agents.container import missing_tools
from openab_sop.backups.backup import Backup
from openab_sop.backups.draft import Draft
from openab_sop.backups.items import AGENTS, AUTH, HOSTS, SKILLS, STEERING
from openab_sop.backups.remote import RemoteBackup
from openab_sop.cluster.lease import Board
from openab_sop.errors import SopError
from openab_sop.escape import command
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import UpgradeState, UpgradeStateFile
from openab_sop.settings import Settings
from openab_sop.upgrades import unfinished

collecting = pytest.mark.collecting


def test_no_run_has_left_an_agent_standing(
    release: Release, board: Board, under_way: UpgradeState | None, state_file: UpgradeStateFile, evidence: Evidence
) -> None:
    """2.0a Check that no earlier run left an agent stopped: its volume could be half restored."""
    if under_way is None:
        unfinished.require_running(release, board, state_file.read())
    evidence("under way", under_way.doing if under_way else "nothing")


def test_backup_has_room(release: Release, settings: Settings, evidence: Evidence) -> None:
    """0.5 Check that the homes of all agents fit under the backup root."""
    evidence("the homes take", f"{readiness.check_room(release, settings.backup_root)} bytes")


@collecting
def test_backup_directory_is_private(draft: Draft, evidence: Evidence) -> None:
    """2.0b Create the backup directory, private, under a temporary name."""
    evidence("directory", draft.create())


@collecting
def test_pods_have_the_tools(draft: Draft, hosts: dict[str, Host], evidence: Evidence) -> None:
    """2.0c Check that each agent's container has tar and the other tools that the copy needs."""
    missing = missing_tools(hosts)
    assert not missing, missing
    evidence("agents", ", ".join(hosts))


@collecting
def test_values(draft: Draft, evidence: Evidence) -> None:
    """2.1 Store the user-supplied values."""
    evidence("values.yaml", f"{draft.keep_values()} bytes")


@collecting
def test_large_volumes_are_held(draft: Draft, settings: Settings, audit: Audit, evidence: Evidence) -> None:
    """2.8 Take a snapshot of each volume above the threshold, if the cluster has a snapshot class for it."""
    for agent, done in draft.hold_snapshots(settings.snapshot_above).items():
        evidence(agent, done)
        if done.startswith("WARNING"):
            audit.facts[f"no snapshot of {agent}"] = done


@collecting
def test_homes_are_copied(draft: Draft, progress: Progress, evidence: Evidence) -> None:
    """2.7a Copy the whole home of each agent in one stream; steps 2.2 to 2.5 read from this copy."""
    for agent, home in draft.copy_homes(progress).items():
        evidence(agent, home)


@collecting
def test_agents_config(draft: Draft, evidence: Evidence) -> None:
    """2.2 Store the agents' configuration."""
    evidence("agents/", draft.keep_item(AGENTS))


@collecting
def test_steering(draft: Draft, evidence: Evidence) -> None:
    """2.3 Store the steering files."""
    evidence("steering/", draft.keep_item(STEERING))


@collecting
def test_skills(draft: Draft, evidence: Evidence) -> None:
    """2.4 Store the skills, if there are any."""
    evidence("skills/", draft.keep_item(SKILLS))


@collecting
def test_github_login(draft: Draft, evidence: Evidence) -> None:
    """2.5a Store the login of gh (hosts.yml)."""
    evidence("hosts.yml", draft.keep_item(HOSTS))


@collecting
def test_auth_database(draft: Draft, evidence: Evidence) -> None:
    """2.5b Store the agent's auth database as one file with everything that was committed."""
    evidence("kiro-auth.sqlite3", draft.keep_item(AUTH))


@collecting
def test_secrets_and_config_maps(draft: Draft, evidence: Evidence) -> None:
    """2.6 Store every Secret and ConfigMap of the release, and those that its pods refer to."""
    evidence("kept", ", ".join(draft.keep_secrets()))


@collecting
def test_history(draft: Draft, evidence: Evidence) -> None:
    """2.7b Store Helm's history as text and as JSON."""
    evidence("helm-history", f"{draft.keep_history()} revisions")


@collecting
def test_rebuild(draft: Draft, evidence: Evidence) -> None:
    """2.7c Store what a rebuild from nothing needs: manifest, release record, chart archive, claims."""
    evidence("kept", ", ".join(draft.keep_rebuild()))


@pytest.mark.gate
def test_verification_gate(draft: Draft, evidence: Evidence) -> None:
    """2.9a Check that everything is there, equals the pod's files by SHA-256, and can be read back in full."""
    verdict = draft.verify()
    verdict.require()
    evidence("verdict", verdict)


def test_backup_is_encrypted(draft: Draft, recipients: Mapping[str, Any], evidence: Evidence) -> None:
    """2.9b Encrypt values, Secrets and homes to the recipients."""
    evidence("encrypted", f"{draft.seal(recipients)} files, to {', '.join(recipients)}")


def test_backup_is_complete(
    draft: Draft,
    earlier: Backup | RemoteBackup | None,
    recipients: Mapping[str, Any],
    progress: Progress,
    audit: Audit,
    evidence: Evidence,
) -> None:
    """2.10 Give the backup its final name, here or at the remote location: from now on it is complete."""
    backup = draft.complete(progress)
    audit.facts["backup"] = backup.place
    with suppress(SopError):  # it is one, whatever can be told beside it
        audit.facts |= draft.doubts(encrypted_before=bool(earlier and earlier.manifest.sealed_to and not recipients))
    if draft.uncovered:
        audit.facts["not in the backup"] = f"WARNING: {'; '.join(draft.uncovered)}"
    audit.next_step = f"keep it; it comes back by: {command('pytest', 'suites/restore', f'--backup={backup.place}')}"
    evidence("backup", f"{backup.place}, {backup.size} bytes")
