"""Who we are to the cluster: whoever kubectl is, by whatever the kubeconfig says (issue 13)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from openab_sop.cluster import kubeconfig as kubeconfigs
from openab_sop.cluster.kube import Cluster
from sandbox import Status
from tests.integration.suites.callers import account, kubeconfig, least_rights, write
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, upgrading
from tests.socks import socks
from world import World


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("caller")) as found:
        assert found.run("suites/backup").status == 0
        yield found


def token_of(path: Path) -> str:
    return str(json.loads(path.read_text())["users"][0]["user"]["token"])


def as_user(status: Status, path: Path, user: dict[str, Any]) -> dict[str, str]:
    """A kubeconfig whose user is this; as variables of a run."""
    document = kubeconfig(status)
    document["users"] = [{"name": document["users"][0]["name"], "user": user}]
    return {"KUBECONFIG": str(write(path, document))}


def test_rights_that_the_kubeconfig_gives_up_are_not_used(
    release: Upgrading, world: World, status: Status, tmp_path: Path
) -> None:
    """``as:`` makes the administrator a weaker account: what that may not do is not done."""
    account(world, status, release.namespace, least_rights("backup"), tmp_path / "weak")
    admin = kubeconfig(status)["users"][0]["user"]
    weak = f"system:serviceaccount:{release.namespace}:weak"
    env = as_user(status, tmp_path / "as", {**admin, "as": weak})
    pods = release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")
    refused = release.run("suites/restore", f"--backup={release.suites.backups()[0]}", env=env)
    assert refused.status == 1, refused.output
    assert "this caller may not: " in refused.output
    assert "patch deployments.apps" in refused.output
    assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") == pods
    kept = release.run("suites/backup", env=env)
    assert kept.status == 0, kept.output
    assert f"caller: {weak}" in kept.html


def test_a_token_file_counts_before_a_token_and_is_read_again(
    release: Upgrading, world: World, status: Status, tmp_path: Path
) -> None:
    """Its line break is none of the token's; the token that stands beside it is long dead."""
    file = tmp_path / "token"
    file.write_text(
        token_of(account(world, status, release.namespace, least_rights("backup"), tmp_path / "reader")) + "\n"
    )
    env = as_user(status, tmp_path / "file", {"tokenFile": str(file), "token": "dead"})
    run = release.run("suites/backup", env=env)
    assert run.status == 0, run.output
    assert f"system:serviceaccount:{release.namespace}:reader" in run.html


def test_a_plugin_that_fails_is_named_and_not_called_again_and_again(
    release: Upgrading, status: Status, tmp_path: Path
) -> None:
    plugin, calls = tmp_path / "plugin", tmp_path / "calls"
    plugin.write_text(f"#!/bin/sh\necho called >> {calls}\necho the session has expired >&2\nexit 3\n")
    plugin.chmod(0o700)
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    run = release.run("suites/backup", env=as_user(status, tmp_path / "exec", {"exec": exec_}))
    assert run.status == 1, run.output
    assert "getting credentials" in run.output
    assert len(calls.read_text().splitlines()) < 10


def test_a_pods_own_account(
    release: Upgrading, world: World, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a kubeconfig, where a pod would find its account."""
    path = account(world, status, release.namespace, least_rights("backup"), tmp_path / "own")
    cluster = json.loads(path.read_text())["clusters"][0]["cluster"]
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "token").write_text(token_of(path))
    (mounted / "namespace").write_text(release.namespace)
    (mounted / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    address = urlsplit(str(cluster["server"]))
    monkeypatch.setattr(kubeconfigs, "ACCOUNT", mounted)
    monkeypatch.setattr(kubeconfigs, "DEFAULT", tmp_path / "none")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    access = kubeconfigs.resolve(None, None, None)
    assert (access.namespace, access.origin) == (release.namespace, "this pod's own account")
    assert Cluster(access).caller() == f"system:serviceaccount:{release.namespace}:own"


def test_two_callers_find_each_others_backups(release: Upgrading, world: World, status: Status, tmp_path: Path) -> None:
    """The one who may not look at kube-system has another name of the cluster in common with the one who may."""
    rules = least_rights("backup", "restore")
    weak = {"KUBECONFIG": str(account(world, status, release.namespace, rules, tmp_path / "two"))}
    assert release.run("suites/backup").status == 0
    of_admin = release.suites.backups()[-1].name
    found = release.run("suites/restore", "--backup=newest", "--dry-run", env=weak)
    assert found.status == 0, found.output
    assert of_admin in found.output
    assert release.run("suites/backup", env=weak).status == 0
    of_weak = release.suites.backups()[-1].name
    assert of_weak != of_admin
    found = release.run("suites/restore", "--backup=newest", "--dry-run")
    assert found.status == 0, found.output
    assert of_weak in found.output


def test_a_socks_proxy_of_the_kubeconfig_is_gone_by(release: Upgrading, status: Status, tmp_path: Path) -> None:
    """By all of us: kubectl, helm, and our own requests."""
    document = kubeconfig(status)
    cluster: dict[str, str] = document["clusters"][0]["cluster"]
    with socks() as (address, asked):
        cluster["proxy-url"] = address
        env = {"KUBECONFIG": str(write(tmp_path / "socks", document))}
        run = release.run("suites/backup", "--full", env=env)
    assert run.status == 0, run.output
    assert set(asked) == {urlsplit(cluster["server"]).netloc}
    assert len(asked) > 2
