"""The CSI driver's own tests, which are in Go."""

from __future__ import annotations

import os
import subprocess

from sandbox.parts import SOURCES


def test_the_csi_driver_passes_its_tests() -> None:
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath", "GOTOOLCHAIN": "local"}
    command = ["go", "test", "./csi"]
    done = subprocess.run(command, cwd=SOURCES / "storage", env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
