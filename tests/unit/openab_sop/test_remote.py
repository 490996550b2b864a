"""Backups in a store: complete or not there, whatever ends halfway, and whoever else is at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import pytest

from openab_sop.backups import cleanup, remote
from openab_sop.backups.backup import HOME, MANIFEST, Backup, is_home
from openab_sop.backups.proof import prove
from openab_sop.backups.remote import CLAIM, STALE, RemoteBackup, fetched, upload
from openab_sop.backups.store import Store
from openab_sop.cluster.owner import owner
from openab_sop.errors import BackupError, StepSkipped
from openab_sop.journal import Journal
from tests.unit.openab_sop.stored import AGENT, made

OLD, NEW, NEWEST = (f"openab-backup-2026010{day}-000000" for day in (1, 2, 3))
DEAD = "/".join((*owner().split("/")[:2], "1999999999", "1"))
"""Names a process that is none."""
RELEASE = (("cluster-of-tests",), "namespace", "openab")


def quiet(*_: object) -> None:
    """Listens to nothing."""


class Recording(Store):
    """A store that notes what changes it, and can be made to end in the middle."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.changes: list[tuple[str, str]] = []
        self.before: Callable[[str, str], object] = quiet

    def put(self, source: Path, name: str, sent: Callable[[int], None]) -> None:
        self._note("put", name)
        super().put(source, name, sent)

    def write(self, name: str, content: bytes) -> None:
        self._note("write", name)
        super().write(name, content)

    def remove(self, names: list[str]) -> None:
        for name in names:
            self._note("remove", name)
        super().remove(names)

    def _note(self, change: str, name: str) -> None:
        self.before(change, name)
        self.changes.append((change, name))


@pytest.fixture
def store(tmp_path: Path) -> Recording:
    """An empty store that behaves as a disk does."""
    store = Recording(f"memory://{tmp_path.name}/root")
    store.check()
    store.changes.clear()
    return store


