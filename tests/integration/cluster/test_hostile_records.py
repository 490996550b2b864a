"""What others have put on the lock, or beside the records of Helm, against the real API server (issue 14)."""

from __future__ import annotations

import gzip
import json
import lzma
import resource
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from openab_sop.bounded import LARGEST
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.lease import Board
from openab_sop.errors import ClusterError, ReleaseError
from sandbox import Status
from world import World

BOMB = 8 * LARGEST
"""Bytes that are unpacked if nobody counts."""


def grown() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_what_is_packed_on_the_lock_is_unpacked_within_bounds(
    world: World, status: Status, namespace: str, tmp_path: Path
) -> None:
    packer = lzma.LZMACompressor(preset=0)
    packed = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)), packer.flush()])
    annotations = {"openab-sop/record": b64encode(packed).decode(), "openab-sop/doing": "an upgrade"}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "openab-sop-openab", "annotations": annotations},
    }
    (tmp_path / "lease.json").write_text(json.dumps(lease))
    world.kubectl("--namespace", namespace, "create", f"--filename={tmp_path / 'lease.json'}")
    before = grown()
    with pytest.raises(ClusterError, match=r"Lease openab-sop-openab has on record cannot be read: .*unpacked"):
        Board(Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace)), "openab").read()
    assert grown() - before < 4 * LARGEST
    assert "openab-sop/record" in world.kubectl("--namespace", namespace, "get", "leases", "--output=json")


def test_a_record_that_is_none_hides_no_release_and_one_beyond_all_bounds_is_named(
    world: World, status: Status, namespace: str, tmp_path: Path
) -> None:
    def create(name: str, labels: dict[str, str], data: bytes) -> None:
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {"name": name, "labels": {"owner": "helm", **labels}},
            "data": {"release": b64encode(b64encode(data)).decode()},
        }
        (tmp_path / name).write_text(json.dumps(secret))
        world.kubectl("--namespace", namespace, "create", f"--filename={tmp_path / name}")

    body = {
        "name": "mine",
        "version": 1,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "openab", "version": "0.8.0"}},
        "manifest": "",
    }
    create("sh.helm.release.v1.mine.v1", {"name": "mine", "version": "1"}, gzip.compress(json.dumps(body).encode()))
    create("junk", {}, b"")
    create("junk-too", {"name": "mine", "version": "last"}, b"")
    helm = Helm(Cluster(kubeconfig.resolve(str(status.kubeconfig), None, namespace)))
    assert [found.name for found in helm.releases()] == ["mine"]
    bomb = gzip.compress(bytes(BOMB))
    create("sh.helm.release.v1.other.v1", {"name": "other", "version": "1"}, bomb)
    before = grown()
    with pytest.raises(ReleaseError, match=r"sh\.helm\.release\.v1\.other\.v1 cannot be read: .*unpacked"):
        helm.releases()
    assert grown() - before < 4 * LARGEST
