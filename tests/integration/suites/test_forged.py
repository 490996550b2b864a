"""Notes on the cluster that somebody else has written: nothing is thrown away, and no agent stands still, by them."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox import Status
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.tiny import DEPLOYMENT, tiny_release
from world import World

PRECIOUS = "of-somebody-else"


def test_a_claim_that_is_marked_as_half_filled_is_not_written_over(
    world: World, status: Status, volumes: Volumes, tmp_path: Path
) -> None:
    """The release is gone, its claim holds what the backup has not, and somebody annotates it as a rebuild would."""
    with tiny_release(world, status, tmp_path) as tiny:
        _, backup = tiny.backup()
        tiny.shell(f"echo {PRECIOUS} >precious")
        world.helm(["uninstall", "openab", "--namespace", tiny.namespace, "--wait"])
        name = json.loads((backup / "backup.json").read_text())["name"]
        for proof in ("", " " + 32 * "0"):
            marks = (f"openab-sop/restored-from={name}{proof}", f"openab-sop/filling={name}{proof}")
            tiny.kubectl("annotate", "--overwrite", "pvc", DEPLOYMENT, *marks)
            run = tiny.suites.run("suites/rebuild", f"--namespace={tiny.namespace}", f"--backup={backup}")
            assert run.status == 0, run.output
            assert "kept as it is" in run.evidence("test_claims_are_made")
            assert (volumes.of(tiny.namespace, DEPLOYMENT) / "precious").read_text().strip() == PRECIOUS
            world.helm(["uninstall", "openab", "--namespace", tiny.namespace, "--wait"])


def test_replicas_that_somebody_has_noted_do_not_keep_an_agent_down(
    world: World, status: Status, tmp_path: Path
) -> None:
    """The agent runs, and is noted as one that had none: after a restore it runs again, once."""
    with tiny_release(world, status, tmp_path) as tiny:
        _, backup = tiny.backup()
        tiny.kubectl("annotate", "deployment", DEPLOYMENT, "openab-sop/replicas=0")
        tiny.shell("echo changed >later")
        run = tiny.suites.run("suites/restore", "--yes", f"--namespace={tiny.namespace}", f"--backup={backup}")
        assert run.status == 0, run.output
        assert tiny.kubectl("get", "deploy", DEPLOYMENT, "--output=jsonpath={.status.readyReplicas}") == "1"
