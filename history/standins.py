"""Stand-ins for the images that charts of the history name: our agent, under exactly their references."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox import Sandbox
from sandbox.build import go_binaries
from sandbox.images import ImageConfig, layer, rootfs
from world.images import AGENT, PROGRAM, UID, Image, agent_layer, write_archive

REFUSING = ("0.7.4-beta.3", "0.7.4")
"""Tags of images whose command line changed while the command that they start with did not: they end with status 2.

Source: github.com/openabdev/openab, src/main.rs and Dockerfile at the tags v0.7.4 (subcommands, and no ``run``) and
v0.7.5 (``run`` is there). ``-c`` came to both sides in the same version, 0.8.1-beta.4.
"""


def load(box: Sandbox, references: Iterable[str], chat_url: str, progress: Callable[[str], None]) -> None:
    """Load a stand-in for each reference into the node.

    Args:
        chat_url: the chat platform that they connect to.

    Raises:
        SandboxError: the sandbox is not up, or a build fails.
    """
    program, base = go_binaries(AGENT, progress) / PROGRAM, rootfs(progress)
    with TemporaryDirectory(prefix="openab-history-") as scratch:
        directory = Path(scratch)
        agent = agent_layer(directory / "agent.tar", base, program)
        made = [
            Image(
                (base, agent, _release_layer(directory, reference)), config(reference, chat_url), (tagged(reference),)
            )
            for reference in sorted(references)
        ]
        progress(f"loading {len(made)} images")
        box.load(write_archive(directory / "images.tar", made))


def config(reference: str, chat_url: str) -> ImageConfig:
    """How the container of an image starts: the charts name no command, and each image brings its own."""
    return ImageConfig(
        command=("tini", "--", *_command(_name(reference))),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/agent", "OPENAB_CHAT_URL": chat_url},
        user=str(UID),
        working_directory="/home/agent",
    )


def release_file(reference: str) -> str:
    """What makes the agent play the image's version: the content of /etc/openab-release.toml."""
    tag = reference.rpartition(":")[2]
    fault = "refuses-arguments" if tag in REFUSING and "gateway" not in _name(reference) else ""
    fields: dict[str, str | int] = {"version": tag, "flavour": "", "schema": 1, "fault": fault}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def _release_layer(directory: Path, reference: str) -> Path:
    file = directory / f"{re.sub(r'[^a-z0-9.-]', '_', reference)}.tar"
    return layer(file, [("etc/openab-release.toml", release_file(reference).encode(), 0o644)])


def tagged(reference: str) -> str:
    """An image's reference as a node knows it: without a tag it is ``latest``."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _name(reference: str) -> str:
    """The last part of an image's reference, without its tag."""
    return reference.rpartition("/")[2].partition(":")[0]


def _command(name: str) -> tuple[str, ...]:
    if name.endswith("-gateway"):
        return ("openab-gateway",)
    program = "agent-broker" if name.startswith("agent-broker") else "openab"
    return (program, "run", "-c", f"/etc/{program}/config.toml")
