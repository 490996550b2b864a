"""What a chart needs of the node: images, volumes, snapshots, commands in pods, a registry."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sandbox import Sandbox, SandboxError
from tests.integration.sandbox.support import Cluster, call, claim, eventually, pod

WRITER = """
cd /home/agent
mkdir 1 2 3 4
for n in 1 2 3 4; do head -c 64000000 /dev/zero > $n/ballast; done
while :; do for n in 1 2 3 4; do echo >> $n/count; sync $n/count; done; done
"""
"""Commits to four files in turn; a copy file by file, with the ballast between, finds the later ones further on."""


def test_a_restricted_pod_keeps_its_data_on_a_volume(cluster: Cluster) -> None:
    cluster.apply(claim("home"), pod("agent", "home", "echo hello; exec sleep inf"))
    cluster.ready("agent")

    cluster.sh("agent", "echo kept > /home/agent/note")
    cluster.kubectl("delete", "pod", "agent")
    cluster.apply(pod("agent", "home", "echo again; exec sleep inf"))
    cluster.ready("agent")

    assert cluster.sh("agent", "cat /home/agent/note; id -u; stat -c %g /home/agent").split() == [
        "kept",
        "1000",
        "1000",
    ]
    assert cluster.kubectl("logs", "agent").strip() == "again"


def test_the_pods_restrictions_are_real(cluster: Cluster) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")

    state = cluster.sh("agent", "grep -E 'Seccomp:|CapEff|CapBnd' /proc/self/status").split()
    assert state == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "Seccomp:", "2"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        cluster.sh("agent", "touch /etc/x")


def test_much_output_of_a_pod_arrives_in_full(cluster: Cluster) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")

    assert len(cluster.sh("agent", "head -c 50000000 /dev/zero | tr '\\0' x")) == 50_000_000


def test_a_snapshot_is_what_was_committed_at_one_instant_and_stays_so(cluster: Cluster) -> None:
    cluster.apply(claim("home"), pod("agent", "home", WRITER))
    cluster.ready("agent")

    eventually(lambda: cluster.sh("agent", "cat /home/agent/4/count || true") != "")
    snapshot = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": "then"},
        "spec": {"source": {"persistentVolumeClaimName": "home"}},
    }
    cluster.apply(snapshot, claim("copy", snapshot="then"), pod("reader", "copy"))
    cluster.ready("reader")

    then = _counts(cluster, "reader")
    assert min(then) > 0
    assert max(then) - min(then) <= 1
    assert min(_counts(cluster, "agent")) > max(then)
    assert _counts(cluster, "reader") == then


def test_a_deleted_claim_takes_its_volume_along(cluster: Cluster) -> None:
    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")
    volume = cluster.kubectl("get", "pvc", "home", "-o", "jsonpath={.spec.volumeName}")
    assert volume in cluster.kubectl("get", "pv", "-o", "name")

    cluster.kubectl("delete", "pod/agent", "pvc/home")

    eventually(lambda: volume not in cluster.kubectl("get", "pv", "-o", "name"))


def test_a_pod_reaches_a_service_of_the_host(box: Sandbox, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("from the host")
    port = box.port("greeter")
    argv = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        box.status().address,
        "--directory",
        tmp_path,
        str(port),
    ]
    url = f"http://{box.status().address}:{port}/greeting"
    for _ in range(2):  # the second call finds it running
        box.service("greeter", argv, lambda: _answers(url))

    cluster.apply(claim("home"), pod("agent", "home"))
    cluster.ready("agent")
    request = (
        f"exec 3<>/dev/tcp/{box.status().address}/{port}; printf 'GET /greeting HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    )
    answer = cluster.kubectl("exec", "agent", "--", "bash", "-c", request)

    assert answer.endswith("from the host")


def test_a_published_chart_can_be_pulled_again_after_a_reset(box: Sandbox, tmp_path: Path) -> None:
    helm = box.status().bin / "helm"
    call(helm, "create", tmp_path / "hello")
    call(helm, "package", tmp_path / "hello", "--version=1.2.3", f"--destination={tmp_path}")

    box.push(tmp_path / "hello-1.2.3.tgz")
    chart = f"{box.reset().registry}/hello"
    (tmp_path / "again").mkdir()
    call(helm, "pull", "--plain-http", chart, "--version=1.2.3", f"--destination={tmp_path}/again")

    assert (tmp_path / "again" / "hello-1.2.3.tgz").read_bytes() == (tmp_path / "hello-1.2.3.tgz").read_bytes()


def test_helm_3_is_built_when_it_is_first_called(box: Sandbox) -> None:
    assert 'Version:"v3.' in call(box.status().bin / "helm3", "version")


def test_the_audit_log_names_who_did_what(box: Sandbox) -> None:
    status = box.up(audit=True)
    assert status.audit_log

    Cluster(status).kubectl("create", "namespace", "audited")

    events = [json.loads(line) for line in status.audit_log.read_text().splitlines()]
    verbs = [event["verb"] for event in events if event.get("objectRef", {}).get("name") == "audited"]
    assert "create" in verbs


def test_what_cannot_be_loaded_is_named(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_text("not a tar")

    with pytest.raises(SandboxError, match=r"no such file: .*missing\.tar"):
        box.load(tmp_path / "missing.tar")
    with pytest.raises(SandboxError, match=r"ctr images import"):
        box.load(tmp_path / "no.tar")


def test_a_running_node_is_up_again_at_once(box: Sandbox) -> None:
    started = time.monotonic()
    box.up()

    assert time.monotonic() - started < 2


def _counts(cluster: Cluster, pod_name: str) -> list[int]:
    """How often the writer wrote to each of its files, as the pod sees it."""
    return [
        int(count) for count in cluster.sh(pod_name, "for n in 1 2 3 4; do wc -l < /home/agent/$n/count; done").split()
    ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
