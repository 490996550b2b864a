"""The directory of commands for people and suites, as this sandbox needs them.

helm, helm3 and kubectl are upstream's; ctr is containerd's client for the right containerd; `in-node COMMAND...` runs
any command of the host where the node's mounts and processes are seen.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from sandbox import site
from sandbox.config import Layout
from sandbox.files import write_private
from sandbox.node import Node
from sandbox.parts import Programs


def write(layout: Layout, programs: Programs, running: Node) -> None:
    """Fill the directory for the node that is up."""
    layout.bin.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("helm", "kubectl"):
        _link(layout.bin / name, programs.cluster / name)
    _script(layout.bin / "ctr", _run(running.ctr()))
    _script(layout.bin / "in-node", _run(running.enclosure.enter([])))
    if programs.helm3:
        _link(layout.bin / "helm3", programs.helm3 / "helm")
    else:
        _script(layout.bin / "helm3", _build_helm3_first(layout.state, layout.bin / "helm3"))


def _run(argv: list[str]) -> str:
    return f'exec {shlex.join(argv)} "$@"'


def _build_helm3_first(state: Path, path: Path) -> str:
    """Helm 3 is built when somebody first calls it: this script is then replaced by a link to the real one."""
    settings = {"OPENAB_SANDBOX_STATE": state, "PYTHONPATH": site.CHECKOUT}
    env = shlex.join(["env", *(f"{name}={value}" for name, value in settings.items())])
    build = shlex.join([sys.executable, "-m", "sandbox", "up", "--with", "helm3"])
    real = shlex.quote(str(path))
    return f'{env} {build} >&2 && test -L {real} && exec {real} "$@"'


def _link(path: Path, target: Path) -> None:
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.rename(path)


def _script(path: Path, line: str) -> None:
    write_private(path, f"#!/bin/sh\n{line}\n", 0o700)
