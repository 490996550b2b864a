"""What a post-renderer has added is named before it vanishes; handed on to helm, it stays (issue 12 D)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, quiet
from world import World

AGENT = "openab-kiro"
RENDERER = f"""#!{sys.executable}
import sys, yaml
objects = [one for one in yaml.safe_load_all(sys.stdin) if one]
for one in objects:
    if one["kind"] == "Deployment":
        pod = one["spec"]["template"]["spec"]
        pod["imagePullSecrets"] = [{{"name": "mirror"}}]
        image = "openab.local/openab:0.8.1"
        pod["containers"].append({{"name": "sidecar", "image": image, "command": ["sleep", "3600"]}})
yaml.safe_dump_all(objects, sys.stdout)
"""
"""Adds a container and a pull secret to each Deployment: a program that helm 3 passes its rendering through."""


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, helm3: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    directory = tmp_path_factory.mktemp("additions")
    renderer = directory / "add"
    renderer.write_text(RENDERER)
    renderer.chmod(0o700)
    values = directory / "values.json"
    values.write_text(json.dumps({"agents": {"kiro": quiet(world)}}))
    with new_namespace(world) as namespace:
        suites = Suites.at(directory, status)
        env = {**suites.env, "PATH": f"{helm3}{os.pathsep}{suites.env['PATH']}", "HELM_NAMESPACE": namespace}
        command = [helm3 / "helm", "install", "openab", world.package("0.8.1"), f"--values={values}", "--wait"]
        subprocess.run([*command, f"--post-renderer={renderer}"], check=True, env=env)
        found = Upgrading(world, volumes, namespace, replace(suites, env=env))
        found.fill()
        yield found


def containers(release: Upgrading) -> str:
    path = "{.spec.template.spec.containers[*].name} {.spec.template.spec.imagePullSecrets[*].name}"
    return release.kubectl("get", "deployment", AGENT, f"--output=jsonpath={path}")


def renderer(release: Upgrading) -> Path:
    return release.suites.reports.parent / "add"


def test_it_is_named_and_nothing_is_touched(release: Upgrading) -> None:
    before = containers(release)
    assert sorted(before.split()) == ["mirror", "openab", "sidecar"]
    run = release.run("suites", "--target-version=0.8.2", "--approval=auto")
    assert run.status == 1, run.output
    assert f"not-from-chart:Deployment/{AGENT} (blocks)" in run.output
    assert "containers[sidecar]" in run.output
    assert "imagePullSecrets" in run.output
    assert (release.chart(), containers(release)) == ("0.8.1 deployed", before)


def test_handed_on_it_stays(release: Upgrading) -> None:
    run = release.run("suites", "--target-version=0.8.2", "--approval=auto", f"--post-renderer={renderer(release)}")
    assert run.status == 0, run.output
    assert (release.chart(), sorted(containers(release).split())) == ("0.8.2 deployed", ["mirror", "openab", "sidecar"])
    assert (release.ready(), release.kept()) == (True, True)


def test_a_rebuild_names_it_before_it_makes_anything(release: Upgrading) -> None:
    backup = release.suites.backups()[-1]
    release.kubectl("delete", "namespace", release.namespace, "--wait")
    rebuild = ("suites/rebuild", f"--namespace={release.namespace}", f"--backup={backup}")
    run = release.suites.run(*rebuild)
    assert run.status == 1, run.output
    assert "containers[sidecar]" in run.output
    assert f"--accept=not-from-chart:Deployment/{AGENT}" in run.output
    assert release.world.kubectl("get", "namespace", release.namespace, "--ignore-not-found") == ""
    run = release.suites.run(*rebuild, f"--post-renderer={renderer(release)}")
    assert run.status == 0, run.output
    assert sorted(containers(release).split()) == ["mirror", "openab", "sidecar"]
    assert (release.ready(), release.kept()) == (True, True)
