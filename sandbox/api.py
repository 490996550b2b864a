"""The few requests that the sandbox makes to its own apiserver."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from typing import Any

from sandbox.errors import SandboxError
from sandbox.pki import Pki
from sandbox.site import Site

REQUEST_TIMEOUT = 10
"""Seconds."""


@dataclass(frozen=True)
class Api:
    """The apiserver of `site`, spoken to as the administrator."""

    site: Site
    pki: Pki

    def is_ready(self) -> bool:
        """Whether the apiserver says that it is."""
        try:
            return self._request("GET", "/readyz")[0] == 200
        except (OSError, HTTPException):
            return False

    def get(self, path: str) -> dict[str, Any]:
        """The object or list at `path`, empty if there is none (yet)."""
        try:
            status, body = self._request("GET", path)
        except (OSError, HTTPException):
            return {}
        return json.loads(body) if status == 200 else {}

    def apply(self, path: str, manifest: str) -> None:
        """Create or update the object at `path` by server-side apply of `manifest` (YAML or JSON).

        Raises SandboxError with the apiserver's answer if it refuses.
        """
        next_step = "read log/kube-apiserver.log in the sandbox's state directory"
        try:
            status, body = self._request("PATCH", f"{path}?fieldManager=sandbox&force=true", manifest)
        except (OSError, HTTPException) as error:
            raise SandboxError(f"the apiserver does not answer: {error}", next_step) from error
        if status not in (200, 201):
            raise SandboxError(f"the apiserver refused {path}: {status} {body}", next_step)

    def _request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=self.pki.authority)
        context.load_cert_chain(self.pki.certificate("admin"), self.pki.key("admin"))
        connection = HTTPSConnection("127.0.0.1", self.site.port("apiserver"), timeout=REQUEST_TIMEOUT, context=context)
        try:
            connection.request(method, path, body and body.encode(), {"Content-Type": "application/apply-patch+yaml"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