@pytest.fixture
def send(store: Recording, tmp_path: Path, journal: Journal) -> Callable[..., Backup]:
    """Makes a backup on the disk and sends it."""

    def send(name: str = OLD, **kwargs: str) -> Backup:
        source = made(tmp_path / token_hex(4), name, **kwargs)
        moment = datetime.strptime(name, "openab-backup-%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        manifest = replace(source.manifest, name="", created=moment.isoformat())
        return upload(store, source.directory, manifest, journal, quiet)

    return send


def stop(at: tuple[str, str]) -> Callable[[str, str], None]:
    """Raises once, when a change of a file begins: by the change's kind and the end of the file's name."""
    done: list[bool] = []

    def before(change: str, name: str) -> None:
        if not done and (change, name[-len(at[1]) :]) == at:
            done.append(True)
            raise KeyboardInterrupt

    return before


def killed(store: Recording, at: tuple[str, str]) -> Callable[[str, str], None]:
    """As if the process died there: nothing is changed any more."""
    reached: list[bool] = []

    def before(change: str, name: str) -> None:
        if reached or (change, name[-len(at[1]) :]) == at:
            reached.append(True)
            raise BackupError("killed", "")

    return before


def claims(store: Store, name: str) -> list[str]:
    return [path for path in store.files(name) if path.startswith(CLAIM)]


def disown(store: Store, name: str, by: str = DEAD, made: datetime | None = None) -> None:
    """Make a name's claims those of another run."""
    for claim in claims(store, name):
        store.write(f"{name}/{claim}", f"{(made or datetime.now(UTC)).isoformat()} {by}".encode())


def test_the_manifest_is_sent_last_and_only_then_is_it_a_backup(store: Recording, send: Callable[..., Backup]) -> None:
    seen: list[bool] = []
    store.before = lambda change, name: seen.append(remote.newest(store, *RELEASE) is not None)
    sent = send()
    assert sent.place == f"{store.url}/{OLD}"
    assert store.changes[0][1].startswith(f"{OLD}/{CLAIM}")
    assert store.changes[-2:] == [("write", f"{OLD}/{MANIFEST}"), ("remove", store.changes[0][1])]
    assert seen == [False] * (len(seen) - 1) + [True]
    found = RemoteBackup.load(store, OLD)
    assert (found.manifest, found.damage(quick=False)) == (sent.manifest, "")
    assert set(store.files(OLD)) == {file.path for file in sent.manifest.contents} | {MANIFEST}


@pytest.mark.parametrize("at", [("put", "values.yaml"), ("put", HOME), ("write", MANIFEST)])
def test_an_interrupted_upload_leaves_nothing(
    store: Recording, send: Callable[..., Backup], at: tuple[str, str]
) -> None:
    store.before = stop(at)
    with pytest.raises(KeyboardInterrupt):
        send()
    assert store.names() == []


@pytest.mark.parametrize("at", [("put", "values.yaml"), ("put", HOME), ("write", MANIFEST)])
def test_a_killed_upload_is_no_backup_and_goes_with_the_next_run(
    store: Recording, send: Callable[..., Backup], journal: Journal, at: tuple[str, str]
) -> None:
    store.before = killed(store, at)
    with pytest.raises(BackupError, match="killed"):
        send()
    store.before = quiet
    assert claims(store, OLD)
    assert remote.newest(store, *RELEASE) is None
    assert cleanup.survey_remote(store) == []
    with pytest.raises(BackupError, match="is not a backup"):
        remote.find(Path("/nonexistent"), store, OLD)
    assert remote.clear(store, journal) == []  # this process lives: it may be at it still
    disown(store, OLD)
    assert send(NEW).name == NEW
    assert remote.names(store) == [NEW]


@pytest.mark.parametrize(
    ("by", "age", "stale"),
    [
        (owner(), STALE / 2, False),
        ("another-machine/1/1", STALE / 2, False),
        ("another-machine/1/1", STALE * 2, True),
        (DEAD, timedelta(), True),
    ],
    ids=["ours", "another machine's", "another machine's, old", "dead"],
)
def test_whose_upload_is_dead(
    store: Recording, send: Callable[..., Backup], journal: Journal, by: str, age: timedelta, stale: bool
) -> None:
    store.before = killed(store, ("write", MANIFEST))
    with pytest.raises(BackupError):
        send()
    store.before = quiet
    disown(store, OLD, by, datetime.now(UTC) - age)
    assert remote.clear(store, journal) == ([OLD] if stale else [])
    assert (store.names() == []) == stale


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff\xfe",
        b"yesterday x",
        b"9999-99-99 x",
        b"0001-01-01T00:00:00+23:59 a/b/" + b"9" * 5000,
        b"2026-01-01 x",
    ],
)
def test_a_claim_that_is_none_hides_no_backup(
    store: Recording, send: Callable[..., Backup], journal: Journal, junk: bytes
) -> None:
    """Issue 14: whoever may write to the bucket ended every run that used it."""
    send()
    store.write(f"{NEW}/{CLAIM}junk", junk)
    store.write(f"{OLD}/{CLAIM}junk", junk)
    remote.clear(store, journal)
    assert [kept.name for kept in cleanup.survey_remote(store)] == [OLD]
    found = remote.newest(store, *RELEASE)
    assert found is not None
    assert found.name == OLD


def test_a_complete_backup_is_never_cleared(store: Recording, send: Callable[..., Backup], journal: Journal) -> None:
    """Its run was killed between the manifest and the end of its claim, or a deletion before it began."""
    send()
    store.write(f"{OLD}/{CLAIM}1", f"{datetime.now(UTC).isoformat()} {DEAD}".encode())
    store.write(f"{OLD}/{MANIFEST}", b"damaged")
    assert remote.clear(store, journal) == []
    assert MANIFEST in store.files(OLD)
    assert claims(store, OLD) == []


