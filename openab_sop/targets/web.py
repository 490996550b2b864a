"""HTTP GET, and no more of it than is safe: bounded in size and time, whatever the other side does.

The standard library's client takes proxies from the environment and the system's certificates, as helm does. Which
hosts may be asked, ``Reach`` decides: also where a redirect leads, and at the moment of each connection.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from ipaddress import ip_address
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from openab_sop import bounded
from openab_sop.errors import NotAsked, SourceError
from openab_sop.redact import mask
from openab_sop.targets.deadline import within
from openab_sop.targets.reach import Internal, Reach, origin

TIMEOUT = 30.0
"""Seconds for a whole answer."""
STALLED = 10.0
"""Seconds without a byte."""
LARGEST = 32 << 20
"""Bytes of an answer."""

_NAMED = "if it shall be asked, name it: --chart for charts, an image's registry in the values"
_NEXT = "check the address and the network (HTTPS_PROXY, SSL_CERT_FILE), then run again"


@dataclass(frozen=True)
class HttpResponse:
    """What a server answered, whatever its status."""

    url: str
    status: int
    headers: Message
    body: bytes

    def json(self) -> object:
        """Return the document in the body.

        Raises:
            SourceError: it is no JSON.
        """
        try:
            return bounded.load_json(self.body, without_credentials(self.url))
        except ValueError as error:
            raise SourceError(f"{without_credentials(self.url)} does not answer with JSON", _NEXT) from error


def get(
    url: str, headers: Mapping[str, str] | None = None, *, largest: int = LARGEST, reach: Reach | None = None
) -> HttpResponse:
    """Ask for a document; redirects are followed, without the headers given here.

    Args:
        url: http or https.
        headers: sent to this address only.
        largest: bytes of the answer.
        reach: which hosts may be asked; without it the operator has named this one, and where it leads must be public.

    Raises:
        NotAsked: it, or where it leads, is an internal host that nobody has named.
        SourceError: no answer in time, one that is too large, or no address at all.
    """
    try:
        allowed = reach or Reach.of([url])
        request = Request(url)
        for name, value in {"User-Agent": "openab-sop", **(headers or {})}.items():
            request.add_unredirected_header(name, value)
        _check_scheme(request.full_url)
        return within(TIMEOUT, lambda: _ask(request, largest, allowed))
    except Internal as refused:
        raise NotAsked(f"{without_credentials(url)}: {refused}", _NAMED) from refused
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SourceError(f"{without_credentials(url)} does not answer: {_reason(error)}", _NEXT) from error


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine: what listens there needs neither TLS nor a proxy."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def without_credentials(url: str) -> str:
    """Return an address as messages quote it: without query, user and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what is no address"
    return mask(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


class Redirects(HTTPRedirectHandler):
    """Follows few redirects, and none that leaves HTTP or gives up TLS."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        """Return what to ask for next; the signature is urllib's."""
        _check_scheme(newurl)
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise ValueError("it redirects from https to http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, *given: Any, reach: Reach, **more: Any) -> None:
        super().__init__(*given, **more)
        self._create_connection = reach.connect


class _SecureConnection(http.client.HTTPSConnection):
    def __init__(self, *given: Any, reach: Reach, **more: Any) -> None:
        super().__init__(*given, **more)
        self._create_connection = reach.connect


class _Opens(HTTPHandler):
    """Opens connections to what may be asked; a proxy is the operator's own, and what it is asked for is judged."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self.reach = reach

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        if req.has_proxy():
            self.reach.require(*origin(req.full_url))
            return super().http_open(req)
        return self.do_open(partial(_HttpConnection, reach=self.reach), req)  # pyright: ignore[reportArgumentType]


class _OpensSecurely(HTTPSHandler):
    """The same with TLS."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self.reach = reach

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        if getattr(req, "_tunnel_host", None):
            self.reach.require(*origin(req.full_url))
            return super().https_open(req)
        return self.do_open(partial(_SecureConnection, reach=self.reach), req)  # pyright: ignore[reportArgumentType]


def _ask(request: Request, largest: int, reach: Reach) -> HttpResponse:
    handlers = [Redirects(), _Opens(reach), _OpensSecurely(reach)]
    proxies = [ProxyHandler({})] if is_loopback(urlsplit(request.full_url).hostname) else []
    try:
        response = build_opener(*handlers, *proxies).open(request, timeout=STALLED)
    except HTTPError as refusal:
        response = refusal
    with response:
        body = response.read(largest + 1)
        if len(body) > largest:
            raise ValueError(f"more than {largest} bytes")
        return HttpResponse(request.full_url, response.status or 0, response.headers, body)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url.partition(':')[0]!r} is not http or https")


def _reason(error: BaseException) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason)
    if isinstance(error, TimeoutError):
        return "not in time"
    return mask(str(error) or type(error).__name__)
