"""What the endpoint answers: each route is one small method."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from world.endpoint.chat import ChatRoom, UnknownSession
from world.endpoint.failures import Failure, Failures
from world.endpoint.releases import DEFAULT_PER_PAGE, page, read_notes


@dataclass(frozen=True)
class Request:
    """One request, read in full: `url` is what the client calls this server, `token` its Authorization's."""

    url: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    token: str


@dataclass(frozen=True)
class Answer:
    """What goes back: a JSON document, or bytes of another type."""

    status: int = 200
    document: Any = None
    content: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Endpoint:
    """All that the server knows. `root` holds notes.json and the chart repositories' directories."""

    root: Path
    chat: ChatRoom = field(default_factory=ChatRoom)
    failures: Failures = field(default_factory=Failures)
    webhooks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    access: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def routes(self) -> Sequence[tuple[str, str, Callable[..., Answer]]]:
        """Method, pattern of the path, handler: its groups are the handler's further arguments."""
        return (
            ("POST", r"/chat/connect", self.connect),
            ("GET", r"/chat/events", self.events),
            ("POST", r"/chat/messages", self.reply),
            ("POST", r"/api/webhooks/(\d+)/[\w-]+", self.webhook),
            ("GET", r"/repos/[\w.-]+/[\w.-]+/releases", self.releases),
            ("GET", r"/repos/[\w.-]+/[\w.-]+/releases/latest", self.latest_release),
            ("GET", r"/repos/[\w.-]+/[\w.-]+/releases/tags/([\w.+-]+)", self.release),
            ("GET", r"/((?:charts|trials)/[\w.+-]+)", self.chart_file),
            ("GET", r"/control/log", self.log),
            ("POST", r"/control/ask", self.ask),
            ("POST", r"/control/fail", self.fail),
            ("POST", r"/control/reject-token", self.reject_token),
            ("POST", r"/control/disconnect", self.disconnect),
            ("POST", r"/control/reset", self.reset),
        )

    def handle(self, method: str, request: Request) -> Answer:
        """The answer to one request; 400 if a number in it is none."""
        for wanted, pattern, handler in self.routes():
            match = re.fullmatch(pattern, request.path)
            if match and wanted == method:
                try:
                    return handler(request, *match.groups())
                except ValueError as error:
                    return Answer(400, {"message": str(error)})
        return Answer(404, {"message": "Not Found"})

    def connect(self, request: Request) -> Answer:
        """A bot logs in."""
        session = self.chat.connect(request.token, str(request.body.get("version", "")))
        if session is None:
            return Answer(401, {"message": "401: Unauthorized"})
        return Answer(200, {"session": session.session, "user": "standin-bot"})

    def events(self, request: Request) -> Answer:
        """A bot waits for messages."""
        try:
            fresh = self.chat.poll(request.query.get("session", ""), float(request.query.get("wait", "0")))
        except UnknownSession:
            return Answer(410, {"message": "session is gone"})
        return Answer(200, {"events": [{"id": m.id, "channel": m.channel, "text": m.text} for m in fresh]})

    def reply(self, request: Request) -> Answer:
        """A bot answers."""
        body = request.body
        try:
            self.chat.answer(str(body.get("session")), str(body.get("reply_to")), str(body.get("text")))
        except UnknownSession:
            return Answer(410, {"message": "session is gone"})
        return Answer(200, {})

    def webhook(self, request: Request, webhook_id: str) -> Answer:
        """Discord's "execute webhook": 204, or with ?wait=true the message."""
        if not request.body.get("content") and not request.body.get("embeds"):
            return Answer(400, {"message": "Cannot send an empty message", "code": 50006})
        self.webhooks.append({"at": time.time(), "webhook": webhook_id, "body": request.body})
        if request.query.get("wait") == "true":
            return Answer(200, {"id": str(len(self.webhooks)), **request.body})
        return Answer(204)

    def releases(self, request: Request) -> Answer:
        """All releases, newest first, in pages with a Link header."""
        number = int(request.query.get("page", 1))
        per_page = int(request.query.get("per_page", DEFAULT_PER_PAGE))
        notes = read_notes(self.root / "notes.json")
        document = [note.as_api(request.url) for note in page(notes, number, per_page)]
        more = number * per_page < len(notes)
        following = f'<{request.url}{request.path}?per_page={per_page}&page={number + 1}>; rel="next"'
        return Answer(200, document, headers=(("Link", following),) if more else ())

    def latest_release(self, request: Request) -> Answer:
        """The newest release that is not a pre-release."""
        stable = [note for note in read_notes(self.root / "notes.json") if not note.prerelease]
        return Answer(200, stable[0].as_api(request.url)) if stable else Answer(404, {"message": "Not Found"})

    def release(self, request: Request, tag: str) -> Answer:
        """The release of one tag."""
        for note in read_notes(self.root / "notes.json"):
            if note.tag == tag:
                return Answer(200, note.as_api(request.url))
        return Answer(404, {"message": "Not Found"})

    def chart_file(self, _: Request, name: str) -> Answer:
        """A chart repository's index or archive. The route's pattern lets nobody out of the directory."""
        file = self.root / name
        if not file.is_file():
            return Answer(404, content=b"not found\n", content_type="text/plain")
        kind = "application/yaml" if file.suffix == ".yaml" else "application/gzip"
        return Answer(200, content=file.read_bytes(), content_type=kind)

    def log(self, _: Request) -> Answer:
        """Everything that arrived. Tokens are there as digests only."""
        return Answer(
            200,
            {
                "sessions": [asdict(session) for session in self.chat.sessions.values()],
                "messages": [asdict(message) for message in self.chat.messages],
                "webhooks": self.webhooks,
                "access": self.access,
            },
        )

    def ask(self, request: Request) -> Answer:
        """Write to the bot as a user would and wait for its answer: 504 if none came."""
        body = request.body
        text, channel = str(body.get("text", "hello")), str(body.get("channel", "general"))
        message = self.chat.ask(text, channel, str(body.get("to", "")), float(body.get("timeout", 10)))
        return Answer(200 if message.reply is not None else 504, asdict(message))

    def fail(self, request: Request) -> Answer:
        """Order a failure: the fields of `Failure`."""
        try:
            failure = Failure(**request.body)
        except TypeError as error:
            return Answer(400, {"message": str(error)})
        self.failures.order(failure)
        return Answer(200, asdict(failure))

    def reject_token(self, request: Request) -> Answer:
        """From now on refuse the token with this SHA-256, and end its sessions."""
        self.chat.reject(str(request.body.get("sha256", "")))
        return Answer(200, {})

    def disconnect(self, _: Request) -> Answer:
        """Drop every bot's session; they connect again by themselves."""
        self.chat.disconnect_all()
        return Answer(200, {})

    def reset(self, _: Request) -> Answer:
        """Forget messages, webhooks, failures and rejected tokens; sessions stay."""
        self.failures.clear()
        self.chat.rejected_tokens.clear()
        self.chat.forget_messages()
        self.webhooks.clear()
        self.access.clear()
        return Answer(200, {})
