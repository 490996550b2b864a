"""What the node's parts read at their start: configuration files, as text."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from sandbox.parts import Programs
from sandbox.pki import Pki
from sandbox.site import Site

PAUSE_IMAGE = "sandbox.local/pause:1"
CONTEXT = "sandbox"
NODE = "sandbox"


@dataclass(frozen=True)
class Layout:
    """The files and directories below the state directory, each named once."""

    state: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    @property
    def bin(self) -> Path:
        """helm, helm3, kubectl, ctr."""
        return self.state / "bin"

    @property
    def logs(self) -> Path:
        """One file for each part."""
        return self.state / "log"

    @property
    def run(self) -> Path:
        """What a reboot forgets: sockets, process records, runtime state."""
        return self.state / "run"

    @property
    def config(self) -> Path:
        """The files that this module writes."""
        return self.state / "config"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.state / "pki"

    @property
    def containerd(self) -> Path:
        """Images and containers."""
        return self.state / "containerd"

    @property
    def socket(self) -> Path:
        """containerd's."""
        return self.run / "containerd.sock"

    @property
    def etcd(self) -> Path:
        """The cluster's data."""
        return self.state / "etcd"

    @property
    def kubelet(self) -> Path:
        """Pods' directories and plugins' sockets."""
        return self.state / "kubelet"

    @property
    def volumes(self) -> Path:
        """The contents of PersistentVolumes and snapshots."""
        return self.state / "volumes"

    @property
    def registry(self) -> Path:
        """Published charts."""
        return self.state / "registry"

    @property
    def audit_log(self) -> Path:
        """The apiserver's audit log, if it is switched on."""
        return self.logs / "audit.jsonl"

    @property
    def csi_socket(self) -> Path:
        """The CSI driver's."""
        return self.kubelet / "plugins" / "csi.sock"


def kubeconfig(site: Site, pki: Pki, name: str) -> str:
    """A kubeconfig for the certificate called `name`, complete in itself. It holds a private key."""

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    user = {"client-certificate-data": data(pki.certificate(name)), "client-key-data": data(pki.key(name))}
    server = f"https://127.0.0.1:{site.port('apiserver')}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {"server": server, "certificate-authority-data": data(pki.authority)},
            }
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": name}}],
        "current-context": CONTEXT,
    }
    return json.dumps(document, indent=2)


def containerd(layout: Layout, programs: Programs, snapshotter: str) -> str:
    """containerd's configuration: everything of it below the state directory, images only by import.

    `restrict_oom_score_adj`: in a container or a small virtual machine CAP_SYS_RESOURCE is often missing.
    """
    return f"""\
version = 3
root = "{layout.containerd}"
state = "{layout.run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.restart"]

[grpc]
  address = "{layout.socket}"

[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{snapshotter}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  enable_selinux = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{programs.runtime}"]
    conf_dir = "{layout.config}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{programs.runc}/runc"
        SystemdCgroup = false
"""


def cni(layout: Layout, site: Site) -> str:
    """One veth pair for each pod with routes to the host; no bridge, no iptables rules, no way out of the machine."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": site.pod_subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.run / "cni"),
    }
    document = {
        "cniVersion": "1.0.0",
        "name": "sandbox",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}],
    }
    return json.dumps(document, indent=2)


def kubelet(layout: Layout, site: Site, pki: Pki) -> str:
    """kubelet's configuration. No eviction and no image clean-up: a developer's disk is often nearly full."""
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": site.address,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate("kubelet-server")),
        "tlsPrivateKeyFile": str(pki.key("kubelet-server")),
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{site.cgroup}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": list[str](),
        "failCgroupV1": False,
        "failSwapOn": False,
        "resolvConf": "",
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.kubelet / "volume-plugins"),
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "10s",
        "nodeStatusMaxImages": -1,
    }
    return json.dumps(document, indent=2)


def audit_policy() -> str:
    """Every request that changes something, with its body; reads by who and what only."""
    document = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "configmaps"]}]},
            {"level": "Metadata", "verbs": ["get", "list", "watch"]},
            {"level": "Request"},
        ],
    }
    return json.dumps(document, indent=2)
