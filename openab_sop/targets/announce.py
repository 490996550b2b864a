"""Tell people that an upgrade begins, ends, or went wrong (SOP 1.8): by apprise, never at the run's cost."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openab_sop import redact
from openab_sop.errors import SettingsError
from openab_sop.targets.deadline import begin

if TYPE_CHECKING:
    from apprise import NotifyBase

DEADLINE = 10.0
"""Seconds after which nobody waits for a service any more."""
TOKEN = 16
"""Characters from which a part of an address is taken for a secret of its own."""

_WEBHOOK = re.compile(r"(https?://[^/@]+/api/webhooks)/(\d+)/([\w-]+)/?")
"""A Discord webhook; Discord under its other names has this path too, and servers that play it."""
_PASSWORD = re.compile(r"://[^/:@]*:([^/@]+)@")
_HOST = re.compile(r"https?://([^/:@?]+)")
"""Of a web address; in others the token may stand there."""


@dataclass(frozen=True)
class Announcer:
    """Sends messages to the services that ``--announce`` names; without one they are to be sent by hand."""

    services: tuple[NotifyBase, ...] = ()

    @classmethod
    def to(cls, urls: Sequence[str]) -> Announcer:
        """Read addresses of apprise, or of Discord webhooks; from now on they are masked.

        Raises:
            SettingsError: one is neither; it is not quoted.
        """
        learn(urls)
        return cls(tuple(_service(number, url) for number, url in enumerate(urls, start=1)))

    def send(self, title: str, body: str) -> str:
        """Send a message to all services at once; returns what became of it, as a line for the report.

        It raises nothing, and returns after ``DEADLINE`` seconds: a service that has not taken it by then is named.
        """
        title, body = redact.mask(title), redact.mask(body)
        ends = time.monotonic() + DEADLINE
        sending = [(str(service.service_name), _begin(service, title, body)) for service in self.services]
        outcomes = [(name, _outcome(sent, ends - time.monotonic())) for name, sent in sending]
        line = "; ".join(f"{name}: {outcome or 'sent'}" for name, outcome in outcomes)
        if outcomes and not any(outcome for _, outcome in outcomes):
            return f"{title} ({line})"
        return f"{line or 'no --announce'}; send this by hand: {title}: {body}"


def split(text: str) -> tuple[str, ...]:
    """Return the addresses in a text that has commas or blanks between them; a comma may also stand in one."""
    return tuple(filter(None, re.split(r"(?<![\s,])[\s,]++(?=[A-Za-z][\w+.-]*://)", text.strip(" ,\n"))))


def learn(urls: Sequence[str]) -> None:
    """Mask addresses from now on, with their passwords, and their parts that are long enough for a token."""
    for url in urls:
        passwords, hosts = _PASSWORD.findall(url), _HOST.findall(url)
        pieces = (piece for piece in re.split(r"[/:@?&=,]+", url) if len(piece) >= TOKEN and piece not in hosts)
        for secret in (url, url.partition("://")[2], *passwords, *pieces):
            redact.learn(secret)


def _service(number: int, url: str) -> NotifyBase:
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # what became of a message is told by send
    webhook = _WEBHOOK.fullmatch(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from apprise import Apprise  # only here: it takes most of a second

        address = f"discord://{webhook[2]}/{webhook[3]}" if webhook else url
        service = Apprise.instantiate(address)  # pyright: ignore[reportUnknownMemberType]
    if service is None:
        raise SettingsError(
            f"apprise does not know address {number} of --announce",
            "write it as https://discord.com/api/webhooks/ID/TOKEN, or as apprise has it (slack://, mailto://, ...)",
        )
    if webhook:
        setattr(service, "notify_url", webhook[1])  # noqa: B010
    return service


def _begin(service: NotifyBase, title: str, body: str) -> Future[bool]:
    return begin(lambda: bool(service.notify(title=title, body=body)))


def _outcome(sent: Future[bool], seconds: float) -> str:
    """Return why a message was not sent; empty if it was."""
    try:
        return "" if sent.result(max(0, seconds)) else "it did not take the message"
    except TimeoutError:
        return f"no answer within {DEADLINE:g} s"
    except Exception as error:  # noqa: BLE001  (a service of apprise may raise anything; no run fails for that)
        return type(error).__name__
