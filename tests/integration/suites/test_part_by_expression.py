"""A home that is the part of a claim which variables name when a pod starts (issue 12)."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import Status
from tests.integration.conftest import Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.test_rebuild import claim, create
from tests.integration.suites.upgrades import AGENT, FILES, Upgrading, quiet
from world import World

PODS = "--output=jsonpath={.items[*].metadata.uid}"
HAVING = "--selector=app.kubernetes.io/component=kiro"


@contextmanager
def by_expression(
    world: World, status: Status, volumes: Volumes, directory: Path, expression: str, **more: Any
) -> Generator[Upgrading]:
    directory.mkdir()
    with new_namespace(world) as namespace:
        create(world, claim(namespace, "homes", "sandbox"))
        agent = {
            **quiet(world),
            "persistence": {"enabled": False},
            "extraVolumes": [{"name": "homes", "persistentVolumeClaim": {"claimName": "homes"}}],
            "extraVolumeMounts": [{"name": "homes", "mountPath": "/home/agent", "subPathExpr": expression}],
            **more,
        }
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
        found = Upgrading(world, volumes, namespace, Suites.at(directory, status))
        found.fill()
        yield found


def lacking(release: Upgrading) -> list[str]:
    """Which of ``FILES`` are not as they were, as the host has the part of the claim."""
    part = release.volumes.of(release.namespace, "homes") / "of" / "kiro"
    return [name for name, text in FILES.items() if not (part / name).is_file() or (part / name).read_text() != text]


def test_a_home_by_expression(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    env = {**quiet(world)["env"], "OF": "of", "PART": "$(OF)/kiro"}
    with by_expression(world, status, volumes, tmp_path / "run", "$(PART)", env=env) as release:
        failed = release.run("suites", "--target-version=0.9.0-migration-fails.1", "--approval=auto")
        assert (failed.status, release.chart()) == (11, "0.8.1 deployed"), failed.output
        assert (release.ready(), lacking(release), release.leftovers()) == (True, [], ""), failed.output

        release.shell("rm marker; echo newer >more")
        restored = release.run("suites/restore", f"--backup={release.suites.backups()[-1]}", "--yes")
        assert restored.status == 0, restored.output
        assert (release.ready(), lacking(release), release.leftovers()) == (True, [], "")

        release.kubectl("scale", "deployment", AGENT, "--replicas=0")
        release.kubectl("wait", "--for=delete", "pods", HAVING, "--timeout=60s")
        stopped = release.run("suites/backup")
        assert stopped.status == 0, stopped.output
        assert '"path": "marker"' in (release.suites.backups()[-1] / AGENT / "pvc-data" / "contents.jsonl").read_text()


def test_a_home_by_what_each_pod_has_of_its_own(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """It is copied from the running pod; whatever needs a helper is refused while the agent runs."""
    env = {**quiet(world)["env"], "PART": "first"}
    with by_expression(world, status, volumes, tmp_path / "run", "$(PART)", env=env) as release:
        own = {"name": "PART", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        change = {"spec": {"template": {"spec": {"containers": [{"name": "openab", "env": [own]}]}}}}
        release.kubectl("patch", "deployment", AGENT, "--patch", json.dumps(change))
        release.kubectl("rollout", "status", "deployment", AGENT, "--timeout=60s")
        release.fill()
        backup = release.run("suites/backup")
        assert backup.status == 0, backup.output
        assert "cannot be restored into place" in backup.output.partition("= summary =")[2]
        pods = release.kubectl("get", "pods", PODS)
        for argv in (
            ("suites/restore", f"--backup={release.suites.backups()[-1]}"),
            ("suites", "--target-version=0.8.2"),
        ):
            run = release.run(*argv)
            assert run.status == 1, run.output
            assert "/home/agent is the part $(PART) of claim homes" in run.output
            assert "PART (metadata.name)" in run.output
            assert release.kubectl("get", "pods", PODS) == pods
        assert release.leftovers() == ""


def test_two_volumes_under_a_quota_for_one_pod(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """One helper has both, in the place of the agent's pod; a quota for helpers alone is known before a stop."""
    (tmp_path / "run").mkdir()
    with new_namespace(world) as namespace:
        create(world, claim(namespace, "store", "sandbox"))
        more = {
            "extraVolumes": [{"name": "store", "persistentVolumeClaim": {"claimName": "store"}}],
            "extraVolumeMounts": [{"name": "store", "mountPath": "/store"}],
        }
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": {**quiet(world), **more}}})
        release = Upgrading(world, volumes, namespace, Suites.at(tmp_path / "run", status))
        release.fill()
        release.shell("echo precious >/store/it")
        release.kubectl("create", "quota", "small", "--hard=pods=1")
        backup = release.run("suites/backup")
        assert backup.status == 0, backup.output
        release.shell("rm marker /store/it")
        restore = ("suites/restore", f"--backup={release.suites.backups()[-1]}", "--yes")

        release.kubectl("create", "quota", "late", "--hard=pods=0", "--scopes=Terminating")
        pods = release.kubectl("get", "pods", PODS)
        refused = release.run(*restore)
        assert refused.status == 1, refused.output
        assert "quota late allows 0 pods, of which 0 are free" in refused.output
        assert release.kubectl("get", "pods", PODS) == pods
        release.kubectl("delete", "quota", "late")

        restored = release.run(*restore)
        assert restored.status == 0, restored.output
        assert (release.ready(), release.kept(), release.leftovers()) == (True, True, "")
        assert release.shell("cat /store/it") == "precious\n"
