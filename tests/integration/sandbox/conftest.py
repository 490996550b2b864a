"""Sandboxes of the tests' own, beside the one that people and the other tests use."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox import Sandbox, images
from sandbox.images import ImageConfig
from tests.integration.evidence import watched
from tests.integration.sandbox.support import IMAGE, STATES, Cluster, eventually, footprint


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A docker-archive of a small Debian."""
    out = tmp_path_factory.mktemp("image") / "debian.tar"
    config = ImageConfig(command=("sleep", "inf"))
    return images.docker_archive(out, layers=[images.rootfs(print)], config=config, tags=[IMAGE])


OWN = STATES / f"test-{os.environ.get('PYTEST_XDIST_WORKER', '1')}"
"""Where the sandbox is that these tests may break."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Stop it when other tests follow: a node costs something even if nobody asks it for anything."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        Sandbox(OWN).down()


@pytest.fixture(scope="session")
def own_box(image: Path) -> Generator[Sandbox]:
    """A sandbox that these tests may break; nothing may be left of it in the end."""
    box = Sandbox(OWN)
    box.down()
    box.up(print, optional=["snapshots"])
    box.load(image)
    try:
        yield box
    finally:
        seen = footprint(box)
        box.down(purge=True)
        eventually(lambda: not seen.still_there(), within=30)


@pytest.fixture
def box(own_box: Sandbox) -> Sandbox:
    """The sandbox, up again whatever the test before did to it."""
    own_box.up(print, optional=["snapshots"])
    return own_box


@pytest.fixture
def cluster(box: Sandbox) -> Generator[Cluster]:
    """The cluster in it, seen from a new namespace."""
    found = Cluster(box.status(), f"test-{uuid4().hex[:8]}")
    found.kubectl("create", "namespace", found.namespace)
    eventually(lambda: "default" in found.kubectl("get", "serviceaccounts", "-o", "name"))
    with watched(found.namespace, Cluster(box.status()).kubectl):
        yield found
    if box.status().up:
        found.kubectl("delete", "namespace", found.namespace, "--wait=false")
