"""Looks inside a running container, through testinfra's host as the suites inject it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

TOOLS = ("tar", "find", "xargs", "head", "sha256sum", "du")
"""What copying a home needs in the container."""


_MISSING = f'for tool in {" ".join(TOOLS)}; do command -v "$tool" >/dev/null || echo "$tool"; done'


class Ran(Protocol):
    """What testinfra says of a command that ran."""

    @property
    def stdout(self) -> str:
        """What it wrote."""
        ...


class Host(Protocol):
    """The part of testinfra's host that is used here."""

    def run(self, command: str) -> Ran:
        """Run a shell's command in the container."""
        ...


def missing_tools(hosts: Mapping[str, Host]) -> str:
    """Return what is missing in which agent's container, in words; empty if nothing is (SOP 2.0)."""
    return "; ".join(
        f"the container of {agent} has no {', '.join(missing)}"
        for agent, host in hosts.items()
        if (missing := host.run(_MISSING).stdout.split())
    )
