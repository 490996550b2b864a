"""A backup's list is acted on, not its directory: what is not listed, changed or behind a link is not its own (14)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from openab_sop.backups import cleanup, encryption
from openab_sop.backups.agent_backup import AgentBackup
from openab_sop.backups.backup import CONTENTS, HOME, MANIFEST, Backup
from openab_sop.backups.encryption import opened
from openab_sop.backups.proof import prove
from openab_sop.backups.remote import RemoteBackup, fetched, upload
from openab_sop.backups.store import Store
from openab_sop.errors import BackupError
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import AGENT, made, written
from tests.unit.openab_sop.test_encryption import age_pair, sealed

ARCHIVE = f"{AGENT}/{HOME}"


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return made(tmp_path)


def quiet(*_: object) -> None:
    """Listens to nothing."""


def to_shadow(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


def to_its_like(path: Path) -> None:
    """The content is right, and it is somebody else's to change."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def through_a_directory(path: Path) -> None:
    parent = path.parent
    parent.rename(parent.with_name("elsewhere"))
    parent.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [to_shadow, to_its_like, through_a_directory, pipe, directory])
@pytest.mark.parametrize("name", [ARCHIVE, f"{AGENT}/{CONTENTS}"])
def test_a_file_that_is_none_is_neither_proved_nor_read(
    backup: Backup, harm: Callable[[Path], None], name: str
) -> None:
    harm(backup.directory / name)
    assert name in {finding.subject for finding in prove(backup).findings}
    for take in (backup.path, backup.file, backup.read):
        with pytest.raises(BackupError, match=r"is a symbolic link|is not a file"):
            take(name)


def test_a_list_behind_a_link_is_none(backup: Backup) -> None:
    to_its_like(backup.directory / MANIFEST)
    with pytest.raises(BackupError, match=r"backup\.json in .* is a symbolic link"):
        Backup.load(backup.directory)


def test_what_is_not_listed_is_not_read(backup: Backup) -> None:
    (backup.directory / "secret-x.yaml").write_text("kind: Pod")
    with pytest.raises(BackupError, match=r"does not list secret-x\.yaml"):
        backup.file("secret-x.yaml")
    with pytest.raises(BackupError, match="does not list"):
        backup.file("../other")


def test_what_has_changed_is_not_read(backup: Backup) -> None:
    path = backup.file("values.yaml")
    before = path.read_bytes()
    path.write_bytes(before.swapcase())
    for take in (backup.file, backup.read):
        with pytest.raises(BackupError, match=r"content of values\.yaml has changed"):
            take("values.yaml")
    path.write_bytes(before)
    assert backup.file("values.yaml") == path


def test_an_archive_is_digested_once(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was proved is not read again, until somebody has written to it."""
    assert prove(backup).passed

    def digest(path: Path) -> str:
        pytest.fail(f"{path} is read again")

    monkeypatch.setattr("openab_sop.storage.digest", digest)
    backup.file(ARCHIVE)
    (backup.directory / ARCHIVE).touch()
    with pytest.raises(pytest.fail.Exception, match="is read again"):
        backup.file(ARCHIVE)


STRANGERS = ["note.txt", f"{AGENT}/skills/evil", "link", ".hidden"]


@pytest.mark.parametrize("name", STRANGERS)
def test_whatever_is_not_listed_is_named_by_the_proof(backup: Backup, name: str) -> None:
    path = backup.directory / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/etc") if name == "link" else path.write_text("x")
    assert name in str(prove(backup, every_name=True))
    assert prove(backup).passed, "a note that somebody has left keeps nobody from a restore"


@pytest.mark.parametrize("name", ["secret-x.yaml", "configmap-x.yaml", "secret-x.yaml.age"])
def test_what_passes_for_a_part_of_it_is_refused_everywhere(backup: Backup, name: str) -> None:
    (backup.directory / name).write_text("kind: Pod")
    verdict = prove(backup)
    assert f"{name}: it is there, and backup.json does not list it" in str(verdict)
    (found,) = cleanup.survey(backup.directory.parent)
    assert name in found.damage


def test_a_list_in_a_home_is_no_stranger(backup: Backup) -> None:
    """Earlier versions did not list a file of this name that an item had in it; now it is listed as any other."""
    skills = backup.directory / AGENT / "skills"
    skills.mkdir()
    (skills / MANIFEST).write_text("{}")
    assert prove(backup, every_name=True).passed
    assert f"{AGENT}/skills/{MANIFEST}" in {file.path for file in written(backup).manifest.contents}


def test_what_is_not_listed_in_a_store_is_named_and_not_fetched(
    backup: Backup, tmp_path: Path, journal: Journal
) -> None:
    (tmp_path / "store").mkdir()
    store = Store(f"file://{tmp_path}/store")
    place = upload(store, backup.directory, backup.manifest, journal, quiet)
    store.write(f"{place.name}/secret-x.yaml", b"kind: Pod")
    with fetched(RemoteBackup.load(store, place.name), tmp_path / "root", journal) as copy:
        assert not (copy.directory / "secret-x.yaml").exists()
        assert "secret-x.yaml" in str(prove(copy))


def test_what_is_not_listed_beside_encrypted_files_is_named(tmp_path: Path, journal: Journal) -> None:
    pair = age_pair(tmp_path, "key")
    backup = sealed(tmp_path / "root", pair.public)
    (backup.directory / "secret-x.yaml").write_text("kind: Pod")
    with opened(backup, str(pair.secret), tmp_path / "root", journal) as plain:
        assert "secret-x.yaml" in str(prove(plain))
        assert not (plain.directory / "secret-x.yaml").exists()


def test_an_encrypted_file_of_somebody_else_is_not_opened(tmp_path: Path, journal: Journal) -> None:
    """Whoever has the public key can encrypt to it: that proves nothing, the digest does."""
    pair = age_pair(tmp_path, "key")
    backup = sealed(tmp_path / "root", pair.public)
    plain = tmp_path / "values.yaml"
    plain.write_text("image: evil")
    encryption.seal_files([plain], encryption.parse_recipients([pair.public]).values())
    shutil.copy(tmp_path / "values.yaml.age", backup.directory / "values.yaml.age")
    entered = opened(backup, str(pair.secret), tmp_path / "root", journal)
    with pytest.raises(BackupError, match=r"content of values\.yaml\.age has changed"), entered:
        pytest.fail("it was opened")
    assert [path.name for path in (tmp_path / "root").glob(".*.partial")] == []


def test_an_encrypted_file_behind_a_link_is_not_opened(tmp_path: Path, journal: Journal) -> None:
    pair = age_pair(tmp_path, "key")
    backup = sealed(tmp_path / "root", pair.public)
    to_its_like(backup.directory / "values.yaml.age")
    entered = opened(backup, str(pair.secret), tmp_path / "root", journal)
    with pytest.raises(BackupError, match="is a symbolic link"), entered:
        pytest.fail("it was opened")


@pytest.mark.parametrize("harm", [to_its_like, pipe])
@pytest.mark.parametrize("part", [HOME, CONTENTS])
def test_a_backup_that_another_builds_on_is_read_by_its_list(
    backup: Backup, harm: Callable[[Path], None], part: str
) -> None:
    base = AgentBackup._base_of(backup, AGENT)  # pyright: ignore[reportPrivateUsage]
    assert base is not None
    base.check()
    harm(backup.directory / AGENT / part)
    with pytest.raises(BackupError, match=r"is a symbolic link|is not a file"):
        base.check()
