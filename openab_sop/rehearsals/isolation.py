"""Whether the copy can reach anything: a NetworkPolicy denies it, and a probe asks whether the cluster heeds that.

Not every cluster does: https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites. What
cannot be told counts as not denied.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from openab_sop.cluster.kube import MANAGER, Access
from openab_sop.cluster.pod import Pod
from openab_sop.objects import at
from openab_sop.rehearsals.scratch import Scratch

ISOLATED = f"{MANAGER}/isolated"
"""Label of the pods that the policy is for."""
HEEDED = 8
"""Seconds in which a policy must have its effect."""

_POLICY = Access("create", "networkpolicies", "networking.k8s.io")
_REACH = r"""
via() {
  if command -v bash; then timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"
  elif command -v python3; then
    timeout 5 python3 -c 'import socket, sys; socket.create_connection(sys.argv[1:3], 3)' "$1" "$2"
  elif command -v perl; then
    timeout 5 perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => "$ARGV[0]:$ARGV[1]", Timeout => 3)' \
      "$1" "$2"
  elif command -v nc; then timeout 5 nc -z -w 3 "$1" "$2"
  else false; fi >/dev/null 2>&1 </dev/null
}
via "$1" "$2" && echo "the API at $1:$2"
via "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" && echo "the API's service"
via "$3" 10250 && echo "kubelet of its own node"
:
"""
"""Says which take a connection: the API's server, given as host and port, its service, kubelet on the given node."""
_OWN_NODE = "kubelet of its own node"
"""What no policy has to deny: it counts where nothing else could be reached before."""


@dataclass(frozen=True)
class Isolation:
    """Whether the copy is cut off from everything, and how that is known."""

    denied: bool
    told: str

    def __str__(self) -> str:
        return f"{'nothing leaves the copy' if self.denied else 'the cluster keeps nothing in'}: {self.told}"


def isolate(scratch: Scratch, pod: Pod) -> Isolation:
    """Deny the copy's pods every connection, and try it with a pod that could open one before.

    Args:
        pod: one of ours; it is isolated from now on too.

    Raises:
        SopError: the API or the pod does not answer.
    """
    if not scratch.cluster.allowed(_POLICY):
        return Isolation(False, f"this caller may not {_POLICY}")
    before = _reached(pod)
    isolated = {"matchLabels": {ISOLATED: scratch.id}}
    policy = {"podSelector": isolated, "policyTypes": ["Ingress", "Egress"]}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": policy}
    scratch.cluster.create("NetworkPolicy", {**body, "metadata": {"name": scratch.name("isolation")}})
    scratch.cluster.merge("Pod", pod.name, {"metadata": {"labels": isolated["matchLabels"]}})
    if not before:
        return Isolation(False, "a pod reached nothing before either, so that it cannot be told")
    if before != [_OWN_NODE]:
        before = [reached for reached in before if reached != _OWN_NODE]
    late = time.monotonic() + HEEDED
    while (after := [reached for reached in _reached(pod) if reached in before]) and time.monotonic() < late:
        time.sleep(0.5)
    if after:
        return Isolation(False, f"a pod reaches {', '.join(after)} in spite of the policy")
    return Isolation(True, f"a pod reached {', '.join(before)} before the policy, and does not with it")


def _reached(pod: Pod) -> list[str]:
    server = urlsplit(pod.cluster.access.server)
    port = server.port or (80 if server.scheme == "http" else 443)
    node = str(at(pod.cluster.get("Pod", pod.name), "status", "hostIP"))
    return pod.capture(_REACH, "/", str(server.hostname), str(port), node).decode(errors="replace").splitlines()
