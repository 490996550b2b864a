"""The HTTP side of the endpoint: reads requests, lets ordered failures happen, writes answers."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, urlsplit

from world.endpoint.routes import Answer, Endpoint, Request

CONTROL = "/control/"
POLL = 0.05
"""Seconds between two looks whether to stop."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client. `endpoint` is set by the server that it belongs to."""

    protocol_version = "HTTP/1.1"
    endpoint: ClassVar[Endpoint]

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve("GET")

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve("POST")

    def log_message(self, format: str, *args: object) -> None:
        """Keep standard error quiet: /control/log has it."""

    def _serve(self, method: str) -> None:
        request = self._read()
        if request is None:
            return self._write(Answer(400, {"message": "the body is not a JSON object"}))
        if request.path.startswith(CONTROL):
            return self._write(self.endpoint.handle(method, request))
        answer = self._ordered_failure(request) or self.endpoint.handle(method, request)
        self._record(method, request, answer)
        if answer.status == 0:
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        return self._write(answer)

    def _ordered_failure(self, request: Request) -> Answer | None:
        failure = self.endpoint.failures.hit(request.path)
        if failure is None:
            return None
        time.sleep(failure.delay)
        return Answer(failure.status, {"message": "failure by order"})

    def _record(self, method: str, request: Request, answer: Answer) -> None:
        shown = re.sub(r"(/api/webhooks/\d+/).*", r"\1<token>", request.path)
        client = self.client_address[0]
        entry = {"at": time.time(), "method": method, "path": shown, "status": answer.status, "from": client}
        self.endpoint.access.append(entry)

    def _read(self) -> Request | None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body: object = json.loads(raw) if raw else {}
        except ValueError:
            return None
        if not isinstance(body, dict):
            return None
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        token = self.headers.get("Authorization", "").removeprefix("Bot ")
        base = f"http://{self.headers.get('Host', 'localhost')}"
        return Request(base, url.path, query, cast(dict[str, Any], body), token)

    def _write(self, answer: Answer) -> None:
        content = answer.content if answer.document is None else json.dumps(answer.document).encode()
        self.send_response(answer.status, HTTPStatus(answer.status).phrase)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """Threads that hold a poll must not keep the process alive, and a bot that goes away is no error."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client cut the connection; everything else as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def serve(endpoint: Endpoint, addresses: Sequence[str], port: int) -> list[Server]:
    """Serve `endpoint` on `port` of each address, in threads; port 0 takes one that is free."""
    servers: list[Server] = []
    for address in addresses:
        handler = type("BoundHandler", (Handler,), {"endpoint": endpoint})
        server = Server((address, port or (servers[0].server_port if servers else 0)), handler)
        threading.Thread(target=server.serve_forever, args=(POLL,), name=f"endpoint-{address}", daemon=True).start()
        servers.append(server)
    return servers
