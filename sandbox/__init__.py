"""A real one-node Kubernetes, built from upstream's source and started by the project. It knows nothing of OpenAB."""

from __future__ import annotations

from sandbox.box import Sandbox, Status
from sandbox.errors import SandboxError

__all__ = ["Sandbox", "SandboxError", "Status"]