def test_what_reads_back_otherwise_is_no_backup(
    store: Recording, send: Callable[..., Backup], monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(self: Store, source: Path, name: str, sent: Callable[[int], None]) -> None:
        self.write(name, source.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(Recording, "put", put)
    with pytest.raises(BackupError, match="reads back otherwise than it was sent"):
        send()
    assert store.names() == []


@pytest.mark.parametrize("meddled", [AGENT, CLAIM], ids=["file", "claim"])
def test_what_somebody_meddles_with_is_no_backup(store: Recording, send: Callable[..., Backup], meddled: str) -> None:
    def before(change: str, name: str) -> None:
        if change == "put" and name.endswith("values.yaml"):
            found = next(path for path in store.files(OLD) if path.startswith(meddled))
            Store.remove(store, [f"{OLD}/{found}"])

    store.before = before
    with pytest.raises(BackupError, match="was changed while it was sent"):
        send()
    assert store.names() == []


def test_a_name_that_is_taken(store: Recording, send: Callable[..., Backup]) -> None:
    assert send(OLD).name == OLD
    second = send(OLD).name
    assert OLD < second <= OLD[:-1] + "3"
    assert remote.names(store) == [OLD, second]


def test_who_finds_two_claims_to_a_name_leaves_it(store: Recording, send: Callable[..., Backup]) -> None:
    def before(change: str, name: str) -> None:
        if name.startswith(f"{OLD}/{CLAIM}") and change == "write":
            Store.write(store, f"{OLD}/{CLAIM}theirs", f"{datetime.now(UTC).isoformat()} other/1/1".encode())

    store.before = before
    assert send(OLD).name > OLD
    assert set(store.files(OLD)) == {f"{CLAIM}theirs"}


def test_a_deletion_begins_with_the_manifest(store: Recording, send: Callable[..., Backup], journal: Journal) -> None:
    for name in (OLD, NEW):
        send(name)
    store.changes.clear()
    found = cleanup.survey_remote(store)
    assert [(kept.name, kept.newest) for kept in found] == [(OLD, False), (NEW, True)]
    with pytest.raises(BackupError, match="it stays"):
        cleanup.delete_named(found, (OLD, NEW), journal)
    assert store.changes == []
    assert cleanup.delete_named(found, (OLD,), journal) == [OLD]
    assert [change for change, _ in store.changes[:2]] == ["write", "remove"]
    assert store.changes[1] == ("remove", f"{OLD}/{MANIFEST}")
    assert store.changes[-1] == ("remove", store.changes[0][1])
    assert remote.names(store) == [NEW]


def test_a_deletion_that_ends_halfway_is_ended_by_the_next_run(
    store: Recording, send: Callable[..., Backup], journal: Journal, tmp_path: Path
) -> None:
    for name in (OLD, NEW):
        send(name)
    store.before = killed(store, ("remove", "values.yaml"))
    with pytest.raises(BackupError, match="killed"):
        cleanup.delete_named(cleanup.survey_remote(store), (OLD,), journal)
    store.before = quiet
    assert [kept.name for kept in cleanup.survey_remote(store)] == [NEW]
    disown(store, OLD)
    assert cleanup.clear(tmp_path / "local", store, journal) == [OLD]
    assert remote.names(store) == [NEW]
    with pytest.raises(StepSkipped):
        cleanup.clear(tmp_path / "local", store, journal)


def test_the_newest_good_one_of_each_release_stays(store: Recording, send: Callable[..., Backup]) -> None:
    send(OLD)
    send(NEW)
    send(NEWEST)
    send("openab-backup-20260104-000000", release="other")
    flip(store, NEWEST, f"{AGENT}/{HOME}")
    found = cleanup.survey_remote(store)
    assert [kept.newest for kept in found] == [False, True, False, True]
    assert [kept.damage for kept in found] == ["", "", f"changed: {AGENT}/{HOME}", ""]
    store.remove([f"{NEW}/values.yaml"])
    found = cleanup.survey_remote(store)
    assert [kept.newest for kept in found] == [True, False, False, True]
    assert found[1].damage == "missing or of another size: values.yaml"
    store.remove([f"{OLD}/{MANIFEST}"])
    assert "it has no backup.json" in str(cleanup.survey_remote(store)[0])


def flip(store: Store, name: str, path: str) -> None:
    raw = bytearray(store.read(f"{name}/{path}"))
    raw[3000 % len(raw)] ^= 1
    store.write(f"{name}/{path}", bytes(raw))


def longer(store: Store, name: str, path: str) -> None:
    store.write(f"{name}/{path}", store.read(f"{name}/{path}") + bytes(100))


def missing(store: Store, name: str, path: str) -> None:
    store.remove([f"{name}/{path}"])


@pytest.mark.parametrize(
    ("damage", "told"),
    [(flip, "values.yaml: its content has changed"), (longer, "bytes long"), (missing, "values.yaml: missing")],
)
def test_a_fetched_backup_is_proved_as_any_other(
    store: Recording,
    send: Callable[..., Backup],
    journal: Journal,
    tmp_path: Path,
    damage: Callable[[Store, str, str], None],
    told: str,
) -> None:
    send()
    root = tmp_path / "local"
    found = remote.find(root, store, OLD)
    with fetched(found, root, journal, quiet) as near:
        assert (near.place, near.name) == (f"{store.url}/{OLD}", OLD)
        assert prove(near).passed
        assert near.directory.parent == root
        assert near.directory.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o077 == 0 for path in near.directory.rglob("*"))
    assert list(root.iterdir()) == []
    damage(store, OLD, "values.yaml")
    with fetched(found, root, journal, quiet) as near:
        verdict = prove(near)
    assert told in str(verdict)
    assert len(verdict.findings) == 1


def test_only_what_is_wanted_is_fetched(
    store: Recording, send: Callable[..., Backup], journal: Journal, tmp_path: Path
) -> None:
    send()
    found = remote.newest(store, *RELEASE)
    assert found is not None
    seen: list[tuple[str, int, int]] = []
    with fetched(
        found, tmp_path / "local", journal, lambda what, done, expected: seen.append((what, done, expected)), is_home
    ) as near:
        there = {str(path.relative_to(near.directory)) for path in near.directory.rglob("*") if path.is_file()}
        assert there == {file.path for file in near.manifest.contents}
        assert all("pvc-data" in path for path in there)
        assert seen[-1] == (f"fetching {OLD}", near.size, near.size)


def test_what_is_here_is_not_fetched(journal: Journal, tmp_path: Path) -> None:
    here = made(tmp_path)
    with fetched(here, tmp_path / "local", journal, quiet) as near:
        assert near is here
    assert not (tmp_path / "local").exists()


def test_the_newest_of_a_release(store: Recording, send: Callable[..., Backup]) -> None:
    assert remote.newest(store, *RELEASE) is None
    for name in (OLD, NEW, NEWEST):
        send(name)
    send("openab-backup-20260104-000000", release="other")
    store.write(f"{NEWEST}/{MANIFEST}", b"{")
    found = remote.newest(store, *RELEASE)
    assert found and found.name == NEW


def test_how_a_backup_is_named(store: Recording, send: Callable[..., Backup], tmp_path: Path) -> None:
    here, there = made(tmp_path), send()
    for name in (there.place, OLD):
        found = remote.find(tmp_path, store, name)
        assert isinstance(found, RemoteBackup)
        assert found.name == OLD
    for name in (str(here.directory), f"file://{here.directory}"):
        assert remote.find(tmp_path / "none", store, name) == here
    elsewhere = remote.find(tmp_path, None, there.place)
    assert isinstance(elsewhere, RemoteBackup)
    assert elsewhere.manifest == there.manifest
    for name in ("../x", "openab-backup-20260105-000000", None):
        with pytest.raises(BackupError, match=r"(?s)--backup="):
            remote.find(tmp_path / "none", store, name)


def test_a_manifest_of_another_backup_is_named(store: Recording, send: Callable[..., Backup]) -> None:
    send(OLD)
    send(NEW)
    store.write(f"{OLD}/{MANIFEST}", store.read(f"{NEW}/{MANIFEST}"))
    with pytest.raises(BackupError, match=f"is of backup {NEW}"):
        RemoteBackup.load(store, OLD)
