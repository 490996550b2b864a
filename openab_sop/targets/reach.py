"""Which addresses this machine asks: those of hosts that the operator has named, else public ones alone (issue 14).

A chart names images, a registry a server for tokens, a server another to which it redirects: whoever writes one of them
must not have this machine ask what only it can reach. Names are judged by the addresses that they stand for, at the
moment of the connection, and the connection goes to the address that was judged: a name that stands for another one
the next time gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

Origin = tuple[str, int]
"""A host as it is asked for, in small letters, and a port."""

_PORTS = {"http": 80, "https": 443}
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds tell a machine about itself, logins too, beside the link-local 169.254.169.254."""
_NAT64 = ip_network("64:ff9b::/96")
"""https://www.rfc-editor.org/rfc/rfc6052: the last four bytes are an IPv4 address."""


class Internal(ValueError):
    """A host was not asked: its address is an internal one, and nobody has named it."""


class Kind(StrEnum):
    """What an address is for who connects to it from here."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "this machine's own"
    LINK_LOCAL = "link-local or a cloud's own"


@dataclass
class Reach:
    """What may be asked in one errand: a document, or a registry with its server for tokens.

    A host that was not named may be public, or of the kind of a named one that was asked: an internal repository may
    redirect to an internal store.

    Attributes:
        named: what the operator has named, whatever its address.
    """

    named: frozenset[Origin]
    _kinds: set[Kind] = field(default_factory=set[Kind])
    _begun: bool = False
    """Whether a proxy was asked for a named host."""

    @classmethod
    def of(cls, urls: Iterable[str]) -> Reach:
        """Return one for errands to these addresses.

        Raises:
            ValueError: one is no address.
        """
        return cls(frozenset(map(origin, urls)))

    def connect(
        self, address: tuple[str, int], timeout: float | None = None, source: tuple[str, int] | None = None
    ) -> socket.socket:
        """Connect as ``socket.create_connection`` does, to an address that may be asked.

        Raises:
            Internal: it has none. OSError: nobody answers.
        """
        refused: OSError | None = None
        for found in self._allowed(*address):
            try:
                return socket.create_connection(found, timeout, source)
            except OSError as error:
                refused = error
        assert refused is not None
        raise refused

    def require(self, host: str, port: int) -> None:
        """Stop before a proxy is asked for an internal host.

        Where only the proxy knows names, no name has an address here. Then it is asked for a named host, and for what
        that leads to, but for nothing that a chart alone names.

        Raises:
            Internal: it is one, or nobody knows.
        """
        named = (host.lower(), port) in self.named
        self._begun = self._begun or named
        try:
            list(self._allowed(host, port))  # the proxy may take any of them
        except OSError as error:
            if not self._begun:
                raise Internal(f"not asked: {host} has no address here ({error}), and nobody has named it") from error

    def _allowed(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """Yield addresses of a host that may be asked."""
        named, refused = (host.lower(), port) in self.named, ""
        found = dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        for address in found:
            what = kind(address)
            if named:
                self._kinds.add(what)
            if named or what is Kind.PUBLIC or (what in self._kinds and what is not Kind.LINK_LOCAL):
                yield address, port
            else:
                refused = f"{address}, which is {what}"
        if refused:
            raise Internal(f"not asked: internal address: {host} is {refused}, and nobody has named it")


def origin(url: str) -> Origin:
    """Return whom an address asks.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def kind(address: str) -> Kind:
    """Tell what an IP address is; one that holds an IPv4 address is what that is."""
    found = ip_address(address.partition("%")[0])
    inner = _inner(found) if isinstance(found, IPv6Address) else None
    if inner is not None:
        return kind(str(inner))
    if found.is_link_local or found.is_multicast or found in _METADATA:
        return Kind.LINK_LOCAL
    if found.is_loopback or found.is_unspecified:
        return Kind.LOOPBACK
    return Kind.PUBLIC if found.is_global and not found.is_reserved else Kind.PRIVATE


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
