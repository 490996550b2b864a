"""A line to the API with switches: it lies between a run and the sandbox's API server, and breaks as a test says.

It speaks TLS to both sides, and knows of each request its method and path; bodies and streams it only passes on.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PIECE = 1 << 16
_PORTS = (10_000, 20_000)
"""Below those that Linux gives to whoever connects: while the line is cut, its port must not become somebody's."""


@dataclass(frozen=True)
class Request:
    """What came through: its number, method, path with query, and the body's first bytes."""

    number: int
    method: str
    path: str
    body: str

    @property
    def is_stream(self) -> bool:
        """Whether it is an exec or an attach."""
        return re.search(r"/(exec|attach)\?", self.path) is not None


Judge = Callable[[Request], int | None]
"""Tells the status that a request gets in place of the API's answer, 0 for none at all; None passes it on."""


def stops(request: Request) -> bool:
    """Tell whether a request stops an agent."""
    return request.method == "PATCH" and "/deployments/" in request.path and '"replicas": 0' in request.body


@dataclass
class Line:
    """The line.

    Attributes:
        kubeconfig: leads over it, as the same user.
        judge: asked at each request.
        asked: what came through so far.
        after: asked when a request was answered; it may cut the line.
        pace: bytes a second that streams carry to pods; 0 for as many as come.
    """

    kubeconfig: Path
    judge: Judge = lambda request: None
    after: Callable[[Request], None] = lambda request: None
    asked: list[Request] = field(default_factory=list[Request])
    cuts: int = 0
    pace: int = 0
    _until: float = 0.0
    _frozen: bool = False
    _sent: int = 0
    _limit: int = 0
    _act: Callable[[], None] = lambda: None
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def cut(self, seconds: float) -> None:
        """Break every connection, and refuse new ones for so long; every other time they come about, and break."""
        self._until, self.cuts = time.monotonic() + seconds, self.cuts + 1
        self._loop.call_soon_threadsafe(self._break, self.cuts % 2 == 1)

    def cut_once(self, when: Callable[[Request], bool], seconds: float) -> None:
        """Cut it when the first such request was answered."""
        done: list[Request] = []

        def after(request: Request) -> None:
            if not done and when(request):
                done.append(request)
                self.cut(seconds)

        self.after = after

    def in_stream(self, sent: int, act: Callable[[], None]) -> None:
        """Do something in the middle of a stream, when so many bytes have gone to pods."""
        self._limit, self._act = sent, act

    def freeze(self, frozen: bool = True) -> None:
        """Hold back whatever is under way in streams."""
        self._frozen = frozen

    def _break(self, refuse: bool) -> None:
        for writer in list(self._open):
            writer.transport.abort()
        if refuse and self._server:
            port = self._server.sockets[0].getsockname()[1]
            self._server.close()
            self._server = None
            self._loop.create_task(self._listen_again(port))

    async def _listen_again(self, port: int) -> None:
        while time.monotonic() < self._until:
            await asyncio.sleep(0.05)
        while self._server is None:
            with suppress(OSError):
                await self.serve(*self._way, port=port)
            await asyncio.sleep(0.05)

    async def serve(
        self, upstream: tuple[str, int], theirs: ssl.SSLContext, ours: ssl.SSLContext, port: int
    ) -> asyncio.Server:
        """Listen.

        Raises:
            OSError: somebody else has the port.
        """
        self._way = upstream, theirs, ours

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._open.add(writer)
            with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.LimitOverrunError):
                await self._pass_on(reader, writer, upstream, ours)
            self._open.discard(writer)
            writer.close()

        self._server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=theirs, limit=1 << 20)
        return self._server

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: tuple[str, int],
        context: ssl.SSLContext,
    ) -> None:
        if time.monotonic() < self._until:
            writer.transport.abort()
            return
        head = await reader.readuntil(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        length = next((int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        request = Request(len(self.asked), method, path, body[:2000].decode(errors="replace"))
        self.asked.append(request)
        status = self.judge(request)
        if status is not None:
            await self._answer(writer, status)
            return
        up_reader, up_writer = await asyncio.open_connection(*upstream, ssl=context, limit=1 << 20)
        self._open.add(up_writer)
        upgrades = any(f.lower().startswith("upgrade:") for f in fields)
        kept = [f for f in fields if not re.match(r"(?i)(authorization|host):", f)]
        kept = kept if upgrades else [f for f in kept if not re.match(r"(?i)connection:", f)]
        host = f"Host: {upstream[0]}:{upstream[1]}"
        lines = [first, host, *([] if upgrades else ["Connection: close"]), *kept]
        up_writer.write("\r\n".join(lines).encode("latin-1") + body)
        down, up = self._pump(up_reader, writer), self._pump(reader, up_writer, counted=request.is_stream)
        ways = [asyncio.ensure_future(down), asyncio.ensure_future(up)]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._open.discard(up_writer)
        up_writer.close()
        self.after(request)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False) -> None:
        while piece := await reader.read(_PIECE):
            while self._frozen:
                await asyncio.sleep(0.05)
            writer.write(piece)
            await writer.drain()
            self._sent += len(piece) if counted else 0
            if counted and self.pace:
                await asyncio.sleep(len(piece) / self.pace)
            if 0 < self._limit < self._sent:
                self._limit = 0
                self._act()

    @staticmethod
    async def _answer(writer: asyncio.StreamWriter, status: int) -> None:
        if status:
            said = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": status,
                "message": "as the test says",
            }
            body = json.dumps(
                {**said, "reason": {403: "Forbidden", 429: "TooManyRequests"}.get(status, "InternalError")}
            )
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
            await writer.drain()


@contextmanager
def line(kubeconfig: dict[str, Any], directory: Path) -> Generator[Line]:
    """Lay a line to the cluster of a kubeconfig whose user has a client certificate."""
    cluster: dict[str, str] = kubeconfig["clusters"][0]["cluster"]
    user: dict[str, str] = kubeconfig["users"][0]["user"]
    directory.mkdir(parents=True, exist_ok=True)
    own = _certificate(directory / "line.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(own)
    ours = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    pair = directory / "caller.pem"
    pair.touch(mode=0o600)
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    ours.load_cert_chain(pair)
    address = urlsplit(cluster["server"])
    found = Line(directory / "kubeconfig")
    loop = found._loop  # pyright: ignore[reportPrivateUsage]
    thread = threading.Thread(target=loop.run_forever, name="line", daemon=True)
    thread.start()
    upstream = (str(address.hostname), int(address.port or 443))
    port = 0
    while not port:
        with suppress(OSError):
            tried = random.randrange(*_PORTS)
            asyncio.run_coroutine_threadsafe(found.serve(upstream, theirs, ours, tried), loop).result(10)
            port = tried
    trusted = base64.b64encode(_public(own)).decode()
    over = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": trusted}
    document = {
        **kubeconfig,
        "clusters": [{**kubeconfig["clusters"][0], "cluster": over}],
        "users": [{**kubeconfig["users"][0], "user": {"token": "by-the-line"}}],
    }
    found.kubeconfig.touch(mode=0o600)
    found.kubeconfig.write_text(json.dumps(document))
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _certificate(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "line")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.touch(mode=0o600)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def _public(path: Path) -> bytes:
    return path.read_bytes().partition(b"-----BEGIN PRIVATE KEY-----")[0]
