"""The endpoint's control API, for tests and for `python -m world`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from world.endpoint.chat import token_digest

TIMEOUT = 60
"""Seconds; longer than any wait that can be asked for."""


@dataclass(frozen=True)
class Control:
    """Speaks to the endpoint at `url`."""

    url: str

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            self.log()
        except (URLError, OSError):
            return False
        return True

    def log(self) -> dict[str, Any]:
        """All that arrived: sessions, messages, webhooks, access."""
        return self._call("GET", "/control/log")

    def ask(self, text: str, *, token: str = "", channel: str = "general", timeout: float = 10) -> str | None:
        """Write to the bot with `token`, or to all; the first answer, or None after `timeout` seconds."""
        to = token_digest(token) if token else ""
        body = {"text": text, "channel": channel, "to": to, "timeout": timeout}
        return self._call("POST", "/control/ask", body)["reply"]

    def fail(self, path: str, *, status: int = 500, delay: float = 0, times: int = -1) -> None:
        """Make requests below `path` fail; see `world.endpoint.failures.Failure`."""
        self._call("POST", "/control/fail", {"path": path, "status": status, "delay": delay, "times": times})

    def reject_token(self, token: str) -> None:
        """Refuse this bot from now on, and end its connection."""
        self._call("POST", "/control/reject-token", {"sha256": token_digest(token)})

    def reset(self) -> None:
        """Forget what arrived and what was ordered."""
        self._call("POST", "/control/reset", {})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code != 504:  # the endpoint's "nobody answered", not a failure of the call
                raise
            return json.load(error)
