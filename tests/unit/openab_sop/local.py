"""A pod that is a directory of this machine: our scripts run in it by the machine's own sh, find, tar and sha256sum.

What travels over ``kubectl exec`` is the integration tests' to prove; this is for what the pod's side may say and send.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from openab_sop.backups.archive import Archive
from openab_sop.backups.home import Base, HomeCopy
from openab_sop.backups.inventory import Comparison
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.pod import Pod
from openab_sop.cluster.retry import RetryPolicy

_EXEC = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift\nexec "$@"\n'


@dataclass(frozen=True)
class _Transport:
    """What a pod needs of a cluster: how to run a command in it."""

    exec: Path
    namespace = "namespace"
    env: dict[str, str]
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def kubectl(self, *arguments: str) -> list[str]:
        return [str(self.exec), *arguments]


@dataclass(frozen=True)
class Local:
    """A home, and a directory of tools that are found before the machine's own."""

    home: Path
    tools: Path
    pod: Pod

    def tool(self, name: str, script: str) -> None:
        """Put a tool of one's own in place of the machine's."""
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    def copy(self, table: Comparison, target: Path, base: Base | None = None, expected: int = 1 << 20) -> HomeCopy:
        """Copy the home into a new archive."""
        copy = HomeCopy(self.pod, str(self.home), (), Archive(target), table)
        copy.run(expected, lambda done, total: None, base)
        return copy


def local(directory: Path) -> Local:
    """Make one below ``directory``, empty."""
    home, tools = directory / "home", directory / "tools"
    home.mkdir()
    tools.mkdir()
    transport = _Transport(directory / "exec", {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})
    transport.exec.write_text(_EXEC)
    transport.exec.chmod(0o755)
    pod = Pod(cast(Cluster, transport), "pod", "uid", "node", "image", "id", "openab", 0, datetime.now(UTC))
    return Local(home, tools, pod)
