"""What OpenAB logs when it connects to a chat, loses it, and panics; its lines are coloured even without a terminal.

Sources: discord.rs, slack.rs, gateway.rs of openabdev/openab (``src``; since chart 0.9 ``crates/openab-core/src``),
feishu.rs in ``crates/openab-gateway/src/adapters``.
"""

from __future__ import annotations

CONNECTED = r"\bbot connected\b|\bSocket Mode connected\b|\bconnected to gateway\b|\bfeishu websocket connected\b"
"""A chat is connected. An agent with embedded webhooks alone logs ``unified webhook server listening``: it waits to be
called. Who has no other chat names that line by ``--connected-pattern``."""
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
