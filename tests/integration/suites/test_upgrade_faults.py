"""Every misbehaving version: what the upgrade ends with, judged by kubectl, helm, sqlite3 and digests.

The stories run side by side: most of their time is waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import AGENT, Upgrading, upgrading
from world import World

SIDE_BY_SIDE = 3
BEFORE, AFTER = "test_data_are_restored", "test_new_claims_are_filled"
"""Steps that restore: before the old version starts, or into the claim that an older helm has made for it."""
CONFIRMED = ("--approval=auto",)
SAME_IMAGE = ("--accept=image-unchanged:openab-kiro", "--reason=to see what comes of it")
CLAIM_DELETED = ("--accept=claim-deleted:openab-kiro", "--reason=to see what comes of it")
"""The plan names these before anything is touched."""


@dataclass(frozen=True)
class Story:
    """An upgrade of 0.8.1, or of ``start``, to ``target``: options of the run, and how it ends.

    Attributes:
        answers: what is answered at the gates, one run each; without any, every gate is confirmed.
        status: exit status of the last run.
        runs: the version that runs in the end, and its image's tag.
        said: what the last run says.
        rule: the row of the decision table; empty if none was asked for.
        image: the tag of the image that runs in the end, if not that version's own.
        seen: what the step that judges the stable version recorded.
        name: what the story is called, if not as its target.
        restored: the step that restored the home on the way back; empty if none did.
    """

    target: str
    status: int
    runs: str
    said: str
    rule: str = ""
    options: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ("kiro",)
    start: str = "0.8.1"
    restored: str = ""
    image: str = ""
    seen: str = ""
    name: str = ""


STORIES = {
    story.name or story.target: story
    for story in (
        Story("0.9.0-refuses-arguments.1", 11, "0.8.1", "ended with status 2", "crash-or-pending"),
        Story("0.9.0-panics-at-start.1", 11, "0.8.1", "ended with status 101", "crash-or-pending"),
        Story("0.9.0-panics-later.1", 11, "0.8.1", "status 101", "crash-or-pending", ("--settle=40",)),
        Story("0.9.0-never-ready.1", 11, "0.8.1", "ready", "anything-else"),
        Story("0.9.0-wrong-process.1", 11, "0.8.1", "none is called openab", "no-process"),
        Story("0.9.0-logs-errors.1", 0, "0.9.0-logs-errors.1", "verdict: passed"),
        Story(
            "0.9.0-migration-fails.1",
            11,
            "0.8.1",
            "a container ended or was restarted",
            "crash-or-pending",
            restored=BEFORE,
        ),
        Story("0.9.0-deletes-files.1", 11, "0.8.1", "it is gone", "config-missing-again", restored=BEFORE),
        Story("0.9.0-loses-connection.1", 11, "0.8.1", "connect", "anything-else", ("--settle=8",)),
        Story(
            "0.9.0-logs-errors.1",
            11,
            "0.8.1",
            "panic or fatal",
            "panic",
            ("--panic-pattern=ERROR",),
            name="what it logs is a panic",
        ),
        Story("0.9.0-same-image.1", 0, "0.9.0-same-image.1", "verdict: passed", options=SAME_IMAGE, image="0.8.1"),
        Story(
            "0.9.0-config-only.1",
            0,
            "0.9.0-config-only.1",
            "verdict: passed",
            options=SAME_IMAGE,
            image="0.8.1",
            seen="restarted: openab-kiro",
        ),
        Story("0.9.0-ignores-sigterm.1", 0, "0.9.0-ignores-sigterm.1", "verdict: passed"),
        Story("0.9.0-no-image.1", 1, "0.8.1", "0.9.0-no-image.1"),
        Story("0.9.0-no-tar.1", 12, "0.8.1", "a human said ROLLBACK", "rollback-asked", answers=("stable:ROLLBACK",)),
        Story(
            "0.9.0-migrates-data.1",
            12,
            "0.8.1",
            "a human said ROLLBACK",
            "rollback-asked",
            answers=("stable:ROLLBACK",),
            restored=BEFORE,
        ),
        Story("0.9.0-one-agent-panics.1", 11, "0.8.1", "openab-claude", "crash-or-pending", agents=("kiro", "claude")),
        Story(
            "0.9.0-renames-claim.1",
            11,
            "0.6.4",
            "is another than before",
            "volume-lost",
            CLAIM_DELETED,
            start="0.6.4",
            restored=BEFORE,
        ),
        Story("0.9.0", 11, "0.8.1", "status 101", "crash-or-pending"),
        Story("0.9.1", 11, "0.8.1", "status 101", "crash-or-pending"),
        Story("0.9.2", 11, "0.8.1", "status 101", "crash-or-pending", ("--settle=40",), restored=BEFORE),
        Story("0.9.3", 1, "0.8.1", "not-validated:0.9.3"),
    )
}


@dataclass(frozen=True)
class Told:
    """A story as it came out: each run, the release after it, and how it was before."""

    runs: list[Run]
    release: Upgrading
    claim: str
    database: tuple[str, str, int]

    @property
    def last(self) -> Run:
        return self.runs[-1]


@pytest.fixture(scope="module")
def told(
    world: World,
    status: Status,
    volumes: Volumes,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, Future[Told]]]:
    """Every story that is asked for, told or being told; all is gone at the end."""

    def tell(story: Story) -> Told:
        directory = tmp_path_factory.mktemp("story") / "run"
        release = stack.enter_context(upgrading(world, status, volumes, directory, story.start, story.agents))
        claim, database = release.claim(), release.database()
        arguments = ("suites", f"--target-version={story.target}", *story.options)
        runs = [release.run(*arguments, *(() if story.answers else CONFIRMED))]
        for answer in story.answers:
            assert runs[-1].status == 10, runs[-1].output
            runs.append(release.run("suites/upgrade", *arguments[1:], f"--answer={answer}"))
        return Told(runs, release, claim, database)

    tmp_path_factory.getbasetemp()  # made once, before threads ask for it
    with ExitStack() as stack, ThreadPoolExecutor(SIDE_BY_SIDE) as several:
        asked = " ".join(item.nodeid for item in request.session.items)
        yield {name: several.submit(tell, story) for name, story in STORIES.items() if f"[{name}]" in asked}


@pytest.mark.parametrize("name", STORIES)
def test_the_release_ends_up_on_a_version_that_works(name: str, told: dict[str, Future[Told]]) -> None:
    story, end = STORIES[name], told[name].result()
    release = end.release
    assert end.last.status == story.status, end.last.output
    assert story.said in end.last.output
    assert release.chart() == f"{story.runs} deployed"
    assert release.image() == (story.image or story.runs)
    assert release.ready()
    assert release.leftovers() == ""
    for agent in (f"openab-{agent}" for agent in story.agents):
        assert release.kept(agent)
    if story.rule == "volume-lost":
        assert (
            "left behind: WARNING: the version that was taken back has made PersistentVolumeClaim/" in end.last.output
        )
    if story.seen:
        assert story.seen in end.last.evidence("test_stable_runs_well")
    if story.rule:
        assert f"rule {story.rule})" in end.last.output
        assert f"{story.runs}" in end.last.output
    assert (release.claim() == end.claim) == (story.rule != "volume-lost")
    integrity, version, rows = release.database()
    assert (integrity, version) == end.database[:2]
    assert rows >= end.database[2]
    assert [step for step in (BEFORE, AFTER) if end.last.verdicts().get(step) == "passed"] == [
        *filter(None, [story.restored])
    ]


def test_every_misbehaving_version_has_its_story() -> None:
    from world.versions import family

    faults = {version.version for version in family().versions if version.fault or "-" in version.version}
    elsewhere = {"0.9.0-gateway-panics.1"}  # test_companions.py
    elsewhere |= {"0.9.0-one-chat.1", "0.9.0-jobs-elsewhere.1"}  # test_chats.py
    told = set(STORIES) | {f"{name}-beta.1" for name in STORIES} | elsewhere
    assert {name for name in faults if name.startswith("0.9.")} <= told
    assert AGENT == "openab-kiro"
