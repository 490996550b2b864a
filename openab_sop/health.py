"""Looks inside a running container, through testinfra's host as the suites inject it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

TOOLS = ("tar", "find", "xargs", "head", "sha256sum", "du")
"""What copying a home needs in the container."""


class Host(Protocol):
    """The part of testinfra's host that is used here."""

    def exists(self, command: str) -> bool:
        """Tell whether a command is on PATH in the container."""
        ...


def missing_tools(hosts: Mapping[str, Host]) -> str:
    """Return what is missing in which agent's container, in words; empty if nothing is (SOP 2.0)."""
    return "; ".join(
        f"the container of {agent} has no {', '.join(missing)}"
        for agent, host in hosts.items()
        if (missing := [tool for tool in TOOLS if not host.exists(tool)])
    )
