"""What earlier versions of the tool have put on disk is still read (issue 12): files as 0.1.0 wrote them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from openab_sop.backups.backup import BackupManifest
from openab_sop.releases.course import Before, CourseFile

FORMATS = Path(__file__).parent / "formats"


def test_a_backup_from_before_there_were_further_volumes() -> None:
    path = FORMATS / "backup.json"
    manifest = BackupManifest.parse(path.read_bytes(), path)
    (home,) = manifest.stored
    assert (home.key, home.volume, home.inside) == ("bot-kiro", "", "")
    assert (manifest.revision, manifest.volumes, manifest.uncovered) == (3, (), ())


def test_an_upgrade_that_waits_from_before_files_were_judged_once(tmp_path: Path) -> None:
    shutil.copy(FORMATS / "upgrade.json", tmp_path / "upgrade.json")
    course = CourseFile(tmp_path).course
    assert (course.awaiting, course.last, course.changed) == ("stable", 4, True)
    assert course.before == {"bot-kiro": Before({"p1": {"openab": 1}}, ("c1",), "cfg", well=True)}
    assert (course.excused, course.compared, course.writing) == ({}, (), ())
    assert CourseFile(tmp_path).mark("stable").target == "0.9.0"


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
