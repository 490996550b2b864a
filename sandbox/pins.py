"""Changing the pinned versions, which live in the go.mod files and nowhere else.

Two things are more than an edit. Kubernetes' modules take each other from folders of its repository, so every module
of ours that uses them replaces these by published ones. And where our modules agree on the versions of what they
share, it is compiled once: that halves the time of a first build.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox import gomod, toolchain
from sandbox.command import run
from sandbox.errors import SandboxError
from sandbox.gomod import Version
from sandbox.parts import PINS, SOURCES, Pin
from sandbox.toolchain import Progress

MODULES = ("cluster", "runtime", "storage", "helm3")
USERS_OF_KUBERNETES = ("cluster", "storage", "helm3")
FREE = ("k8s.io/", "go.etcd.io/", "github.com/container-storage-interface/", "github.com/opencontainers/")
"""Not to be unified: their users need different ones, or they are pinned by other means."""


def change(changes: Sequence[str], progress: Progress) -> None:
    """Apply changes of the form NAME=VERSION and bring the go.mod and go.sum files in order.

    Raises SandboxError for an unknown name, a version that is not served, or modules that do not fit each other.
    """
    wanted = [_parse(change) for change in changes]
    go = toolchain.go("1.26.0", progress)
    with _all_or_nothing():
        for pin, version in wanted:
            progress(f"pinning {pin.name} to {version}")
            _edit(go, pin.source, [f"-require={pin.module}@{version}"])
            if pin.name == "kubernetes":
                _replace_staging(go, version)
        _tidy(go, progress)
        _unify(go)
        _tidy(go, progress)


@contextmanager
def _all_or_nothing() -> Generator[None]:
    files = [SOURCES / source / name for source in MODULES for name in ("go.mod", "go.sum")]
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    except SandboxError:
        for file, content in before.items():
            file.write_bytes(content)
        raise


def _parse(change: str) -> tuple[Pin, str]:
    name, separator, version = change.partition("=")
    pin = next((pin for pin in PINS if pin.name == name), None)
    if pin is None or not separator:
        raise SandboxError(f"cannot pin {change!r}", f"say NAME=VERSION; names: {', '.join(pin.name for pin in PINS)}")
    return pin, version if version.startswith("v") else f"v{version}"


def _replace_staging(go: Path, version: str) -> None:
    """Kubernetes 1.x publishes its staging modules as 0.x."""
    published = version.replace("v1.", "v0.", 1)
    answer = _go(go, "cluster", "mod", "download", "-json", f"k8s.io/kubernetes@{version}")
    modules = gomod.staging_modules(Path(json.loads(answer)["GoMod"]).read_text())
    for source in USERS_OF_KUBERNETES:
        old = [name for name in gomod.replaced_modules(SOURCES / source / "go.mod") if name.startswith("k8s.io/")]
        drops = [f"-dropreplace={name}" for name in old if name not in modules]
        _edit(go, source, drops + [f"-replace={name}={name}@{published}" for name in modules])


def _unify(go: Path) -> None:
    """Raise what several of our modules use to the newest version that one of them uses."""
    required = {source: gomod.requirements(SOURCES / source / "go.mod") for source in MODULES}
    newest = dict[str, str]()
    for modules in required.values():
        for module, version in modules.items():
            newest[module] = max(version, newest.get(module, version), key=Version)
    for source, modules in required.items():
        raised = [f"-require={name}@{newest[name]}" for name in modules if not name.startswith(FREE)]
        _edit(go, source, raised)


def _tidy(go: Path, progress: Progress) -> None:
    for source in MODULES:
        progress(f"go mod tidy: {source}")
        _go(go, source, "mod", "tidy")


def _edit(go: Path, source: str, edits: Sequence[str]) -> None:
    if edits:
        _go(go, source, "mod", "edit", *edits)


def _go(go: Path, source: str, *arguments: str) -> str:
    next_step = "check that the version exists and that the network can be reached; nothing was changed"
    return run([go, *arguments], cwd=SOURCES / source, timeout=600, next_step=next_step)
