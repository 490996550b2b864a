"""docker-archives, looked at with tarfile and json alone."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from sandbox import images
from sandbox.images import ImageConfig

CONFIG = ImageConfig(command=("openab", "run"), env={"HOME": "/home/agent"}, user="1000:1000")


def test_layers_come_in_order_and_have_the_digests_that_the_config_names(tmp_path: Path) -> None:
    base = images.layer(tmp_path / "base.tar", [("bin/tool", b"tool", 0o755)])
    top = images.layer(tmp_path / "top.tar", [("etc/release", b"1", 0o644)])

    archive = images.docker_archive(tmp_path / "i.tar", layers=[base, top], config=CONFIG, tags=["a/b:1"])

    manifest, config, contents = _read(archive)
    assert manifest["RepoTags"] == ["a/b:1"]
    assert [contents[name] for name in manifest["Layers"]] == [base.read_bytes(), top.read_bytes()]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{_sha256(base)}", f"sha256:{_sha256(top)}"]


def test_the_config_says_what_runs_and_as_whom(tmp_path: Path) -> None:
    base = images.layer(tmp_path / "base.tar", [])

    archive = images.docker_archive(tmp_path / "i.tar", layers=[base], config=CONFIG, tags=["a/b:1"])

    settings = _read(archive)[1]["config"]
    assert settings["Cmd"] == ["openab", "run"]
    assert settings["Env"] == ["HOME=/home/agent"]
    assert settings["User"] == "1000:1000"


def test_images_of_one_base_share_its_layer_by_name(tmp_path: Path) -> None:
    base = images.layer(tmp_path / "base.tar", [("bin/tool", b"tool", 0o755)])
    names = set[str]()
    for version in ("1", "2"):
        top = images.layer(tmp_path / f"{version}.tar", [("etc/release", version.encode(), 0o644)])
        out = tmp_path / f"image-{version}.tar"
        archive = images.docker_archive(out, layers=[base, top], config=CONFIG, tags=[f"a:{version}"])
        names.add(_read(archive)[0]["Layers"][0])

    assert len(names) == 1


def test_the_same_layer_twice_is_stored_once(tmp_path: Path) -> None:
    base = images.layer(tmp_path / "base.tar", [("x", b"x", 0o644)])

    archive = images.docker_archive(tmp_path / "i.tar", layers=[base, base], config=CONFIG, tags=["a:1"])

    with tarfile.open(archive) as opened:
        stored = [name for name in opened.getnames() if name.endswith("layer.tar")]
    assert len(stored) == 1


def test_a_layer_depends_on_its_content_alone(tmp_path: Path) -> None:
    first = images.layer(tmp_path / "1.tar", [("x", b"x", 0o600)])
    source = tmp_path / "x"
    source.write_bytes(b"x")
    second = images.layer(tmp_path / "2.tar", [("x", source, 0o600)])

    assert first.read_bytes() == second.read_bytes()


def _read(archive: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, object]], dict[str, bytes]]:
    with tarfile.open(archive) as opened:
        contents = {member.name: file.read() for member in opened if (file := opened.extractfile(member)) is not None}
    manifest = json.loads(contents["manifest.json"])[0]
    return manifest, json.loads(contents[manifest["Config"]]), contents


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
