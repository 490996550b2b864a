"""The parts of the node: how each is started, and how one knows that it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import images, storage
from sandbox.api import Api
from sandbox.command import run
from sandbox.config import NODE, Layout
from sandbox.enclosure import Enclosure
from sandbox.errors import SandboxError
from sandbox.parts import Programs
from sandbox.pki import Pki
from sandbox.processes import Records
from sandbox.site import Site
from sandbox.toolchain import Progress
from sandbox.wait import until

PART_TIMEOUT = 60
"""Seconds for one part to get ready; they take 1 to 4 on two idle cores."""

PARTS = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "csi",
    "kubelet",
)
"""Without one of these there is no node."""

SERVICE_SUBNET = "10.96.0.0/16"


@dataclass(frozen=True)
class Node:
    """A node about to be started, or running, at `site` from `programs`."""

    site: Site
    layout: Layout
    programs: Programs
    pki: Pki
    records: Records
    enclosure: Enclosure

    @property
    def api(self) -> Api:
        """Its apiserver."""
        return Api(self.site, self.pki)

    def start(self, progress: Progress, *, audit: bool) -> None:
        """Start every part in order; return when the node is Ready. Raises SandboxError naming the part that failed."""
        progress("starting etcd and containerd")
        self._start("etcd", self._etcd())
        self._start("containerd", [self.programs.runtime / "containerd", "--config", self._file("containerd.toml")])
        self._wait("the start of etcd", lambda: accepts(self.site.port("etcd")))
        progress("starting kube-apiserver")
        self._start("kube-apiserver", self._apiserver(audit=audit))
        self._wait("the start of containerd", self._has_containerd)
        self._import_pause()
        self._wait("the start of kube-apiserver", self.api.is_ready)
        progress("starting kubelet, controllers and storage")
        self._start("kube-controller-manager", self._controller_manager())
        self._start("kube-scheduler", self._scheduler())
        self._start("csi", self._csi())
        self._start("kubelet", self._kubelet())
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until pods can be made: the node is Ready, volumes are served, the default service account is there."""
        for what, ready in (
            ("a Ready node", self._node_is_ready),
            ("the registration of the CSI driver", self._has_volumes),
            ("the default service account", self._has_service_account),
        ):
            self._wait(what, ready)

    def _has_containerd(self) -> bool:
        """Whether containerd answers: its socket is there a moment before."""
        if self.layout.socket.exists():
            with suppress(SandboxError):
                run([*self.ctr(), "version"])
                return True
        return False

    def _node_is_ready(self) -> bool:
        conditions = self.api.get(f"/api/v1/nodes/{NODE}").get("status", {}).get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _has_volumes(self) -> bool:
        return bool(self.api.get(f"/apis/storage.k8s.io/v1/csinodes/{NODE}").get("spec", {}).get("drivers"))

    def _has_service_account(self) -> bool:
        return bool(self.api.get("/api/v1/namespaces/default/serviceaccounts/default"))

    def ensure_storage(self) -> None:
        """Define the storage classes, and start those controllers of volumes that do not run."""
        storage.install(self.api, self.programs.snapshots / "crd" if self.programs.snapshots else None)
        for name, argv in self._sidecars().items():
            if not self.records.find(name):
                self._start(name, argv)

    def _sidecars(self) -> dict[str, list[str | Path]]:
        address = f"--csi-address={self.layout.csi_socket}"
        kubeconfig = f"--kubeconfig={self.layout.kubeconfig}"
        sidecars: dict[str, list[str | Path]] = {
            "csi-provisioner": [
                self.programs.storage / "csi-provisioner",
                address,
                kubeconfig,
                "--extra-create-metadata",
                "--feature-gates=Topology=true",
            ]
        }
        if self.programs.snapshots:
            sidecars["snapshot-controller"] = [self.programs.snapshots / "snapshot-controller", kubeconfig]
            sidecars["csi-snapshotter"] = [self.programs.snapshots / "csi-snapshotter", address, kubeconfig]
        return sidecars

    def ctr(self) -> list[str]:
        """The command line of containerd's client, for the images and containers of Kubernetes."""
        client = [self.programs.runtime / "ctr", "--address", self.layout.socket, "--namespace", "k8s.io"]
        return self.enclosure.enter(client)

    def _start(self, name: str, argv: list[str | Path]) -> None:
        self.records.start(name, self.enclosure.enter(argv), self.layout.logs / f"{name}.log")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        def check() -> None:
            for part in self.records.load():
                part.require_alive()

        next_step = f"read the logs in {self.layout.logs}"
        until(what, ready, timeout=PART_TIMEOUT, check=check, next_step=next_step)

    def _import_pause(self) -> None:
        archive = images.pause(self.programs.runtime, self.layout.run)
        run([*self.ctr(), "images", "import", archive], next_step=f"read {self.layout.logs}/containerd.log")

    def _file(self, name: str) -> Path:
        return self.layout.config / name

    def _etcd(self) -> list[str | Path]:
        client = f"https://127.0.0.1:{self.site.port('etcd')}"
        peer = f"https://127.0.0.1:{self.site.port('etcd-peer')}"
        certificate, key, authority = self.pki.certificate("etcd"), self.pki.key("etcd"), self.pki.authority
        return [
            self.programs.cluster / "etcd",
            "--name=sandbox",
            f"--data-dir={self.layout.etcd}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=sandbox={peer}",
            "--unsafe-no-fsync",  # a kill loses nothing; a power cut may, and then `reset` helps
            "--client-cert-auth",
            f"--trusted-ca-file={authority}",
            f"--cert-file={certificate}",
            f"--key-file={key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={authority}",
            f"--peer-cert-file={certificate}",
            f"--peer-key-file={key}",
            "--log-level=warn",
        ]

    def _apiserver(self, *, audit: bool) -> list[str | Path]:
        flags: list[str | Path] = [
            self.programs.cluster / "kube-apiserver",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.site.port('apiserver')}",
            f"--tls-cert-file={self.pki.certificate('apiserver')}",
            f"--tls-private-key-file={self.pki.key('apiserver')}",
            f"--client-ca-file={self.pki.authority}",
            f"--etcd-servers=https://127.0.0.1:{self.site.port('etcd')}",
            f"--etcd-cafile={self.pki.authority}",
            f"--etcd-certfile={self.pki.certificate('etcd')}",
            f"--etcd-keyfile={self.pki.key('etcd')}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--kubelet-certificate-authority={self.pki.authority}",
            f"--kubelet-client-certificate={self.pki.certificate('apiserver-kubelet')}",
            f"--kubelet-client-key={self.pki.key('apiserver-kubelet')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_SUBNET}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.pki.root / 'service-accounts.pub'}",
            f"--service-account-signing-key-file={self.pki.key('service-accounts')}",
            "--shutdown-delay-duration=0s",
        ]
        if audit:
            flags += [
                f"--audit-log-path={self.layout.audit_log}",
                f"--audit-policy-file={self._file('audit.json')}",
            ]
        return flags

    def _controller_manager(self) -> list[str | Path]:
        return [
            self.programs.cluster / "kube-controller-manager",
            f"--kubeconfig={self._file('controller-manager.kubeconfig')}",
            "--leader-elect=false",
            "--secure-port=0",
            "--use-service-account-credentials",
            "--kube-api-qps=500",  # the default, 20, holds its start back by seconds
            "--kube-api-burst=500",
            f"--root-ca-file={self.pki.authority}",
            f"--service-account-private-key-file={self.pki.key('service-accounts')}",
        ]

    def _scheduler(self) -> list[str | Path]:
        return [
            self.programs.cluster / "kube-scheduler",
            f"--kubeconfig={self._file('scheduler.kubeconfig')}",
            "--leader-elect=false",
            "--secure-port=0",
        ]

    def _kubelet(self) -> list[str | Path]:
        return [
            self.programs.cluster / "kubelet",
            f"--config={self._file('kubelet.json')}",
            f"--kubeconfig={self._file('kubelet.kubeconfig')}",
            f"--root-dir={self.layout.kubelet}",
            f"--cert-dir={self.layout.kubelet / 'pki'}",
            f"--hostname-override={NODE}",
            f"--node-ip={self.site.address}",
        ]

    def _csi(self) -> list[str | Path]:
        return [
            self.programs.storage / "csi",
            f"-socket={self.layout.csi_socket}",
            f"-registration-socket={self.layout.kubelet / 'plugins_registry' / 'csi.sock'}",
            f"-directory={self.layout.volumes}",
            f"-node={NODE}",
        ]


def accepts(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
