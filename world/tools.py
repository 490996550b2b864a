"""helm and kubectl as the world runs them: the sandbox's own, with a configuration of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import Sandbox
from sandbox.command import run
from sandbox.processes import GARBAGE

TIMEOUT = 600
"""Seconds. Filling a large home is the longest; everything else takes a few."""


@dataclass(frozen=True)
class Tools:
    """The programs of `box`; what they keep for themselves is below `directory`."""

    box: Sandbox
    directory: Path

    def helm(self, arguments: Sequence[object]) -> str:
        """Run helm; its output. Raises SandboxError."""
        return self._run("helm", arguments)

    def kubectl(self, arguments: Sequence[object]) -> str:
        """Run kubectl; its output. Raises SandboxError."""
        return self._run("kubectl", arguments)

    def _run(self, program: str, arguments: Sequence[object]) -> str:
        status = self.box.status()
        places = {f"HELM_{kind}_HOME": f"{self.directory}/helm/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.defpath, "HOME": str(self.directory), "KUBECONFIG": str(status.kubeconfig)}
        environment |= {"GOGC": GARBAGE}
        return run([status.bin / program, *map(str, arguments)], env=environment | places, timeout=TIMEOUT)
