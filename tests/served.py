"""A real HTTP server on loopback that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request: method, path, query, headers, body."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """An answer; a body that is no bytes is sent as JSON. It comes in pieces, with a pause before each."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pieces: int = 1
    pause: float = 0.0


@dataclass
class Server:
    """The server: its address, and what it was asked so far."""

    url: str
    stopping: threading.Event
    answer: Callable[[Asked], Says]
    asked: list[Asked] = field(default_factory=list[Asked])

    @property
    def host(self) -> str:
        """Its host and port."""
        return self.url.removeprefix("http://")

    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [asked.path for asked in self.asked]


@contextmanager
def serving(answer: Callable[[Asked], Says], tls: ssl.SSLContext | None = None) -> Generator[Server]:
    """Serve until the block is left, whatever hangs then; with TLS if a certificate is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, url.path, query, dict(self.headers), body)
            server.asked.append(asked)
            self._say(server.answer(asked))

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _say(self, says: Says) -> None:
            body: bytes = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
            self.send_response(says.status)
            for name, value in {**says.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            size = max(1, -(-len(body) // says.pieces))
            for start in range(0, len(body), size):
                if server.stopping.wait(says.pause):
                    return
                self.wfile.write(body[start : start + size])

        def handle(self) -> None:
            with suppress(OSError):  # the client has gone
                super().handle()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that does not like the certificate

    with Quiet(("127.0.0.1", 0), Handler) as http:
        if tls:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        server = Server(f"http://127.0.0.1:{http.server_address[1]}", threading.Event(), answer)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            http.shutdown()
            thread.join()
