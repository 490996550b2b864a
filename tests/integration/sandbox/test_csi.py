"""The CSI driver against the conformance suite of the CSI project, csi-sanity."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox import build, parts
from sandbox.build import GoBuild
from sandbox.processes import Records
from tests.integration.sandbox.support import eventually

SANITY = GoBuild(parts.SOURCES / "sanity", ("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity",))


def test_the_driver_conforms_to_the_csi_specification(tmp_path: Path) -> None:
    driver = build.go_binaries(parts.storage(), print) / "csi"
    sanity = build.go_binaries(SANITY, print) / "csi-sanity"
    socket, volumes = tmp_path / "csi.sock", tmp_path / "volumes"
    volumes.mkdir()
    records = Records(tmp_path / "records")
    options = (
        f"-socket={socket}",
        f"-registration-socket={tmp_path / 'kubelet.sock'}",
        f"-directory={volumes}",
        "-node=n",
    )
    records.start("csi", (driver, *options), tmp_path / "csi.log")
    try:
        eventually(socket.exists)
        mounts = (f"-csi.mountdir={tmp_path / 'target'}", f"-csi.stagingdir={tmp_path / 'staging'}")
        command = [sanity, f"-csi.endpoint={socket}", *mounts, "-ginkgo.no-color"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        records.kill_all()

    assert done.returncode == 0, done.stdout
    assert "0 Failed" in done.stdout
