"""The chat platform as a bot sees it: it connects with its token, polls for messages, posts answers."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field

MAX_POLL = 30
"""Seconds that a poll is held at most."""


class UnknownSession(Exception):
    """The bot's session is not (or no longer) known: it has to connect again."""


@dataclass
class Session:
    """One connection of a bot. Of its token only the SHA-256 is kept."""

    session: str
    token_sha256: str
    version: str
    connected_at: float
    last_seen: float
    delivered: int = 0


@dataclass
class Message:
    """What somebody wrote, and the first answer to it. `to` is a bot's token digest; empty: to every bot."""

    id: str
    channel: str
    text: str
    sent_at: float
    to: str = ""
    reply: str | None = None
    replied_by: str | None = None


@dataclass
class ChatRoom:
    """All sessions and messages."""

    sessions: dict[str, Session] = field(default_factory=dict[str, Session])
    messages: list[Message] = field(default_factory=list[Message])
    rejected_tokens: set[str] = field(default_factory=set[str])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def connect(self, token: str, version: str) -> Session | None:
        """A new session for the bot with `token`, or None if that token is to be rejected."""
        digest = token_digest(token)
        if not token or digest in self.rejected_tokens:
            return None
        now = time.time()
        with self._changed:
            session = Session(f"s{next(self._numbers)}", digest, version, now, now, delivered=len(self.messages))
            self.sessions[session.session] = session
            self._changed.notify_all()
            return session

    def poll(self, session_id: str, wait: float) -> list[Message]:
        """Messages new to this session; waits up to `wait` seconds for one. Raises UnknownSession."""
        with self._changed:
            session = self._session(session_id)
            self._changed.wait_for(
                lambda: session_id not in self.sessions or len(self.messages) > session.delivered, min(wait, MAX_POLL)
            )
            session = self._session(session_id)
            fresh = self.messages[session.delivered :]
            session.delivered = len(self.messages)
            return [message for message in fresh if message.to in ("", session.token_sha256)]

    def answer(self, session_id: str, message_id: str, text: str) -> None:
        """Record a bot's answer. Raises UnknownSession."""
        with self._changed:
            session = self._session(session_id)
            for message in self.messages:
                if message.id == message_id and message.reply is None:
                    message.reply, message.replied_by = text, session.session
            self._changed.notify_all()

    def ask(self, text: str, channel: str, to: str, timeout: float) -> Message:
        """Write `text` as a user would; `reply` is None if nobody answers within `timeout` seconds."""
        with self._changed:
            message = Message(f"m{next(self._numbers)}", channel, text, time.time(), to)
            self.messages.append(message)
            self._changed.notify_all()
            self._changed.wait_for(lambda: message.reply is not None, timeout)
            return message

    def forget_messages(self) -> None:
        """Drop all messages; nobody is asked to answer them any more."""
        with self._changed:
            self.messages.clear()
            for session in self.sessions.values():
                session.delivered = 0

    def reject(self, digest: str) -> None:
        """From now on refuse the token with this SHA-256, and end its sessions."""
        with self._changed:
            self.rejected_tokens.add(digest)
            self.sessions = {name: s for name, s in self.sessions.items() if s.token_sha256 != digest}
            self._changed.notify_all()

    def disconnect_all(self) -> None:
        """Forget every session, so that the bots have to connect again."""
        with self._changed:
            self.sessions.clear()
            self._changed.notify_all()

    def _session(self, session_id: str) -> Session:
        session = self.sessions.get(session_id)
        if session is None:
            raise UnknownSession(session_id)
        session.last_seen = time.time()
        return session


def token_digest(token: str) -> str:
    """How a token is told from another without keeping it."""
    return hashlib.sha256(token.encode()).hexdigest()
