"""A backup root elsewhere: which URLs are one, what it can do on real servers, and what it says when it cannot."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from openab_sop import redact
from openab_sop.backups.store import BLOCK, Store, parse
from openab_sop.errors import BackupError, SettingsError
from tests.elsewhere import BUCKET, S3, s3_server, sftp_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 server."""
    with s3_server() as s3:
        yield s3


@pytest.fixture(params=["memory", "s3", "sftp"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield Store(f"memory://{tmp_path.name}/root")
    elif request.param == "s3":
        server: S3 = request.getfixturevalue("s3")
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield Store(f"s3://{BUCKET}/{tmp_path.parent.name}/{tmp_path.name}")
    else:
        with sftp_server(tmp_path / "home") as sftp:
            for name, value in sftp.env.items():
                monkeypatch.setenv(name, value)
            yield Store(f"{sftp.url}{tmp_path}/elsewhere/root")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("/a/b", Path("/a/b")),
        ("a", Path.cwd() / "a"),
        ("~/a", Path.home() / "a"),
        ("file:///a/b/", Path("/a/b")),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("sftp://user@host:22/a", "sftp://user@host:22/a"),
    ],
)
def test_a_root_is_here_or_elsewhere(text: str, where: Path | str) -> None:
    assert parse(text) == where


@pytest.mark.parametrize(
    "text",
    [
        "sftp://user:hunter2secret@host/path",
        "s3://AKIAX:hunter2secret@bucket",
        "sftp://user:hunter2/secret@host",
        "az://container/path?sig=hunter2secret",
        "s3://bucket/#hunter2secret",
        "file://user:hunter2secret@host/",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="has a password or a query in it") as told:
        parse(text)
    assert "hunter2" not in str(told.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(told.value)


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///", "://x", "S 3://x", "file://relative", "simplecache::s3://b", "s3://b/*", "s3://b/[a]"]
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(SettingsError, match="is no URL of a backup root"):
        parse(text)


@pytest.mark.parametrize(("url", "extra"), [("gs://bucket/x", "gcs"), ("az://container/x", "azure")])
def test_a_missing_driver_is_named_with_its_extra(url: str, extra: str) -> None:
    with pytest.raises(SettingsError, match=rf"pip install -e '\.\[{extra}\]'"):
        Store(url)


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(SettingsError, match="nonsense is no kind of store"):
        Store("nonsense://x/y")


def test_what_a_store_does(store: Store, tmp_path: Path) -> None:
    store.check()
    assert store.names() == []
    assert store.files("one") == {}
    big = tmp_path / "big"
    big.write_bytes(os.urandom(2 * BLOCK + 12345))
    sent: list[int] = []
    store.put(big, "one/below/big", sent.append)
    store.write("one/small", b"small")
    store.write("two/empty", b"")
    assert sum(sent) == big.stat().st_size
    assert store.names() == ["one", "two"]
    assert store.files("one") == {"below/big": big.stat().st_size, "small": 5}
    assert store.files("two") == {"empty": 0}
    pieces = list(store.blocks("one/below/big"))
    assert max(map(len, pieces)) <= BLOCK
    assert b"".join(pieces) == big.read_bytes()
    assert store.read("one/small") == b"small"
    store.write("one/small", b"other")
    assert store.read("one/small") == b"other"
    store.remove(["one/small", "one/below/big"])
    store.remove_directory("one")
    assert store.files("one") == {}
    assert store.names() == ["two"]
    with pytest.raises(BackupError, match="one/small is not there"):
        store.read("one/small")
    with pytest.raises(BackupError, match="one/small is not there"):
        list(store.blocks("one/small"))


def test_an_empty_file_is_sent_too(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    store.put(tmp_path / "empty", "x/empty", lambda _: None)
    assert store.files("x") == {"empty": 0}
    assert list(store.blocks("x/empty")) == []


@pytest.fixture
def in_env(s3: S3, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of somebody who uses the S3 server."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_no_such_bucket(in_env: pytest.MonkeyPatch) -> None:
    for act in (Store("s3://no-such-bucket/x").check, Store("s3://no-such-bucket/x").names):
        with pytest.raises(BackupError, match=r"(?s)s3://no-such-bucket/x.* is not there.*create the bucket"):
            act()


def test_a_bucket_is_never_made(in_env: pytest.MonkeyPatch, s3: S3) -> None:
    with pytest.raises(BackupError):
        Store("s3://no-such-bucket").check()
    assert [bucket["Name"] for bucket in s3.client.list_buckets()["Buckets"]] == [BUCKET]


def test_nobody_answers(in_env: pytest.MonkeyPatch) -> None:
    in_env.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupError, match=r"(?s)s3://x/y.* cannot be used.*AWS_ENDPOINT_URL"):
        Store("s3://x/y").check()


def test_somebody_listens_and_never_answers(in_env: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        in_env.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        in_env.setattr("openab_sop.backups.store.PATIENCE", 2)
        with pytest.raises(BackupError, match="does not answer within 2 s"):
            Store("s3://x/y").check()


def test_no_credentials(in_env: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        in_env.delenv(name)
    in_env.setenv("AWS_EC2_METADATA_DISABLED", "true")
    in_env.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(BackupError, match=r"(?s)no usable credentials.*AWS_ACCESS_KEY_ID"):
        Store(f"s3://{BUCKET}/y").check()


def test_what_the_credentials_do_not_allow(in_env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with sftp_server(tmp_path / "home") as sftp:
        in_env.setenv("HOME", str(tmp_path / "home"))
        with pytest.raises(BackupError):
            Store(f"{sftp.url}/proc/root").check()


def test_a_host_that_is_not_known_gets_nothing(in_env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with sftp_server(tmp_path / "home") as sftp:
        (tmp_path / "home/.ssh/known_hosts").write_text("")
        in_env.setenv("HOME", str(tmp_path / "home"))
        with pytest.raises(BackupError, match="Host key is not trusted"):
            Store(f"{sftp.url}{tmp_path}/root").check()


def test_credentials_are_masked_wherever_they_stand(in_env: pytest.MonkeyPatch, s3: S3) -> None:
    Store(f"s3://{BUCKET}/x")
    assert s3.env["AWS_SECRET_ACCESS_KEY"] not in redact.mask(f"it said {s3.env['AWS_SECRET_ACCESS_KEY']}")
