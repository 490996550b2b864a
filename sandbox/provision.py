"""What must be on disk before the first part of the node starts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox import config, pki
from sandbox.command import run
from sandbox.config import NODE, Layout
from sandbox.errors import SandboxError
from sandbox.files import write_private
from sandbox.parts import Programs
from sandbox.pki import Pki
from sandbox.site import Site


def write_files(layout: Layout, site: Site, programs: Programs) -> Pki:
    """Write all that the parts read at their start, readable by their owner only, and return the key material."""
    keys = pki.ensure(layout.pki, pki.node_certificates(NODE, site.address))
    files = {
        "containerd.toml": config.containerd(layout, programs, _snapshotter(layout.containerd)),
        "cni/10-sandbox.conflist": config.cni(layout, site),
        "kubelet.json": config.kubelet(layout, site, keys),
        "audit.json": config.audit_policy(),
    }
    for user in ("controller-manager", "scheduler", "kubelet"):
        files[f"{user}.kubeconfig"] = config.kubeconfig(site, keys, user)
    for name, text in files.items():
        write_private(layout.config / name, text)
    write_private(layout.kubeconfig, config.kubeconfig(site, keys, "admin"))
    for directory in (layout.csi_socket.parent, layout.kubelet / "plugins_registry"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return keys


def _snapshotter(directory: Path) -> str:
    """How images become root file systems: by overlay mounts, or by copies where the file system forbids these."""
    with TemporaryDirectory(dir=_made(directory)) as scratch:
        lower, upper, work, merged = (_made(Path(scratch) / name) for name in ("lower", "upper", "work", "merged"))
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        try:
            # in a mount namespace of its own, which takes the mount with it
            run(["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", merged])
        except SandboxError:
            return "native"
    return "overlayfs"


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory
