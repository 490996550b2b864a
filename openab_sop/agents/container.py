"""Looks inside a running container, through testinfra's host as the suites inject it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from openab_sop.agents.agent import Agent
from openab_sop.errors import CutOff
from openab_sop.upstream.charts import CONTAINERS

TOOLS = ("tar", "find", "xargs", "head", "sha256sum", "du")
"""What copying a home needs in the container."""
PROCESSES = CONTAINERS
"""Names of the agent's process, as its container's: the present one, and the chart's former name."""

_TOLD = "told"
_MISSING = f'for tool in {" ".join(TOOLS)}; do command -v "$tool" >/dev/null || echo "$tool"; done; echo {_TOLD}'
_STAT = "cat /proc/[0-9]*/stat 2>/dev/null"
"""Of every process its id, name in parentheses and state; needs no procps. One that ends meanwhile is no error."""
_PROCESS = re.compile(r"^\d+ \((?P<name>.*)\) (?P<state>\S)", re.MULTILINE)
_DEAD = ("Z", "X", "x")


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


HostOf = Callable[[Agent], Host]
"""Returns the inside of an agent's container as it runs now."""


def missing_tools(hosts: Mapping[str, Host]) -> str:
    """Return what is missing in which agent's container, in words; empty if nothing is (SOP 2.0)."""
    return "; ".join(
        f"the container of {agent} has no {', '.join(missing)}"
        for agent, host in hosts.items()
        if (missing := lacking(host))
    )


def lacking(host: Host) -> list[str]:
    """Return which of ``TOOLS`` a container has not.

    Raises:
        CutOff: it did not come to tell.
    """
    *missing, end = host.run(_MISSING).stdout.split() or [""]
    if end != _TOLD:
        raise CutOff("the container's tools cannot be listed", "check that the pod runs and has sh; then run again")
    return missing


def process_alive(host: Host) -> bool:
    """Tell whether the agent's process lives in the container: by its exact name, and no zombie (SOP 3.2).

    Raises:
        CutOff: the container's processes cannot be listed: it ended, or the line to it broke.
    """
    listed = [*_PROCESS.finditer(host.run(_STAT).stdout)]
    if not listed:
        raise CutOff(
            "the processes of the container cannot be listed",
            "check that the pod still runs and has sh and cat: kubectl get pods; then run again",
        )
    return any(process["name"] in PROCESSES and process["state"] not in _DEAD for process in listed)
