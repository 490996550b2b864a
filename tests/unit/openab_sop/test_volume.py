"""A volume is made what a backup says: only what differs is written, and nothing on it is lost."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISGID

import pytest

from openab_sop.agents.agent import Agent
from openab_sop.backups.archive import Archive
from openab_sop.backups.backup import StoredAgent
from openab_sop.backups.inventory import comparison
from openab_sop.errors import BackupError, PodError
from openab_sop.restores.mounted_volume import MountedVolume
from openab_sop.restores.volume import Volume
from tests.unit.openab_sop.local import Local, local
from tests.unit.openab_sop.stored import fill


@pytest.fixture
def pod(tmp_path: Path) -> Local:
    """A pod whose home is backed up, a copy of it beside for later."""
    pod = local(tmp_path)
    fill(pod.home)
    (pod.home / "new\nline").write_text("odd")
    (pod.home / "outer" / "empty").mkdir(parents=True, mode=0o700)
    (pod.home / "shut").mkdir()
    (pod.home / "shut" / "file").write_text("inside")
    (pod.home / "shut").chmod(0o555)
    subprocess.run(["cp", "-a", pod.home, tmp_path / "was"], check=True)
    (tmp_path / "backup").mkdir()
    with comparison(tmp_path / "backup") as table:
        pod.copy(table, tmp_path / "backup" / "home.tar")
        lines = [entry.as_line() + "\n" for entry in table.all("copy")]
    (tmp_path / "backup" / "contents.jsonl").write_text("".join(lines))
    return pod


@contextmanager
def volume(pod: Local, tmp_path: Path, *below: str) -> Generator[Volume]:
    """The home as a volume beside its backup, looked at."""
    with comparison(tmp_path) as table:
        volume = Volume(pod.pod, str(pod.home), (), table, tmp_path / "backup" / "contents.jsonl", below)
        volume.look()
        yield volume


def restored(pod: Local, tmp_path: Path, *below: str) -> set[str]:
    """Restore, prove it, and return the names that were set aside."""
    with volume(pod, tmp_path, *below) as held:
        change = held.change()
        archive = Archive(tmp_path / "aside.tar")
        held.set_aside(change.aside, archive)
        list(held.apply(change, tmp_path / "backup" / "home.tar"))
        assert [str(finding) for finding in held.findings()] == []
    with tarfile.open(archive.path) as tar:
        return {name.removeprefix("./") for name in tar.getnames()}


def differences(pod: Local, tmp_path: Path) -> list[str]:
    """What rsync finds between the home and what it was."""
    command = ["rsync", "-naHX", "--checksum", "--delete", "--itemize-changes", f"{tmp_path / 'was'}/", f"{pod.home}/"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if not line.endswith(" ./")]


def test_what_is_as_it_was_is_left_alone(pod: Local, tmp_path: Path) -> None:
    with volume(pod, tmp_path) as held:
        change = held.change()
    assert (change.write, change.remove, change.aside, change.size) == ((), (), (), 0)


def vandalised(home: Path) -> None:
    (home / "small").write_text("overwritten")
    (home / "second").unlink()
    (home / "second").write_bytes((home / "directory" / "file").read_bytes())
    (home / "link").unlink()
    (home / "link").mkdir()
    (home / "link" / "below").write_text("precious")
    (home / "new\nline").unlink()
    (home / "shut" / "file").unlink()
    (home / "added").mkdir()
    (home / "added" / "-rf").write_text("precious too")
    (home / "data.sqlite3").chmod(0o600)
    os.utime(home / "directory", ns=(0, 1))


def test_everything_comes_back_and_nothing_is_lost(pod: Local, tmp_path: Path) -> None:
    vandalised(pod.home)
    assert differences(pod, tmp_path)
    aside = restored(pod, tmp_path)
    assert differences(pod, tmp_path) == []
    assert aside >= {"small", "link/below", "added/-rf"}
    with tarfile.open(tmp_path / "aside.tar") as tar:
        kept = tar.extractfile("./link/below")
        assert kept is not None
        assert kept.read() == b"precious"


def test_only_what_is_asked_for_is_touched(pod: Local, tmp_path: Path) -> None:
    vandalised(pod.home)
    assert restored(pod, tmp_path, "small") == {"small"}
    assert (pod.home / "small").read_text() == "small\n"
    assert (pod.home / "added" / "-rf").read_text() == "precious too"


def test_an_item_is_no_prefix(pod: Local, tmp_path: Path) -> None:
    (pod.home / "smaller").write_text("mine")
    assert restored(pod, tmp_path, "small") == set()
    assert (pod.home / "smaller").read_text() == "mine"


def test_an_empty_volume_is_told(pod: Local, tmp_path: Path) -> None:
    with volume(pod, tmp_path) as held:
        assert not held.is_empty()
        subprocess.run(["find", pod.home, "-mindepth", "1", "-delete"], check=True)
        (pod.home / "lost+found").mkdir()
        assert held.is_empty()
        assert held.free() > 0


def test_what_cannot_be_set_aside_whole_stops_it(pod: Local, tmp_path: Path) -> None:
    (pod.home / "added").write_text("precious")
    with volume(pod, tmp_path) as held:
        change = held.change()
        (pod.home / "added").write_text("other")
        with pytest.raises(BackupError, match="could not be set aside whole"):
            held.set_aside(change.aside, Archive(tmp_path / "one.tar"))
        (pod.home / "added").unlink()
        with pytest.raises(BackupError, match="could not be set aside: added"):
            held.set_aside(change.aside, Archive(tmp_path / "two.tar"))


def test_a_pod_that_does_not_write_is_found_out(pod: Local, tmp_path: Path) -> None:
    (pod.home / "small").write_text("overwritten")
    pod.tool("tar", "exec head -c 10240 >/dev/null")
    with volume(pod, tmp_path) as held:
        list(held.apply(held.change(), tmp_path / "backup" / "home.tar"))
        assert ["it differs in" in str(finding) for finding in held.findings()] == [True]


def test_a_pod_whose_tar_fails_is_named(pod: Local, tmp_path: Path) -> None:
    (pod.home / "small").write_text("overwritten")
    pod.tool("tar", "head -c 10240 >/dev/null; echo no room >&2; exit 2")
    with volume(pod, tmp_path) as held, pytest.raises(PodError, match="no room"):
        list(held.apply(held.change(), tmp_path / "backup" / "home.tar"))


def test_an_empty_directory_does_not_keep_the_group_bit_of_its_parent(pod: Local, tmp_path: Path) -> None:
    empty = pod.home / "outer" / "empty"
    mode = empty.stat().st_mode
    empty.rmdir()
    empty.parent.chmod(empty.parent.stat().st_mode | S_ISGID)  # as a volume with fsGroup gives it to what is made there
    restored(pod, tmp_path)
    assert empty.stat().st_mode == mode


@pytest.mark.parametrize(("free", "fits"), [(100_000, False), (10_000_000, True)])
def test_room_is_what_is_written_without_the_holes(tmp_path: Path, free: int, fits: bool) -> None:
    pod = local(tmp_path)
    (pod.home / "random").write_bytes(os.urandom(200_000))
    with (pod.home / "holes").open("wb") as file:
        file.truncate(1 << 28)
    (tmp_path / "backup").mkdir()
    with comparison(tmp_path / "backup") as table:
        pod.copy(table, tmp_path / "backup" / "home.tar")
        lines = [entry.as_line() + "\n" for entry in table.all("copy")]
    (tmp_path / "backup" / "contents.jsonl").write_text("".join(lines))
    for path in pod.home.iterdir():
        path.unlink()
    pod.tool("df", f"echo Avail; echo {free}")
    with volume(pod, tmp_path) as lost:
        agent = Agent("bot", "openab", "a=b", str(pod.home), "claim", (), (), ())
        stored = StoredAgent("bot", "/home", "claim", "uid", "image", "id", "node", {}, 2, 2, 1 << 28, ())
        archive = tmp_path / "backup" / "home.tar"
        held = MountedVolume(agent, stored, archive, lost, lost.change(), lambda _: pytest.fail("nobody asks"))
        found = [str(finding) for finding in held.too_small()]
    assert (found == []) == fits
    assert fits or f"claim claim: {free} bytes are free on it" in found[0]


def logged_in(pod: Local, path: str, text: str, age: float = 0) -> Path:
    """Write a login, so many seconds ago."""
    file = pod.home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    then = time.time() - age
    os.utime(file, (then, then))
    return file


def backed_up(pod: Local, directory: Path) -> Path:
    """Back the home up; returns where its Contents are."""
    directory.mkdir()
    with comparison(directory) as table:
        pod.copy(table, directory / "home.tar")
        lines = [entry.as_line() + "\n" for entry in table.all("copy")]
    (directory / "contents.jsonl").write_text("".join(lines))
    return directory / "contents.jsonl"


def test_a_login_that_is_newer_stays_and_everything_else_comes_back(pod: Local, tmp_path: Path) -> None:
    """One that the backup does not have goes aside as what else is new does."""
    login = logged_in(pod, ".codex/auth.json", "of the backup", age=100)
    contents = backed_up(pod, tmp_path / "again")
    subprocess.run(["rsync", "-aHX", "--delete", f"{pod.home}/", f"{tmp_path / 'was'}/"], check=True)
    known = next(path for path in pod.home.rglob("*") if path.is_file() and path.stat().st_size and path != login)
    known.write_text("newer, and no login")
    logged_in(pod, ".codex/auth.json", "of today")
    (pod.home / ".codex" / "more").write_text("new beside it")
    logged_in(pod, ".config/gh/hosts.yml", "a first login")
    with comparison(tmp_path) as table:
        held = Volume(pod.pod, str(pod.home), (), table, contents, ())
        held.look()
        assert held.keep_newer_logins() == (".codex/auth.json",)
        change = held.change()
        held.set_aside(change.aside, Archive(tmp_path / "aside.tar"))
        list(held.apply(change, tmp_path / "again" / "home.tar"))
        assert [str(finding) for finding in held.findings()] == []
    with tarfile.open(tmp_path / "aside.tar") as aside:
        assert {"./.config/gh/hosts.yml", "./.codex/more"} <= set(aside.getnames())
    assert login.read_text() == "of today"
    assert {line.split()[1] for line in differences(pod, tmp_path)} == {".codex/auth.json"}


@pytest.mark.parametrize(
    ("text", "age", "kept"),
    [("of the backup", 0, False), ("older", 200, False), ("", 0, False), ("newer", 50, True)],
)
def test_only_a_login_that_is_newer_and_another_one_stays(
    pod: Local,
    tmp_path: Path,
    text: str,
    age: float,
    kept: bool,
) -> None:
    logged_in(pod, ".codex/auth.json", "of the backup", age=100)
    contents = backed_up(pod, tmp_path / "again")
    logged_in(pod, ".codex/auth.json", text, age)
    with comparison(tmp_path) as table:
        held = Volume(pod.pod, str(pod.home), (), table, contents, ())
        held.look()
        assert bool(held.keep_newer_logins()) is kept


def test_a_login_on_a_volume_of_its_own_is_known_by_its_place_in_the_home(pod: Local, tmp_path: Path) -> None:
    logged_in(pod, "auth.json", "of the backup", age=100)
    contents = backed_up(pod, tmp_path / "again")
    logged_in(pod, "auth.json", "newer")
    with comparison(tmp_path) as table:
        held = Volume(pod.pod, str(pod.home), (), table, contents, ())
        held.look()
        assert held.keep_newer_logins() == ()
        assert held.keep_newer_logins(".codex") == ("auth.json",)
