"""The node's address on the host, and the host's ends of the pods' links."""

from __future__ import annotations

import json
from contextlib import suppress

from sandbox.command import run
from sandbox.errors import SandboxError
from sandbox.site import Site


def add_address(site: Site) -> None:
    """Give the host the node's address. On `lo`: reachable from here and from the pods, announced to nobody."""
    run(["ip", "address", "replace", f"{site.address}/32", "dev", "lo"])


def remove(site: Site) -> None:
    """Take the address away, and the pods' veths, which the kernel would remove by itself, but in its own time."""
    if f" {site.address}/" in run(["ip", "-4", "-o", "address", "show", "dev", "lo"]):
        run(["ip", "address", "delete", f"{site.address}/32", "dev", "lo"])
    for link in _pod_links(site):
        with suppress(SandboxError):  # the kernel was faster
            run(["ip", "link", "delete", link])
    if left := _pod_links(site):
        raise SandboxError(f"cannot remove the pods' network links {', '.join(left)}", "try `ip link delete` by hand")


def _pod_links(site: Site) -> list[str]:
    """The host's ends of the veths: one route with the interface for each pod."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "root", site.pod_subnet]))
    return [route["dev"] for route in routes]
