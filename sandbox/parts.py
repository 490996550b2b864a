"""Which programs the sandbox is made of, and from which Go modules they are built."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox import build, gomod
from sandbox.build import GoBuild
from sandbox.toolchain import Progress

SOURCES = Path(__file__).resolve().parent / "src"
NODE_LINKS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
CONTAINERD = "github.com/containerd/containerd/v2/cmd"
CNI = "github.com/containernetworking/plugins/plugins"
CSI = "github.com/kubernetes-csi"
OPTIONAL = ("snapshots", "helm3")


@dataclass(frozen=True)
class Pin:
    """An upstream part: its name for people, the Go module it comes from, and our module that pins it."""

    name: str
    module: str
    source: str

    def version(self) -> str:
        """The pinned version, such as v1.36.3."""
        return gomod.requirements(SOURCES / self.source / "go.mod")[self.module]


PINS = (
    Pin("kubernetes", "k8s.io/kubernetes", "cluster"),
    Pin("etcd", "go.etcd.io/etcd/server/v3", "cluster"),
    Pin("helm", "helm.sh/helm/v4", "cluster"),
    Pin("helm3", "helm.sh/helm/v3", "helm3"),
    Pin("containerd", "github.com/containerd/containerd/v2", "runtime"),
    Pin("runc", "github.com/opencontainers/runc", "runtime"),
    Pin("cni-plugins", "github.com/containernetworking/plugins", "runtime"),
    Pin("registry", "github.com/distribution/distribution/v3", "runtime"),
    Pin("csi-provisioner", "github.com/kubernetes-csi/external-provisioner/v6", "storage"),
    Pin("csi-snapshotter", "github.com/kubernetes-csi/external-snapshotter/v8", "storage"),
)


def versions() -> dict[str, str]:
    """The pinned version of each part."""
    return {pin.name: pin.version() for pin in PINS}


def cluster() -> GoBuild:
    """etcd and the Kubernetes components, one binary that acts by its name; kubectl and helm, each its own."""
    pinned = versions()
    return GoBuild(
        SOURCES / "cluster",
        ("./node", "./kubectl", "./helm"),
        links=NODE_LINKS,
        strings=(
            ("k8s.io/component-base/version.gitVersion", pinned["kubernetes"]),
            ("helm.sh/helm/v4/internal/version.version", pinned["helm"]),
        ),
        label="Kubernetes, etcd and helm",
    )


def runtime() -> GoBuild:
    """containerd with its shim and client, the CNI plugins, the registry, the pause program."""
    return GoBuild(
        SOURCES / "runtime",
        (
            f"{CONTAINERD}/containerd",
            f"{CONTAINERD}/containerd-shim-runc-v2",
            f"{CONTAINERD}/ctr",
            f"{CNI}/main/ptp",
            f"{CNI}/main/loopback",
            f"{CNI}/ipam/host-local",
            "./registry",
            "./pause",
        ),
        tags=("no_btrfs", "no_devmapper", "no_zfs", "no_tracing", "no_systemd"),
        label="containerd, CNI plugins and the registry",
    )


def runc() -> GoBuild:
    """runc, the only part with C code: it filters system calls through libseccomp."""
    return GoBuild(SOURCES / "runtime", ("github.com/opencontainers/runc",), tags=("seccomp",), cgo=True, label="runc")


def storage() -> GoBuild:
    """Our CSI driver and upstream's provisioner."""
    return GoBuild(
        SOURCES / "storage",
        ("./csi", f"{CSI}/external-provisioner/v6/cmd/csi-provisioner"),
        label="the CSI driver and its provisioner",
    )


def snapshots() -> GoBuild:
    """Upstream's snapshot controller and CSI sidecar."""
    commands = f"{CSI}/external-snapshotter/v8/cmd"
    return GoBuild(
        SOURCES / "storage",
        (f"{commands}/snapshot-controller", f"{commands}/csi-snapshotter"),
        data=((f"{CSI}/external-snapshotter/client/v8", "config/crd"),),
        label="volume snapshots",
    )


def helm3() -> GoBuild:
    """Helm 3's command."""
    return GoBuild(
        SOURCES / "helm3",
        ("helm.sh/helm/v3/cmd/helm",),
        strings=(("helm.sh/helm/v3/internal/version.version", versions()["helm3"]),),
        label="helm 3",
    )


@dataclass(frozen=True)
class Programs:
    """The directories that hold the built programs; the optional ones may be absent."""

    cluster: Path
    runtime: Path
    runc: Path
    storage: Path
    snapshots: Path | None
    helm3: Path | None

    def core(self) -> tuple[str, ...]:
        """The directories of what the node itself runs."""
        return tuple(str(path) for path in (self.cluster, self.runtime, self.runc, self.storage))


def prepare(optional: Sequence[str], progress: Progress) -> Programs:
    """Build what is not in the cache: all that a node needs, and the named optional parts.

    Raises SandboxError naming the part that failed.
    """
    builds = {"runtime": runtime(), "storage": storage(), "cluster": cluster(), "runc": runc()}
    extra = {"snapshots": snapshots, "helm3": helm3}
    builds |= {name: extra[name]() for name in optional}
    missing = {name: part for name, part in builds.items() if not build.is_built(part)}
    _build_all(list(missing.values()), progress)
    found = {name: build.go_binaries(part, progress) for name, part in builds.items()}
    return Programs(
        cluster=found["cluster"],
        runtime=found["runtime"],
        runc=found["runc"],
        storage=found["storage"],
        snapshots=found.get("snapshots"),
        helm3=found.get("helm3"),
    )


def _build_all(missing: Sequence[GoBuild], progress: Progress) -> None:
    """Compile one part after the other, while the next ones' sources are being downloaded."""
    with ThreadPoolExecutor(max_workers=1) as network:
        downloads = [network.submit(build.download, part, progress) for part in missing]
        try:
            for number, (part, downloaded) in enumerate(zip(missing, downloads, strict=True), start=1):
                place = f"{number} of {len(missing)}: {part.name}"
                if not downloaded.done():
                    progress(f"downloading {place}")
                downloaded.result()
                build.go_binaries(part, lambda _, place=place: progress(f"building {place}"))
        finally:
            network.shutdown(cancel_futures=True)
