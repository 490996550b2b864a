"""OpenAB's chart: its names, where it is published, and what its agents' container is called.

Sources: https://github.com/openabdev/openab/tree/main/charts/openab, and its releases.
"""

from __future__ import annotations

CHARTS = ("openab", "agent-broker")
"""Names of the chart: the present one and its former one."""
SISTERS = ("openab-telegram", "openab-feishu", "openab-line")
"""Charts for one chat each: releases like any other, with versions of their own."""
CONTAINERS = ("openab", "agent-broker")
"""Names of an agent's container: the present one, and that of the chart when it still had its former name."""
SOURCE = "oci://ghcr.io/openabdev/charts/openab"
"""Where the chart is pulled from."""
CLASSIC = "https://openabdev.github.io/openab"
"""OpenAB's classic repository. It may lag behind: it serves only whom asks for it."""
NOTES = "https://api.github.com/repos/openabdev/openab/releases"
"""Release notes, by GitHub's API."""


def names_of(chart: str) -> tuple[str, ...]:
    """Return the names of a release's chart, the one that it is published under first."""
    return CHARTS if chart in CHARTS else (chart,)


def source_of(chart: str) -> str:
    """Return where a release's chart is pulled from unless somebody names another place."""
    return f"{SOURCE.rpartition('/')[0]}/{names_of(chart)[0]}"
