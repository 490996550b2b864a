"""The project as an operator installs it: a wheel, built offline, in an environment without the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel.

    Attributes:
        wheel: what it was installed from.
        packages: the environment's own site-packages.
    """

    wheel: Path
    packages: Path
    environment: Path

    @property
    def command(self) -> Path:
        """The command ``openab-sop``."""
        return self.environment / "bin" / "openab-sop"

    def files(self) -> dict[str, tuple[int, int]]:
        """By name: size and time of the last change, in ns, of everything in site-packages."""
        found = ((path, path.lstat()) for path in self.packages.rglob("*"))
        return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


def install(directory: Path) -> Installed:
    """Build a wheel and install it below ``directory``; its dependencies are those of this Python's environment.

    A line in a .pth file makes these importable without what stands in .pth files beside them: the checkout itself.
    """
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={directory}", ROOT]
    subprocess.run([*PIP, *build], check=True)
    (wheel,) = directory.glob("*.whl")
    environment = directory / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    pip = [*PIP, f"--python={environment / 'bin' / 'python'}"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, packages, environment)
