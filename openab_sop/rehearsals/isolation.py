"""Whether the copy can reach anything: a NetworkPolicy denies it, and a probe asks whether the cluster heeds that.

Not every cluster does: https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites. What
cannot be told counts as not denied.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openab_sop.cluster.kube import MANAGER
from openab_sop.cluster.pod import Pod
from openab_sop.objects import at
from openab_sop.rehearsals.scratch import MAKES_POLICIES, Scratch

ISOLATED = f"{MANAGER}/isolated"
"""Label of the pods that the policy is for."""
HEEDED = 2
"""Seconds in which a policy must have its effect."""

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
while [ "$#" -gt 1 ]; do if via "$1" "$2"; then echo "$1 $2"; fi; shift 2; done
"""
"""Says which addresses take a connection; they are given, and said, as host and port."""
_SERVICE = 'echo "$KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"'
"""The API's own, as each pod is told it."""
KUBELET = 10250

Address = tuple[str, str]


@dataclass(frozen=True)
class Isolation:
    """Whether the copy is cut off from everything, and how that is known."""

    denied: bool
    summary: str

    def __str__(self) -> str:
        return f"{'nothing leaves the copy' if self.denied else 'the cluster keeps nothing in'}: {self.summary}"


def isolate(scratch: Scratch, pod: Pod) -> Isolation:
    """Deny the copy's pods every connection, and try it with a pod that could open one before.

    Args:
        pod: one of ours; it is isolated from now on too.

    Raises:
        SopError: the API or the pod does not answer.
    """
    if not scratch.cluster.allowed(MAKES_POLICIES):
        return Isolation(False, f"this caller may not {MAKES_POLICIES}")
    others, own_node = _addresses(pod)
    before = _reached(pod, others) or _reached(pod, [own_node])
    isolated = {"matchLabels": {ISOLATED: scratch.id}}
    policy = {"podSelector": isolated, "policyTypes": ["Ingress", "Egress"]}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": policy}
    scratch.cluster.create("NetworkPolicy", {**body, "metadata": {"name": scratch.name("isolation")}})
    scratch.cluster.merge("Pod", pod.name, {"metadata": {"labels": isolated["matchLabels"]}})
    if not before:
        return Isolation(False, "a pod reached nothing before either, so that it cannot be told")
    late = time.monotonic() + HEEDED
    while (after := _reached(pod, before)) and time.monotonic() < late:
        time.sleep(0.2)
    if after:
        return Isolation(False, f"a pod reaches {_told(after)} in spite of the policy")
    return Isolation(True, f"a pod reached {_told(before)} before the policy, and does not with it")


def _addresses(pod: Pod) -> tuple[list[Address], Address]:
    """Return addresses of the API, and one of the pod's own node.

    No policy has to deny a pod its own node: that counts only where nothing else can be reached.
    """
    server = urlsplit(pod.cluster.access.server)
    host, port = pod.capture(_SERVICE, "/").decode().split()
    node = str(at(pod.cluster.get("Pod", pod.name), "status", "hostIP"))
    return [(str(server.hostname), str(server.port or 443)), (host, port)], (node, str(KUBELET))


def _reached(pod: Pod, addresses: Sequence[Address]) -> list[Address]:
    words = [word for address in addresses for word in address]
    lines = pod.capture(_REACH, "/", *words).decode(errors="replace").splitlines()
    return [address for address in addresses if " ".join(address) in lines]


def _told(addresses: Sequence[Address]) -> str:
    return ", ".join(":".join(address) for address in addresses)
