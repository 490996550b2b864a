"""The session file: private, readable by a shell, and never at odds with the command line."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from openab_sop.errors import SettingsError
from openab_sop.releases.session import Session, SessionAgent

SESSION = Session(
    cluster="https://host:6443/x y",
    kubeconfig="/a/config:/b/it's $HOME",
    context="ctx",
    namespace="ns",
    release="openab",
    chart="openab",
    version="0.8.1",
    revision=3,
    agents=(SessionAgent("openab-kiro", "/home/agent", "openab-kiro"), SessionAgent("bare", "/home/agent", None)),
    backup_root="",
)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session below an empty backup root."""
    return replace(SESSION, backup_root=str(tmp_path / "backups"))


def test_round_trip(session: Session) -> None:
    assert Session.load(session.store(Path(session.backup_root))) == session
    assert Session.load(session.store(Path(session.backup_root))) == session  # over an older one


def test_private(session: Session) -> None:
    path = session.store(Path(session.backup_root))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {file.name for file in path.parent.iterdir()} == {"session.json", "session.env"}


def test_shell_reads_the_same(session: Session) -> None:
    path = session.store(Path(session.backup_root))
    script = '. "$1" && printf "%s|%s" "$OPENAB_SESSION" "$OPENAB_KUBECONFIG"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", path.with_name("session.env")], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"{path}|{session.kubeconfig}"


def test_directory_stays_below_the_root(session: Session) -> None:
    assert session.directory(Path(session.backup_root)).relative_to(session.backup_root).parts == (
        "sessions",
        "https-host-6443-x-y",
        "ns",
        "openab",
    )


def test_contradictions_are_named(session: Session) -> None:
    assert session.contradicted_by({"release": "other", "namespace": "ns", "reports": "x"}) == ["release"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"agents": 5}', "nonsense"])
def test_what_is_no_session(tmp_path: Path, text: str) -> None:
    (tmp_path / "session.json").write_text(text)
    with pytest.raises(SettingsError, match="is not a session file"):
        Session.load(tmp_path / "session.json")
