"""What earlier versions of the tool have put on disk is still read (issue 12): files as 0.1.0 wrote them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from openab_sop.backups.backup import BackupManifest
from openab_sop.releases.upgrade_state import Before, Given, UpgradeState, UpgradeStateFile

FORMATS = Path(__file__).parent / "formats"
EVERY_FIELD = UpgradeState(
    id="abcd1234",
    begun="2026-11-20T10:00:00+00:00",
    revision=3,
    version="0.8.1",
    target="0.9.0",
    digest="d" * 64,
    prerelease="0.9.0-beta.7",
    backup="openab-backup-20261120-095900",
    claims={"bot-kiro": "uid-1"},
    revisions=(4, 5),
    in_progress="stable",
    in_progress_from=5,
    skipped_phases={"prerelease": "validated by a rehearsal"},
    rollback_estimate="about 20 s without restoring a volume, 40 s with it",
    pulled={"reg/openab:0.9.0": "sha256:2"},
    options={"settle": "60"},
    values="e" * 64,
    excused={"bot-kiro": ("cache", ".lock")},
    before={"bot-kiro": Before({"p1": {"openab": 1}}, ("c1",), "cfg", well=False, chats=("Discord",), jobs=2)},
    chats={"bot-kiro": ("Discord",)},
    milestones={"prerelease": "2026-11-20T10:01:00+00:00", "prerelease applied": "2026-11-20T10:02:00+00:00"},
    awaiting="stable",
    answers=(Given("prerelease", "CONFIRMED", "ops", "--answer", "2026-11-20T10:03:00+00:00"),),
    outages={"0.9.0 bot-kiro": 7.5},
    decision="by-hand",
    to_restore=("bot-kiro",),
    paths={"bot-kiro": ("a/b",)},
    compared=("bot-kiro",),
    writing=("bot-kiro.data",),
    after_all=("bot-kiro",),
    restored=("bot-kiro.more",),
    ended="stuck",
    on_disk_only=True,
)
"""What the version before the fields were renamed has written into ``upgrade-every-field.json``."""


def test_a_backup_from_before_there_were_further_volumes() -> None:
    path = FORMATS / "backup.json"
    manifest = BackupManifest.parse(path.read_bytes(), path)
    (home,) = manifest.stored
    assert (home.key, home.volume, home.inside) == ("bot-kiro", "", "")
    assert (manifest.revision, manifest.volumes, manifest.uncovered) == (3, (), ())


def test_an_upgrade_that_waits_from_before_files_were_judged_once(tmp_path: Path) -> None:
    shutil.copy(FORMATS / "upgrade.json", tmp_path / "upgrade.json")
    state = UpgradeStateFile(tmp_path).state
    assert (state.awaiting, state.last, state.changed) == ("stable", 4, True)
    assert state.before == {"bot-kiro": Before({"p1": {"openab": 1}}, ("c1",), "cfg", well=True)}
    assert (state.excused, state.compared, state.writing) == ({}, (), ())
    assert UpgradeStateFile(tmp_path).mark("stable").target == "0.9.0"


def test_a_state_from_before_fields_were_renamed_is_read_and_written_key_for_key(tmp_path: Path) -> None:
    shutil.copy(FORMATS / "upgrade-every-field.json", tmp_path / "upgrade.json")
    file = UpgradeStateFile(tmp_path)
    kept = json.loads(file.path.read_text())
    assert (file.state, file.state.serial, file.state.on_disk_only) == (EVERY_FIELD, kept["serial"], True)
    file.write(file.state)
    written = json.loads(file.path.read_text())
    assert {key: written[key] for key in kept} == {**kept, "serial": kept["serial"] + 1}
    assert [key for key in written if key in kept] == list(kept)


def test_a_field_is_read_under_its_stored_name_alone(tmp_path: Path) -> None:
    """A record with the name that the code has for it is of no version: what it says of it counts for nothing."""
    kept = json.loads((FORMATS / "upgrade-every-field.json").read_text())
    (tmp_path / "upgrade.json").write_text(json.dumps({**kept, "acting": "", "in_progress": "prerelease"}))
    assert UpgradeStateFile(tmp_path).state.in_progress == ""
    assert not set(EVERY_FIELD.as_stored()) & {"in_progress", "milestones", "decision", "skipped_phases"}


def test_a_backup_is_of_a_cluster_by_any_of_its_names() -> None:
    path = FORMATS / "backup.json"
    manifest = BackupManifest.parse(path.read_bytes(), path)
    of = (manifest.namespace, manifest.release)
    both = replace(manifest, cluster_also=("ca-0123",))
    assert manifest.is_of([manifest.cluster, "ca-0123"], *of)
    assert both.is_of(["ca-0123"], *of)
    assert not manifest.is_of(["ca-0123"], *of)
    assert not both.is_of(["ca-4567"], *of)
    assert not both.is_of(["ca-0123"], "other", manifest.release)


def test_the_uid_of_kube_system_settles_which_cluster_it_is() -> None:
    """A cluster that was made anew with the authority of the old one is another cluster."""
    path = FORMATS / "backup.json"
    one, other = "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-666666666666"
    kept = replace(BackupManifest.parse(path.read_bytes(), path), cluster=one, cluster_also=("ca-0123",))
    assert kept.is_from([one, "ca-4567"])
    assert kept.is_from(["ca-0123"])
    assert not kept.is_from([other, "ca-0123"])
