"""Runs the agent's own tests, which are written in Go."""

from __future__ import annotations

import os
import subprocess

from sandbox import toolchain
from world.versions import WORLD

GO_FLAGS = "-trimpath -mod=readonly -buildvcs=false"
"""As the product is built: what is compiled already is not compiled again."""


def test_the_agents_go_tests_pass() -> None:
    """Formatting and vet, then configuration, database, chat, SIGTERM, homes."""
    go = toolchain.go("1.26.0", print)
    badly = subprocess.run(
        [go.with_name("gofmt"), "-l", "."], cwd=WORLD / "agent", capture_output=True, text=True, timeout=60
    )
    assert (badly.returncode, badly.stdout) == (0, "")
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": GO_FLAGS}
    for arguments in (["vet", "./..."], ["test", "./..."]):
        done = subprocess.run(
            [go, *arguments], cwd=WORLD / "agent", env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
