"""The node's address on the host."""

from __future__ import annotations

from sandbox import wait
from sandbox.command import run
from sandbox.site import Site


def add_address(site: Site) -> None:
    """Give the host the node's address. On `lo`: reachable from here and from the pods, announced to nobody."""
    run(["ip", "address", "replace", f"{site.address}/32", "dev", "lo"])


def remove_address(site: Site) -> None:
    """Take the address away if it is there, and wait for the last pod's veth, which the kernel removes by itself."""
    if f" {site.address}/" in run(["ip", "-4", "-o", "address", "show", "dev", "lo"]):
        run(["ip", "address", "delete", f"{site.address}/32", "dev", "lo"])
    wait.until(
        "the end of the pods' network",
        lambda: not pod_routes(site),
        timeout=20,
        next_step=f"see what is left with `ip route show root {site.pod_subnet}`",
    )


def pod_routes(site: Site) -> str:
    """The host's routes to pods: one for each that runs."""
    return run(["ip", "-4", "route", "show", "root", site.pod_subnet])
