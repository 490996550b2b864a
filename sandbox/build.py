"""Builds Go modules into the cache, once per set of inputs.

A part's key is a digest of its sources, its pins (go.mod and go.sum), its flags and the compiler's version. It is
built aside and renamed: a directory with a key's name is complete. An interrupted build starts again where Go's own
build cache ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import site, toolchain
from sandbox.command import run
from sandbox.errors import SandboxError
from sandbox.toolchain import Progress

BUILD_TIMEOUT = 3600
"""Seconds. A cold build takes minutes; this only ends one that hangs."""


@dataclass(frozen=True)
class GoBuild:
    """What to build from the Go module in `source`.

    `packages` are import paths or ./relative ones; each gives a binary. `links` are further names of the first one's.
    `strings` are Go string variables set at link time. `cgo` allows C code, with build `tags`.
    `data` are directories of modules, as (module, directory), to be kept beside the binaries.
    """

    source: Path
    packages: tuple[str, ...]
    links: tuple[str, ...] = ()
    strings: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    cgo: bool = False
    data: tuple[tuple[str, str], ...] = ()
    label: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What progress lines and errors call it."""
        return self.label or self.source.name

    @property
    def binary(self) -> str:
        """The name of the first package's binary, as the compiler gives it."""
        return (self.source / self.packages[0]).resolve().name

    def arguments(self) -> list[str]:
        """What `go build` gets, except for the place of the output.

        What debuggers read is left out by the linker; not compiling it takes a tenth less.
        """
        linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in self.strings)]
        no_debugger = "-gcflags=all=-dwarf=false"
        return [no_debugger, "-ldflags", " ".join(linker), "-tags", ",".join(self.tags), *self.packages]


def go_binaries(build: GoBuild, progress: Progress) -> Path:
    """The directory with the binaries of `build`, built now unless the cache has it.

    Raises SandboxError with the end of the compiler's output and the log's path.
    """
    go = toolchain.go(_go_wanted(build.source), progress)
    target = directory(build, go)
    if target.exists():
        return target
    with site.locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            progress(f"building {build.name}")
            _build(build, go, target)
    return target


def is_built(build: GoBuild) -> bool:
    """Whether the cache has it."""
    return directory(build, toolchain.go(_go_wanted(build.source), lambda _: None)).exists()


def directory(build: GoBuild, go: Path) -> Path:
    """Where the binaries of `build` are once they are built by `go`."""
    version = run([go, "env", "GOVERSION", "GOARCH"], env=os.environ | {"GOTOOLCHAIN": "local"})
    return site.cache_directory() / f"{build.source.name}-{key(build, version)}"


def key(build: GoBuild, compiler: str) -> str:
    """A digest of all that decides what `build` gives."""
    digest = hashlib.sha256(compiler.encode())
    digest.update(repr((build.arguments(), build.links, build.cgo, build.data)).encode())
    for file in _sources(build.source):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(build.source)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def download(build: GoBuild, progress: Progress) -> None:
    """Fetch the modules that `build` needs, so that the compile does not wait for the network."""
    go = toolchain.go(_go_wanted(build.source), progress)
    run(
        [go, "list", "-deps", "-tags", ",".join(build.tags), *build.packages],
        cwd=build.source,
        env=_environment(build),
        timeout=BUILD_TIMEOUT,
        next_step="check the network and GOPROXY, then start again: what was downloaded is kept",
    )


def _build(build: GoBuild, go: Path, target: Path) -> None:
    aside = target.with_name(f"{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        run(
            [go, "build", "-o", f"{aside}/", *build.arguments()],
            cwd=build.source,
            env=_environment(build),
            timeout=BUILD_TIMEOUT,
            log=target.with_name(f"{target.name}.log"),
            next_step="read the compiler's output; what was compiled is kept, so start again once it is repaired",
        )
    except SandboxError as error:
        raise SandboxError(f"building {build.name} failed: {error.problem}", error.next_step) from error
    for name in build.links:
        (aside / name).symlink_to(build.binary)
    for module, directory in build.data:
        origin = run([go, "list", "-m", "-f", "{{.Dir}}", module], cwd=build.source, env=_environment(build)).strip()
        shutil.copytree(Path(origin) / directory, aside / Path(directory).name)
    aside.rename(target)


def _environment(build: GoBuild) -> dict[str, str]:
    settings = {
        "CGO_ENABLED": "1" if build.cgo else "0",
        "GOFLAGS": "-trimpath -mod=readonly -buildvcs=false",
        "GOGC": "400",  # fewer collections: the compile is bound by CPU, not by memory
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return os.environ | settings


def _sources(source: Path) -> Sequence[Path]:
    def counts(file: Path) -> bool:
        return file.is_file() and file.suffix != ".md" and not file.name.endswith("_test.go")

    return sorted(filter(counts, source.rglob("*")))


def _go_wanted(source: Path) -> str:
    found = re.search(r"^go (\S+)$", (source / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise SandboxError(f"{source}/go.mod names no Go version", "add a `go` line to it")
    return found.group(1)
