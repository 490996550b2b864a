"""The endpoint: what a bot, a webhook's sender, a reader of release notes and helm meet."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from world.endpoint.chat import token_digest
from world.endpoint.client import Control
from world.endpoint.releases import ReleaseNote, write_notes
from world.endpoint.routes import Endpoint
from world.endpoint.server import serve

TOKEN = "very-secret-bot-token"


@dataclass(frozen=True)
class Client:
    """Plain HTTP to the endpoint under test."""

    port: int

    def __call__(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any, dict[str, str]]:
        """Status, document (or bytes that are no JSON) and headers of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Authorization": f"Bot {token}"} if token else {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json" and content
        return answer.status, json.loads(content) if is_json else content, dict(answer.headers)

    @property
    def control(self) -> Control:
        """The control API's client."""
        return Control(f"http://127.0.0.1:{self.port}")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a new endpoint."""
    (server,) = serve(Endpoint(tmp_path), ["127.0.0.1"], 0)
    yield Client(server.server_port)
    server.shutdown()
    server.server_close()


def answer_one(client: Client, session: str) -> None:
    """What a bot does with the next message."""
    _, batch, _ = client("GET", f"/chat/events?session={session}&wait=10")
    (message,) = batch["events"]
    client("POST", "/chat/messages", {"session": session, "reply_to": message["id"], "text": message["text"].upper()})


def test_a_message_reaches_the_bot_and_its_answer_comes_back(client: Client) -> None:
    """While it waits in a long poll."""
    _, hello, _ = client("POST", "/chat/connect", {"version": "1.0.0"}, TOKEN)
    bot = threading.Thread(target=answer_one, args=(client, hello["session"]))
    bot.start()
    assert client.control.ask("hello") == "HELLO"
    bot.join()
    (message,) = client.control.log()["messages"]
    assert (message["text"], message["reply"], message["replied_by"]) == ("hello", "HELLO", hello["session"])


def test_without_a_bot_nobody_answers(client: Client) -> None:
    """The asker is told so after the time that it gave."""
    assert client.control.ask("hello", timeout=0.1) is None


def test_a_message_may_be_for_one_bot(client: Client) -> None:
    """Told by its token; the others do not see it."""
    _, mine, _ = client("POST", "/chat/connect", {}, TOKEN)
    _, other, _ = client("POST", "/chat/connect", {}, "another")
    bot = threading.Thread(target=answer_one, args=(client, mine["session"]))
    bot.start()
    assert client.control.ask("hello", token=TOKEN) == "HELLO"
    bot.join()
    assert client("GET", f"/chat/events?session={other['session']}&wait=0")[1] == {"events": []}


def test_messages_from_before_a_connection_are_not_delivered(client: Client) -> None:
    """As on a real platform: a bot that was away does not answer old messages."""
    client.control.ask("old", timeout=0.01)
    _, hello, _ = client("POST", "/chat/connect", {}, TOKEN)
    assert client("GET", f"/chat/events?session={hello['session']}&wait=0")[1] == {"events": []}


def test_tokens_are_kept_as_digests_only(client: Client) -> None:
    """Neither the log nor an error shows one."""
    client("POST", "/chat/connect", {"version": "1.0.0"}, TOKEN)
    client("POST", "/api/webhooks/1/webhook-secret", {"content": "hi"})
    shown = json.dumps(client.control.log())
    assert token_digest(TOKEN) in shown
    assert TOKEN not in shown
    assert "webhook-secret" not in shown


def test_missing_and_rejected_tokens_do_not_connect(client: Client) -> None:
    """401, and a session of a token that is rejected later ends."""
    assert client("POST", "/chat/connect", {})[0] == 401
    _, hello, _ = client("POST", "/chat/connect", {}, TOKEN)
    threading.Timer(0.2, client.control.reject_token, (TOKEN,)).start()
    start = time.monotonic()
    assert client("GET", f"/chat/events?session={hello['session']}&wait=8")[0] == 410
    assert time.monotonic() - start < 5, "the poll was held although the session was gone"
    assert client("POST", "/chat/connect", {}, TOKEN)[0] == 401


def test_the_webhook_records_and_answers_like_discords(client: Client) -> None:
    """204; 200 with the message if asked to wait; 400 for an empty message."""
    assert client("POST", "/api/webhooks/42/token", {"content": "starting"})[0] == 204
    status, message, _ = client("POST", "/api/webhooks/42/token?wait=true", {"content": "done"})
    assert (status, message["content"]) == (200, "done")
    assert client("POST", "/api/webhooks/42/token", {})[0] == 400
    assert [hook["body"]["content"] for hook in client.control.log()["webhooks"]] == ["starting", "done"]


def test_releases_come_in_pages(client: Client, tmp_path: Path) -> None:
    """The shape that readers of GitHub's API expect, with a Link header as long as there is more."""
    write_notes(tmp_path / "notes.json", [ReleaseNote(f"v1.0.{n}", f"notes {n}", prerelease=n == 2) for n in (2, 1, 0)])
    status, first, headers = client("GET", "/repos/o/r/releases?per_page=2")
    assert (status, [release["tag_name"] for release in first]) == (200, ["v1.0.2", "v1.0.1"])
    following = headers["Link"].partition(">")[0].partition(str(client.port))[2]
    _, second, headers = client("GET", following)
    assert [release["tag_name"] for release in second] == ["v1.0.0"]
    assert "Link" not in headers
    assert client("GET", "/repos/o/r/releases/tags/v1.0.1")[1]["body"] == "notes 1"
    assert client("GET", "/repos/o/r/releases/latest")[1]["tag_name"] == "v1.0.1"
    assert client("GET", "/repos/o/r/releases/tags/v9")[0] == 404


def test_chart_repositories_are_served_and_nothing_else(client: Client, tmp_path: Path) -> None:
    """An index, archives, and no way out of the directory."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts/index.yaml").write_text("entries: {}\n")
    (tmp_path / "private").write_text("secret")
    assert client("GET", "/charts/index.yaml")[1] == b"entries: {}\n"
    for path in ("/charts/none.tgz", "/private", "/charts/../private", "/charts/..%2fprivate", "/charts/.."):
        assert client("GET", path)[0] == 404


def test_failures_by_order(client: Client) -> None:
    """As often as ordered, only below the path, never the control API; and gone after a reset."""
    client.control.fail("/api/webhooks", status=503, times=1)
    assert client("POST", "/api/webhooks/1/t", {"content": "x"})[0] == 503
    assert client("POST", "/api/webhooks/1/t", {"content": "x"})[0] == 204
    client.control.fail("/repos", status=0)
    with pytest.raises((RemoteDisconnected, ConnectionResetError, socket.timeout)):
        client("GET", "/repos/o/r/releases")
    client.control.fail("/control")
    client.control.reset()
    assert client("GET", "/repos/o/r/releases")[0] == 200
    assert client.control.log()["webhooks"] == []


def test_nonsense_is_answered_not_crashed_on(client: Client) -> None:
    """Bodies that are no objects, numbers that are none, paths and fields that do not exist."""
    assert client("POST", "/chat/connect", b"[1]")[0] == 400
    assert client("POST", "/chat/connect", b"{")[0] == 400
    assert client("GET", "/repos/o/r/releases?page=x")[0] == 400
    assert client("POST", "/control/fail", {"no": "such"})[0] == 400
    assert client("GET", "/nowhere")[0] == 404
    assert client("GET", "/chat/connect")[0] == 404
