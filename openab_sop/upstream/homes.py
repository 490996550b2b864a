"""What is where in an agent's home, beside its logins.

Sources: the SOP (2.2-2.5), and the page of each agent below https://github.com/openabdev/openab/tree/main/docs.
"""

from __future__ import annotations

AGENTS = "agents", ".kiro/agents"
STEERING = "steering", ".kiro/steering"
SKILLS = "skills", ".kiro/skills"
HOSTS = "hosts.yml", ".config/gh/hosts.yml"
AUTH = "kiro-auth.sqlite3", ".local/share/kiro-cli/data.sqlite3"
"""The parts that the SOP keeps on their own: what it calls each, and its path."""

STATE = (
    *(".openab/thread_map.json", ".openab/reminders.json", ".openab/cache/threads.json"),
    *(".openab/agy-acp/sessions.json", ".openab/agent", ".kiro", ".local/share/kiro-cli", ".claude", ".claude.json"),
    *(".codex", ".gemini", ".copilot", ".config/gh", ".cursor", ".local/share/opencode", ".config/opencode"),
    *("opencode.json", ".grok", ".hermes", ".kimi-code", ".local/share/mimocode", ".config/mimocode", ".pi"),
    *(".local/share/devin", ".config/devin"),
)
"""What OpenAB and the coding agents of its flavours keep in the home, logins too: files, and whole directories."""

UNDOTTED = ("opencode.json",)
"""Configuration of agents that is not behind a dot."""
JOBS = ("/.openab/*cron*.toml", "/cronjob.toml")
"""OpenAB's own jobs; these and the next are patterns as fnmatch has them, of the path with a slash before it."""
SETTINGS = (
    "/.claude.json",
    "/.claude/*.json",
    "/.claude/settings*",
    "/.codex/config.toml",
    "/.gemini/settings.json",
    "/.copilot/*.json",
    "/.cursor/*.json",
    "/.kiro/settings/*.json",
    "/.kiro/agents/*.json",
    "*/.mcp.json",
    "/.grok/config.toml",
    "/.hermes/*.yaml",
    "/.kimi-code/*.toml",
    "/.config/mimocode/*.json",
    "/.pi/agent/*.json",
    "/.config/devin/*.json",
    "/.openab/agent/*.json",
    "*/opencode.json*",
    "/.config/opencode/*.json*",
    "/.openab/*.toml",
    "/config.toml",
    "*/mcp.json",
)
"""Settings of agents: they may hold secrets between what is none."""
