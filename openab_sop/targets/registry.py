"""Tags of a repository in an OCI registry: pages, and the token flow of public and private registries.

Sources: the OCI distribution specification (content discovery) and the Docker registry's token authentication.
helm itself pulls charts, but lists no tags; client libraries that do wait without a deadline and read without a limit.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlencode, urljoin, urlsplit

from openab_sop import bounded, redact
from openab_sop.errors import SourceError
from openab_sop.objects import Object, at
from openab_sop.targets import web
from openab_sop.targets.reach import Reach

PAGE = 1000
"""Tags asked for at once; a registry may give fewer."""
MOST_PAGES = 200
"""Pages read at most: a registry may say for ever that there is one more."""
LARGEST = 1 << 20
"""Bytes of a page, or of a token's answer."""

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""Kinds of manifests that an image has; a registry tells one that is not accepted as not found."""
_PARAMETER = re.compile(r'(?<!\w)(\w++)="([^"]*+)"')
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_REFERENCE = re.compile(r"\w[\w.-]{0,127}|[A-Za-z][A-Za-z0-9+._-]{0,31}:[0-9a-fA-F]{32,128}", re.ASCII)
"""What a registry takes for a repository, a tag and a digest: a path to nothing else of its host.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (pulling manifests).
"""
_IP = re.compile(r"[\d.]++|[^:\n]*+:[^\n]*+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_NO_PLACE = re.compile(r"(?:ac|co|com|edu|gob|go|gov|ne|net|nom|or|org)\.[a-z]{2}")
"""Domains below which strangers have theirs."""
_SHARED = frozenset({"amazonaws.com", "azurecr.io", "jfrog.io", "pkg.dev"})
"""Domains below which strangers have registries."""
_NEXT_PAGE = re.compile(r'<([^<>]++)>\s*+;\s*+rel="?next"?')


@dataclass
class Registry:
    """One registry as one caller.

    Attributes:
        address: its base, ``https://ghcr.io``.
        reach: which hosts may be asked, for a token too.
    """

    address: str
    reach: Reach
    _authorization: str = field(default="", repr=False)

    @classmethod
    def at(cls, host: str, reach: Reach | None = None) -> Registry:
        """Return the registry at ``host`` (with its port).

        Args:
            reach: which hosts may be asked; without it the operator has named this one.

        Raises:
            SourceError: that is no host.
        """
        try:
            address = address_of(host)
            return cls(address, reach or Reach.of([address]))
        except ValueError as error:
            raise SourceError(f"{host!r} is no host of a registry", "check the address") from error

    def tags(self, repository: str) -> list[str]:
        """Return every tag of a repository.

        Raises:
            SourceError: it does not exist, may not be read, or the registry answers with something else.
        """
        url, tags = f"{self.address}/v2/{repository}/tags/list?n={PAGE}", list[str]()
        for _ in range(MOST_PAGES):
            answer = self._get(url)
            tags += _tags(answer)
            following = _NEXT_PAGE.search(answer.headers.get("Link") or "")
            if following is None:
                return tags
            url = urljoin(url, following[1])
            if urlsplit(url)[:2] != urlsplit(self.address)[:2]:
                raise SourceError(
                    f"{web.without_credentials(answer.url)} sends its reader to another host",
                    "name another source with --chart",
                )
        raise SourceError(f"{web.without_credentials(url)} has no last page", "name another source with --chart")

    def has(self, repository: str, reference: str) -> bool:
        """Tell whether a repository has what a tag or digest names.

        Raises:
            NotAsked: the registry is an internal host that nobody has named.
            SourceError: it may not be read, or the registry answers with something else; or there are no such names.
        """
        if not _REPOSITORY.fullmatch(repository) or not _REFERENCE.fullmatch(reference):
            raise SourceError(f"{repository}, {reference}: no registry has such names", "check the image's name")
        answer = self._authorized(f"{self.address}/v2/{repository}/manifests/{reference}", _MANIFESTS)
        if answer.status not in (200, 404):
            raise _refusal(answer)
        return answer.status == 200

    def _get(self, url: str) -> web.HttpResponse:
        answer = self._authorized(url)
        if answer.status != 200:
            raise _refusal(answer)
        return answer

    def _authorized(self, url: str, accepted: str = "") -> web.HttpResponse:
        answer = self._ask(url, accepted)
        if answer.status == 401:
            self._authorization = self._authorize(answer.headers.get("WWW-Authenticate") or "")
            answer = self._ask(url, accepted)
        return answer

    def _ask(self, url: str, accepted: str) -> web.HttpResponse:
        wanted = {"Accept": accepted} if accepted else {}
        return web.get(url, _with(self._authorization) | wanted, largest=LARGEST, reach=self.reach)

    def _authorize(self, challenge: str) -> str:
        """Return what to send with a request: a token that the registry's own server gives, or name and password.

        These go to the registry, and to a server for tokens that belongs to it; another one is asked as anybody asks.
        """
        basic = _credentials(urlsplit(self.address).netloc)
        kind, _, rest = challenge.partition(" ")
        if kind.lower() != "bearer":
            return basic
        asked = dict(_PARAMETER.findall(rest))
        realm = urljoin(self.address, asked.pop("realm", ""))
        if urlsplit(realm).scheme != urlsplit(self.address).scheme:
            raise SourceError(
                f"{self.address} sends its caller to {web.without_credentials(realm)} for a token",
                "name another source with --chart",
            )
        wanted = {name: asked[name] for name in ("service", "scope") if name in asked}
        login = _with(basic) if belongs(urlsplit(realm).hostname or "", urlsplit(self.address).hostname or "") else {}
        answer = web.get(f"{realm}?{urlencode(wanted)}", login, largest=LARGEST, reach=self.reach)
        if answer.status != 200:
            raise _refusal(answer)
        said = _object(answer)
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            raise SourceError(f"{web.without_credentials(realm)} gives no token", "name another source with --chart")
        redact.learn(token)
        return f"Bearer {token}"


def address_of(host: str) -> str:
    """Return the base of the registry at a host; one on this machine is spoken to without TLS.

    Raises:
        ValueError: that is no host.
    """
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return f"{'http' if web.is_loopback(urlsplit(f'//{host}').hostname) else 'https'}://{host}"


def belongs(realm: str, registry: str) -> bool:
    """Tell whether a server for tokens is a registry's own: the same host, or one of the same domain.

    As auth.docker.io is of registry-1.docker.io, and gitlab.example.org of registry.example.org's.
    """
    if realm == registry:
        return True
    domain = registry.partition(".")[2]
    if "." not in domain or _IP.fullmatch(registry) or _NO_PLACE.fullmatch(domain) or domain in _SHARED:
        return False
    return realm == domain or realm.endswith(f".{domain}")


def _with(authorization: str) -> dict[str, str]:
    return {"Authorization": authorization} if authorization else {}


def _tags(answer: web.HttpResponse) -> list[str]:
    tags: object = _object(answer).get("tags") or []
    if not isinstance(tags, list):
        raise SourceError(f"{web.without_credentials(answer.url)} lists no tags", "check the address in --chart")
    return [tag for tag in cast(list[object], tags) if isinstance(tag, str)]


def _object(answer: web.HttpResponse) -> Object:
    document = answer.json()
    if not isinstance(document, dict):
        raise SourceError(
            f"{web.without_credentials(answer.url)} answers as no registry does", "check the address in --chart"
        )
    return cast(Object, document)


def _refusal(answer: web.HttpResponse) -> SourceError:
    if answer.status in (401, 403):
        return SourceError(
            f"{web.without_credentials(answer.url)} may not be read (status {answer.status})",
            "check the address in --chart; for a private registry: helm registry login (no credential helper)",
        )
    if answer.status == 404:
        return SourceError(f"{web.without_credentials(answer.url)} does not exist", "check the address in --chart")
    return SourceError(f"{web.without_credentials(answer.url)} answers with status {answer.status}", "run again later")


def _credentials(host: str) -> str:
    """Return the Authorization header for a registry that ``helm registry login`` or docker knows; empty if none does.

    Credential helpers are programs of the operator's: they are not asked.
    """
    for path in _config_files():
        try:
            config = cast(Object, bounded.load_json(path.read_text(), str(path)))
        except (OSError, ValueError):
            continue
        user, password = at(config, "auths", host, "username"), at(config, "auths", host, "password")
        named = b64encode(f"{user}:{password}".encode()).decode() if user and password else ""
        if auth := str(at(config, "auths", host, "auth") or named):
            redact.learn(auth)
            redact.learn(str(password or ""))
            return f"Basic {auth}"
    return ""


def _config_files() -> tuple[Path, ...]:
    """Where helm and docker keep logins, helm's own first."""
    environment = os.environ
    config = Path(
        environment.get("HELM_CONFIG_HOME") or Path(environment.get("XDG_CONFIG_HOME") or "~/.config", "helm")
    )
    helm = environment.get("HELM_REGISTRY_CONFIG") or config / "registry" / "config.json"
    docker = Path(environment.get("DOCKER_CONFIG") or "~/.docker") / "config.json"
    return Path(helm).expanduser(), docker.expanduser()
