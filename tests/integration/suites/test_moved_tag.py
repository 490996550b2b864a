"""A tag that was moved after an upgrade: a rollback names the image, and never takes data away because of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, FILES, Upgrading, upgrading
from world import World

AUTO = ("suites", "--approval=auto")
OURS = "openab.local/openab"
PANICS = "0.9.0-panics-at-start.1"
ACCEPTED = (f"--accept=image-moved:{AGENT}", "--reason=it is meant to run")


class Tags:
    """A repository that only this test has on the node, with images of its own: kubelet names one by any of its tags.

    Args:
        directory: where images are put together.
    """

    def __init__(self, status: Status, directory: Path) -> None:
        self._status, self._directory = status, directory
        self.repository = f"openab.local/moved-tag-{uuid4().hex[:8]}"
        self._made: set[str] = set()

    def put(self, tag: str, version: str) -> None:
        """Have a tag mean the image of a version; ``@`` is the digest by which a registry would know it."""
        image = self._own(version)
        if tag == "@":
            listed = self._ctr("images", "ls", f"name=={image}").splitlines()[1].split()
            name = f"{self.repository}@{listed[2]}"
        else:
            name = f"{self.repository}:{tag}"
        self._ctr("images", "tag", "--force", "--skip-reference-check", image, name)
        self._made.add(name)

    def _own(self, version: str) -> str:
        """Return an image of a version that differs from the world's by a label, and so by its id."""
        own = f"{self.repository}:image-of-{version}"
        if own in self._made:
            return own
        exported, made = self._directory / "exported.tar", self._directory / "own.tar"
        self._ctr("images", "export", str(exported), f"{OURS}:{version}")
        with tarfile.open(exported) as old, tarfile.open(made, "w") as new:
            (said,) = json.loads(_content(old, "manifest.json"))
            config = json.loads(_content(old, said["Config"]))
            config["config"]["Labels"] = {"of": self.repository}
            blob = json.dumps(config).encode()
            name = f"{sha256(blob).hexdigest()}.json"
            manifest = [{"Config": name, "RepoTags": [own], "Layers": said["Layers"]}]
            for path, content in ((name, blob), ("manifest.json", json.dumps(manifest).encode())):
                member = tarfile.TarInfo(path)
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
            for layer in said["Layers"]:
                new.addfile(old.getmember(layer), old.extractfile(layer))
        self._ctr("images", "import", str(made))
        self._made.add(own)
        return own

    def remove(self) -> None:
        self._ctr("images", "rm", *self._made)

    def _ctr(self, *arguments: str) -> str:
        command = [self._status.bin / "ctr", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream
    return stream.read()


@contextmanager
def floating(
    world: World, status: Status, volumes: Volumes, directory: Path, *, digests: bool = False
) -> Generator[tuple[Upgrading, Tags, Path]]:
    """A release that was installed from ``:latest``, its tags, and values for a target that is called by its version.

    Args:
        digests: whether the node knows the images by digests of a registry, not by ids of its own alone.
    """
    tags = Tags(status, directory)
    try:
        for version in ("0.8.1", "0.8.2"):
            if digests:
                tags.put("@", version)
            tags.put("latest" if version == "0.8.1" else version, version)
        top = {"image": {"repository": tags.repository, "tag": "latest"}}
        with upgrading(world, status, volumes, directory / "run", top=top) as release:
            own = json.loads(world.helm(["get", "values", "openab", "--output=json", "-n", release.namespace]))
            given = directory / "values.json"
            given.touch(0o600)
            given.write_text(json.dumps({**own, "image": {"repository": tags.repository, "tag": ""}}))
            yield release, tags, given
    finally:
        tags.remove()


def upgraded(release: Upgrading, given: Path) -> None:
    up = release.run(*AUTO, "--target-version=0.8.2", f"--values={given}")
    assert up.status == 0, up.output
    release.shell("echo of today >newer; echo other >.config/gh/hosts.yml")


def image_id(release: Upgrading) -> str:
    pods = json.loads(release.kubectl("get", "pods", "--output=json"))["items"]
    (found,) = {status["imageID"] for pod in pods for status in pod["status"]["containerStatuses"]}
    return str(found)


def pods(release: Upgrading) -> str:
    return release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")


def newer(release: Upgrading) -> list[str]:
    volume = release.volume()
    return [(volume / name).read_text() for name in ("newer", ".config/gh/hosts.yml") if (volume / name).is_file()]


def kept(release: Upgrading) -> bool:
    """Whether what nobody has changed is as it was."""
    volume = release.volume()
    return all((volume / name).read_text() == text for name, text in FILES.items() if name != ".config/gh/hosts.yml")


def summary(run: Run) -> str:
    return run.output.partition("= summary =")[2] or run.output[-4000:]


def test_a_tag_that_has_not_moved(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Installed from a floating tag, upgraded, rolled back: the same image runs, and nothing is said of images."""
    with floating(world, status, volumes, tmp_path) as (release, _, given):
        before = image_id(release)
        upgraded(release, given)
        assert image_id(release) != before
        back = release.run("suites/rollback", "--yes")
        assert back.status == 0, back.output
        assert (image_id(release), release.chart()) == (before, "0.8.1 deployed")
        assert (release.ready(), release.crashed(), release.leftovers()) == (True, False, "")
        assert (newer(release), kept(release)) == (["of today\n", "other\n"], True)
        assert "another image" not in back.output
        assert "image-moved" not in back.output
        assert "as it was before the upgrade" in summary(back)


@pytest.mark.parametrize("digests", [False, True], ids=["node's own ids", "registry's digests"])
def test_by_hand_nothing_is_stopped_and_what_is_accepted_is_named(
    world: World, status: Status, volumes: Volumes, tmp_path: Path, digests: bool
) -> None:
    """The tag means a good image by now: whoever wants that says so, and the summary does not call it the old one."""
    with floating(world, status, volumes, tmp_path, digests=digests) as (release, tags, given):
        before = image_id(release)
        upgraded(release, given)
        running, now = pods(release), image_id(release)
        tags.put("latest", "0.8.2")
        refused = release.run("suites/rollback", "--yes")
        assert refused.status == 1, refused.output
        assert (pods(release), release.ready(), release.crashed()) == (running, True, False)
        assert (release.chart(), release.leftovers(), newer(release)) == (
            "0.8.2 deployed",
            "",
            ["of today\n", "other\n"],
        )
        for said in (before, now, f"--accept=image-moved:{AGENT}"):
            assert said in refused.output
        assert (f"images tag --force {before} {tags.repository}:latest" in refused.output) == digests

        back = release.run("suites/rollback", "--yes", *ACCEPTED)
        assert back.status == 0, back.output
        assert (release.chart(), release.ready(), image_id(release)) == ("0.8.1 deployed", True, now)
        assert (newer(release), kept(release), release.leftovers()) == (["of today\n", "other\n"], True, "")
        said = " ".join(summary(back).split())
        assert "with another image of openab-kiro than before the upgrade: passed" in said
        assert f"WARNING: {tags.repository}:latest is {now} now, and was {before} before the upgrade" in said
        assert "it is meant to run" in said
        assert "as it was before the upgrade" not in said


def test_a_broken_image_takes_no_data(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Accepted, and it panics: the image is to blame; moved back, the same command comes to its end."""
    with floating(world, status, volumes, tmp_path) as (release, tags, given):
        before = image_id(release)
        upgraded(release, given)
        tags.put("latest", PANICS)
        stuck = release.run("suites/rollback", "--yes", *ACCEPTED)
        assert stuck.status == 15, stuck.output
        assert stuck.verdicts()["test_data_are_restored_after_all"] != "passed"
        assert "no volume is restored" in stuck.output
        assert newer(release) == ["of today\n", "other\n"]
        assert f"and was {before} before the upgrade" in " ".join(summary(stuck).split())

        tags.put("latest", "0.8.1")
        release.kubectl("delete", "pods", "--selector=app.kubernetes.io/component=kiro")
        back = release.run("suites/rollback", "--yes")
        assert back.status == 0, back.output
        assert (image_id(release), release.ready(), release.leftovers()) == (before, True, "")
        assert (newer(release), kept(release)) == (["of today\n", "other\n"], True)


def test_a_rollback_by_itself_names_the_image(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> None:
    """Nobody is there to accept it, and an agent must run: the summary says which image it is."""
    with floating(world, status, volumes, tmp_path) as (release, tags, given):
        before = image_id(release)
        tags.put("0.8.2", PANICS)
        tags.put("latest", "0.8.2")  # the pod that runs is the one of before
        failed = release.run(*AUTO, "--target-version=0.8.2", f"--values={given}")
        assert failed.status == 11, failed.output
        assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.1 deployed", True, "")
        assert image_id(release) != before
        assert kept(release)
        said = " ".join(summary(failed).split())
        assert f"WARNING: {tags.repository}:latest is {image_id(release)} now, and was {before}" in said
        assert "the release is as it was" not in said
