"""The images: what makes one version differ from another, and an archive that containerd takes."""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from world.images import Image, images, release_file, write_archive
from world.versions import Version


@pytest.fixture
def made(tmp_path: Path) -> list[Image]:
    """The images of two versions on a small base."""
    base, program = tmp_path / "base.tar", tmp_path / "openab"
    with tarfile.open(base, "w") as archive:
        for name in ("./etc/passwd", "./etc/group"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"x\n"))
    program.write_bytes(b"program")
    good = Version("1.0.0", "gateway", alias="latest")
    bad = Version("1.1.0-bad.1", "gateway", fault="panics-later", after=7, schema=2)
    absent = Version("1.2.0", "gateway", image=False)
    return images([good, bad, absent], base, program, tmp_path)


def test_the_release_file_says_what_to_play() -> None:
    """In TOML, whatever the values."""
    played = tomllib.loads(release_file(Version("1.1.0-bad.1", "gateway", fault="panics-later", after=7, schema=2)))
    assert (played["version"], played["fault"], played["after"], played["schema"]) == (
        "1.1.0-bad.1",
        "panics-later",
        7,
        2,
    )


def test_a_fault_may_be_of_one_flavour_only() -> None:
    """So that one agent of a release breaks and the other does not."""
    version = Version("1.1.0-bad.1", "gateway", fault="panics-at-start", only="claude")
    faults = {flavour: tomllib.loads(release_file(version, flavour))["fault"] for flavour in ("", "claude", "gateway")}
    assert faults == {"": "", "claude": "panics-at-start", "gateway": ""}


def test_every_version_with_an_image_has_its_flavours(made: list[Image]) -> None:
    """And its aliases; a version without an image has none."""
    tags = [tag for image in made for tag in image.tags]
    assert tags[:4] == [
        "openab.local/openab:1.0.0",
        "openab.local/openab:latest",
        "openab.local/openab-claude:1.0.0",
        "openab.local/openab-claude:latest",
    ]
    assert not any(tag.endswith("1.2.0") for tag in tags)


def test_the_gateway_runs_its_own_program(made: list[Image]) -> None:
    """Everything else runs the agent as the real image does."""
    commands = {image.tags[0]: image.config.command for image in made}
    assert commands["openab.local/openab-gateway:1.0.0"] == ("tini", "--", "openab-gateway")
    run = ("tini", "--", "openab", "run", "-c", "/etc/openab/config.toml")
    assert commands["openab.local/openab:1.0.0"] == run


def test_the_archive_has_each_layer_once_and_every_image_its_own_id(made: list[Image], tmp_path: Path) -> None:
    """Versions share the base and the agent; image ids differ, so that a running image tells its version."""
    with tarfile.open(write_archive(tmp_path / "images.tar", made)) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        layers = [name for name in names if name.endswith("layer.tar")]
        assert len(layers) == len(set(layers)) == 2 + len(made)
        assert len({image["Config"] for image in manifest}) == len(made)
        for image in manifest:
            config = json.load(archive.extractfile(image["Config"]) or io.BytesIO())
            digests = [f"sha256:{layer.partition('/')[0]}" for layer in image["Layers"]]
            assert config["rootfs"]["diff_ids"] == digests
            assert config["config"]["User"] == "1000"


def test_the_agents_layer_has_its_user_its_home_and_its_names(made: list[Image]) -> None:
    """The home belongs to uid 1000, for pods that mount no volume there."""
    with tarfile.open(made[0].layers[1]) as layer:
        home = layer.getmember("home/agent")
        assert (home.uid, home.mode, home.isdir()) == (1000, 0o755, True)
        passwd = layer.extractfile("etc/passwd")
        assert passwd is not None
        assert passwd.read() == b"x\nagent:x:1000:1000::/home/agent:/bin/bash\n"
        assert layer.getmember("usr/local/bin/standin-home").linkname == "openab"
