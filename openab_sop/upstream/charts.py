"""OpenAB's chart: its names, where it is published, and what its agents' container is called.

Sources: https://github.com/openabdev/openab/tree/main/charts/openab, and its releases.
"""

from __future__ import annotations

CHARTS = ("openab", "agent-broker")
"""Names of the chart: the present one and its former one."""
CONTAINERS = ("openab", "agent-broker")
"""Names of an agent's container: the present one, and that of the chart when it still had its former name."""
SOURCE = "oci://ghcr.io/openabdev/charts/openab"
"""Where the chart is pulled from."""
CLASSIC = "https://openabdev.github.io/openab"
"""OpenAB's classic repository. It may lag behind: it serves only whom asks for it."""
NOTES = "https://api.github.com/repos/openabdev/openab/releases"
"""Release notes, by GitHub's API."""
