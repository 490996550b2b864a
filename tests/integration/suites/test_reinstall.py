"""A release that Helm cannot roll back comes back by uninstall and rebuild; judged by kubectl, helm and sqlite3."""

from __future__ import annotations

from pathlib import Path

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, upgrading
from world import World


def test_helm_has_lost_the_revision(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """The old chart's claim goes with the uninstall; its volume stays, with what was written before the backup."""
    with upgrading(world, status, volumes, tmp_path / "run", "0.6.4") as release:
        assert release.run("suites/backup").status == 0
        (backup,) = release.suites.backups()
        database, claim, volume = release.database(), release.claim(), volume_of(release.world, release.namespace)
        assert policy(world, volume) == "Delete"
        world.helm(["upgrade", "openab", world.package("0.6.4"), "--namespace", release.namespace, "--reuse-values"])
        release.shell("echo new >newer")
        release.kubectl("delete", "secret", "sh.helm.release.v1.openab.v1")

        back = release.run("suites/reinstall", f"--backup={backup.name}")
        assert back.status == 0, back.output
        assert (release.chart(), release.image(), release.ready()) == ("0.6.4 deployed", "0.6.4", True)
        assert (release.kept(), release.leftovers()) == (True, "")
        assert volume_of(world, release.namespace) == volume
        assert policy(world, volume) == "Delete"
        assert release.claim() != claim
        integrity, version, rows = release.database()
        assert (integrity, version, rows >= database[2]) == ("ok", database[1], True)
        assert not (release.volume() / "newer").exists()
        (aside,) = release.suites.backup_root.glob("openab-aside-*")
        assert "newer" in (aside / AGENT / "aside.txt").read_text()


def volume_of(world: World, namespace: str) -> str:
    return world.kubectl("--namespace", namespace, "get", "pvc", AGENT, "--output=jsonpath={.spec.volumeName}")


def policy(world: World, volume: str) -> str:
    return world.kubectl("get", "pv", volume, "--output=jsonpath={.spec.persistentVolumeReclaimPolicy}")
