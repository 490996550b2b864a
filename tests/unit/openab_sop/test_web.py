"""An answer over HTTP: bounded, and no header goes where it was not meant for."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from urllib.request import Request

import pytest

from openab_sop.errors import SourceError
from openab_sop.targets import web
from tests.served import Asked, Says, serving


def test_an_answer_of_any_status_is_an_answer() -> None:
    with serving(lambda _: Says({"message": "Not Found"}, 404)) as server:
        answer = web.get(f"{server.url}/x?n=1")
        assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
        assert server.asked[0].query == {"n": "1"}


def test_too_large_an_answer_is_refused() -> None:
    with serving(lambda _: Says(b"x" * 1001)) as server:
        assert len(web.get(server.url, largest=1001).body) == 1001
        with pytest.raises(SourceError, match="more than 1000 bytes"):
            web.get(server.url, largest=1000)
    endless = Says(b"x" * 1_000_000, pieces=1000, pause=0.05)
    with serving(lambda _: endless) as server, pytest.raises(SourceError, match="more than 1000 bytes"):
        web.get(server.url, largest=1000)


@pytest.mark.parametrize("says", [Says(b"x" * 1000, pieces=1000, pause=0.05), Says(b"x", pause=60)])
def test_an_answer_that_does_not_end_is_given_up(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.5)
    with serving(lambda _: says) as server:
        begun = time.monotonic()
        with pytest.raises(SourceError, match="does not answer: not in time"):
            web.get(server.url)
        assert time.monotonic() - begun < 20, "50 s and 60 s without the deadline"


def test_nothing_listens() -> None:
    with serving(lambda _: Says()) as server:
        pass
    with pytest.raises(SourceError, match=rf"{server.url}/x does not answer: .*refused"):
        web.get(f"{server.url}/x")


def redirected(to: Callable[[], str]) -> Callable[[Asked], Says]:
    return lambda asked: Says(b"there") if asked.path == "/there" else Says(status=302, headers={"Location": to()})


def test_a_redirect_is_followed_without_the_headers() -> None:
    with serving(redirected(lambda: f"{other.url}/there")) as server, serving(redirected(lambda: "")) as other:
        answer = web.get(f"{server.url}/here", {"Authorization": "Bearer s3cret"})
        assert answer.body == b"there"
        assert server.asked[0].headers["Authorization"] == "Bearer s3cret"
        assert "Authorization" not in other.asked[0].headers


@pytest.mark.parametrize("to", ["file:///etc/passwd", "/here"])
def test_a_redirect_to_a_file_or_for_ever_is_not_followed(to: str) -> None:
    with serving(redirected(lambda: to)) as server:
        assert web.get(f"{server.url}/here").status == 302
        assert len(server.asked) < 10


def test_a_redirect_to_another_protocol_is_refused() -> None:
    elsewhere = redirected(lambda: "ftp://127.0.0.1/x")
    with serving(elsewhere) as server, pytest.raises(SourceError, match="'ftp' is not http or https"):
        web.get(f"{server.url}/here")


def test_a_redirect_does_not_give_up_tls() -> None:
    follow, asked = web.Redirects().redirect_request, Request("https://registry/v2/")
    with pytest.raises(ValueError, match="from https to http"):
        follow(asked, BytesIO(), 302, "Found", HTTPMessage(), "http://registry/v2/")
    assert follow(asked, BytesIO(), 302, "Found", HTTPMessage(), "https://elsewhere/v2/")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "oci://x/y", "nonsense", "http://[::1", "http://x\r\ny"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SourceError):
        web.get(url)


def test_what_is_no_json_is_told() -> None:
    with serving(lambda _: Says(b"<html>")) as server, pytest.raises(SourceError, match="does not answer with JSON"):
        web.get(server.url).json()
    with serving(lambda _: Says(b"[" * 100_000)) as server, pytest.raises(SourceError):
        web.get(server.url).json()


def test_a_message_shows_no_password_and_no_query() -> None:
    assert web.without_credentials("https://me:s3cret@host/path?token=s3cret") == "https://host/path"


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("127.example.org", False)],
)
def test_this_machine_is_known(host: str, local: bool) -> None:
    assert web.is_loopback(host) == local


def test_tls_is_proved_by_name_although_an_address_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    out = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run(["openssl", *made, *names, *out], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with serving(lambda _: Says(b"there"), context) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
            web.get(f"https://localhost:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        assert web.get(f"https://localhost:{port}/").body == b"there"
        with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
            web.get(f"https://127.0.0.1:{port}/")
