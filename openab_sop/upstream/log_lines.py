"""What OpenAB logs when it connects to a chat, loses it, and panics; its lines are coloured even without a terminal.

Sources: discord.rs, slack.rs, gateway.rs of openabdev/openab (``src``; since chart 0.9 ``crates/openab-core/src``),
cron.rs beside them; feishu.rs in ``crates/openab-gateway/src/adapters``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chat:
    """A way in which an agent is reached.

    Attributes:
        connected: what it logs once it is, as a regular expression.
        sections: of config.toml, of which one asks for it; empty where they are not known.
    """

    name: str
    connected: str
    sections: tuple[str, ...] = ()


WEBHOOKS = Chat("webhooks", r"\bunified webhook server listening\b")
"""Chats that call the agent, such as Telegram, LINE and Teams: it connects nowhere, it listens."""
CHATS = (
    Chat("Discord", r"\bbot connected\b", ("discord",)),
    Chat("Slack", r"\bSocket Mode connected\b", ("slack",)),
    Chat("gateway", r"\bconnected to gateway\b", ("gateway",)),
    Chat("Feishu", r"\bfeishu websocket connected\b"),
    WEBHOOKS,
)
CONNECTED = "|".join(chat.connected for chat in CHATS if chat is not WEBHOOKS)
"""A chat is connected, whichever."""
DISCONNECTED = (
    r"\bconnection (?:lost|closed by)\b|\bSocket Mode read error\b|\bfailed to connect to Slack\b"
    r"|\bfailed to get Socket Mode URL\b|\bgateway (?:WebSocket (?:closed|error)|connection failed)\b"
    r"|\b(?:slack|gateway) adapter error\b|\bfeishu websocket disconnected\b"
)
"""A chat was lost, or could not be had again."""
PANIC = r"(?i)\bpanic(?:ked|king)?\b|\bfatal\b(?!: not a git repository)"
"""A panic or a fatal error; git's everyday one is none."""
SOURCE = r"(?<![\w:])openab(?:_\w++)?+(?:::\w++)*+(?=:\s)"
"""The module that logs a line, such as ``openab::slack`` or ``openab_core::slack``."""
JOBS = r"\b(?:loaded usercron jobs|usercron file changed, reloading)\b[^\n]{0,200}?\bcount=(?P<count>\d{1,6})\b"
"""How many jobs of the home's own are loaded: at the start, and when their file has changed."""
NO_JOBS = r"\bno cronjobs yet\b"
"""None are, although they are enabled."""
