"""A SOCKS 5 proxy on a port of its own, for whoever is told to go by one (RFC 1928, without authentication)."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

_TO_NAME, _TO_ADDRESS, _TO_ADDRESS_6 = 3, 1, 4


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self) -> None:
        with suppress(OSError):
            self.rfile.read(self.rfile.read(2)[1])
            self.wfile.write(b"\x05\x00")
            kind = self.rfile.read(4)[3]
            length = {_TO_ADDRESS: 4, _TO_ADDRESS_6: 16}.get(kind) or self.rfile.read(1)[0]
            host, port = self.rfile.read(length), int.from_bytes(self.rfile.read(2))
            family = {_TO_ADDRESS: socket.AF_INET, _TO_ADDRESS_6: socket.AF_INET6}.get(kind)
            where = socket.inet_ntop(family, host) if family else host.decode()
            assert isinstance(self.server, _Proxy)
            self.server.asked.append(f"{where}:{port}")
            with socket.create_connection((where, port), 10) as other:
                self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
                _pass_on(self.connection, other)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    while True:
        for ready in select.select([one, other], [], [])[0]:
            piece = ready.recv(1 << 16)
            if not piece:
                return
            (other if ready is one else one).sendall(piece)


@contextmanager
def socks() -> Generator[tuple[str, list[str]]]:
    """Run it; yields its address, and where it was asked to go so far."""
    with _Proxy() as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"socks5://127.0.0.1:{proxy.server_address[1]}", proxy.asked
        finally:
            proxy.shutdown()
