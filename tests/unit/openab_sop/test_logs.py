"""What is read from a log: real lines of OpenAB and the stand-in, piece by piece, and what is quoted of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openab_sop import redact
from openab_sop.errors import SettingsError
from openab_sop.rollouts import logs
from openab_sop.rollouts.logs import QUOTED, WIDTH, LogFacts, Patterns, complaints, fingerprint

DISCORD = " INFO openab::discord: discord bot connected user=bot"
SLACK = " INFO openab::slack: Slack Socket Mode connected"
GIT = "fatal: not a git repository (or any of the parent directories): .git"
PANIC = "thread 'main' panicked at src/main.rs:231:18:"


def log(*lines: str, second: int = 0) -> str:
    """A log as the API returns it: nanoseconds, no trailing zeros."""
    return "".join(f"2026-05-07T08:09:{second + n:02}.12345678Z {line}\n" for n, line in enumerate(lines))


def facts(*lines: str) -> LogFacts:
    return LogFacts().read(log(*lines))


@pytest.mark.parametrize(
    "line",
    [
        DISCORD,
        SLACK,
        " INFO openab::gateway: connected to gateway",
        " INFO openab::slack: slack bot connected user=offline",
        " INFO openab_core::discord: discord bot connected user=bot",
        " INFO openab_gateway::adapters::feishu: feishu websocket connected",
        "\x1b[2m2026-05-07T08:09:37Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mopenab::discord\x1b[0m\x1b[2m:\x1b[0m discord "
        "bot \x1b[1mconnected\x1b[0m \x1b[3muser\x1b[0m\x1b[2m=\x1b[0mbot",
    ],
)
def test_connected(line: str) -> None:
    assert facts("INFO openab: config loaded", line).connected_at == datetime(2026, 5, 7, 8, 9, 1, 123456, UTC)


@pytest.mark.parametrize(
    "line",
    [
        " INFO openab::gateway: connecting to custom gateway url=ws://gateway",
        " INFO openab::slack: connecting to Slack Socket Mode url=wss://slack",
        " INFO openab::discord: discord bot disconnected",
        "ERROR openab::discord: not connected",
        " INFO openab_gateway::adapters::feishu: feishu websocket disconnected, reconnecting...",
        " INFO openab: unified webhook server listening addr=0.0.0.0:8080",
        "",
    ],
)
def test_not_connected(line: str) -> None:
    assert facts(line).connected_at is None


def test_an_adapter_is_told_by_its_module_in_whatever_crate_it_is() -> None:
    discord, slack = DISCORD.replace("openab::", "openab_core::"), SLACK.replace("openab::", "openab_core::")
    lost = facts(discord, slack, "ERROR openab_core::slack: Socket Mode read error: reset")
    assert lost.disconnected_at is not None
    assert lost.read(log(discord, second=5)).disconnected_at is not None
    assert lost.read(log(slack, second=5)).disconnected_at is None


@pytest.mark.parametrize(
    "line",
    [
        " WARN openab::slack: Slack Socket Mode connection closed by server",
        "ERROR openab::slack: Socket Mode read error: reset",
        "ERROR openab::slack: failed to connect to Slack Socket Mode: refused",
        "ERROR openab: connection closed by the platform (4014), not trying again",
        ' WARN openab::slack: connection lost, trying again error="reset"',
    ],
)
def test_a_lost_connection_is_lost_until_the_same_adapter_connects_again(line: str) -> None:
    lost = facts(DISCORD, SLACK, line)
    assert lost.connected_at and lost.disconnected_at == datetime(2026, 5, 7, 8, 9, 2, 123456, UTC)
    assert lost.read(log(SLACK, second=5)).disconnected_at is None
    other = lost.read(log(DISCORD, second=5)).disconnected_at
    assert (other is None) == ("openab: " in line)  # who logs it for all is contradicted by any


@pytest.mark.parametrize(
    "line",
    [
        "ERROR openab::adapter: pool error: connection closed",
        " INFO openab::slack: Slack adapter shutting down",
        "ERROR openab::discord: failed to create thread: no permission",
    ],
)
def test_other_trouble_is_no_lost_connection(line: str) -> None:
    assert facts(DISCORD, line).disconnected_at is None


def test_lines_are_counted() -> None:
    seen = facts("ERROR openab: one", " WARN openab: 2 errors", "error: unexpected argument", PANIC, "0 errors, ok")
    assert (seen.lines, seen.errors, seen.warnings, seen.panic_count) == (5, 2, 1, 1)
    assert str(seen) == "not connected; in 5 log lines: 1 panic or fatal, 2 errors, 1 warnings"
    assert seen.last_words == PANIC
    assert facts("ERROR openab: one").last_words == "ERROR openab: one"


@pytest.mark.parametrize("line", [PANIC, "fatal runtime error: stack overflow", "FATAL: out of memory", "kernel panic"])
def test_panics(line: str) -> None:
    assert facts(line).panics == (line,)


@pytest.mark.parametrize("line", [GIT, "panicky", "nonfatal", "INFO: fatality"])
def test_no_panics(line: str) -> None:
    assert facts(line).panics == ()


def test_what_the_old_version_logged_too_is_not_held_against_the_new() -> None:
    """Times, numbers and ids may differ; the words may not."""
    old = "2026-01-01T00:00:00Z fatal: unable to access 'https://x/': port 443, id 0123456789abcdef"
    new = "\x1b[31m2026-05-07T08:00:01Z fatal: unable to access 'https://x/': port 8443, id fedcba9876543210\x1b[0m"
    worse = "2026-05-07T08:00:01Z fatal: unable to open 'https://x/': port 443, id 0123456789abcdef"
    known = complaints(log("fine", old))
    assert known == {fingerprint(old)}
    seen = LogFacts().read(log(new, worse), known=known)
    assert (seen.panics, seen.known_panics) == ((worse,), 1)
    assert "that the old version logged too" in str(seen)


def test_pieces_that_overlap_are_read_once() -> None:
    whole = log(*(f"ERROR {n}" for n in range(9)))
    lines = whole.splitlines(keepends=True)
    seen = LogFacts().read("".join(lines[:5])).read("".join(lines[3:7])).read(whole).read(whole)
    assert (seen.lines, seen.errors) == (9, 9)
    assert seen.last_errors == tuple(f"ERROR {n}" for n in range(9 - QUOTED, 9))


def test_lines_of_the_same_moment_are_read_once_each() -> None:
    """A burst has one time for several lines, and pieces begin with a whole second."""
    burst = [f"2026-05-07T08:09:01.5Z ERROR {n}\n" for n in range(4)]
    late = ["2026-05-07T08:09:01.6Z ERROR 4\n", "2026-05-07T08:09:02Z ERROR 5\n", "2026-05-07T08:09:02Z ERROR 6\n"]
    seen = LogFacts()
    for end in range(len(burst + late) + 1):
        whole = (burst + late)[:end]
        asked_for = [line for line in whole if seen.until is None or line >= f"{seen.until:%Y-%m-%dT%H:%M:%S}"]
        seen = seen.read("".join(asked_for))
        assert seen.errors == end
    assert seen.last_errors == tuple(f"ERROR {n}" for n in range(2, 7))


def test_what_is_quoted_is_masked_harmless_short_and_few() -> None:
    redact.learn("correct-horse-battery")
    seen = facts(*(["ERROR panic: \x1b]0;title\x07 token=correct-horse-battery " + "x" * 1000] * 20))
    assert seen.panic_count == 20
    assert len(seen.panics) == QUOTED
    for line in (*seen.panics, *seen.last_errors):
        assert "correct-horse" not in line
        assert "\x1b" not in line and "\x07" not in line
        assert len(line) <= WIDTH


def test_what_is_no_log_line_is_passed_over() -> None:
    text = "unable to retrieve container logs for containerd://x\n2026-05-07 panic\n\n2026-05-07T00:00:00 panic\n"
    assert LogFacts().read(text) == LogFacts()


def test_an_empty_pattern_matches_nothing() -> None:
    seen = LogFacts().read(log(DISCORD, PANIC), Patterns(connected="", panic=""))
    assert (seen.connected_at, seen.panic_count) == (None, 0)


WEBHOOKS = " INFO openab::webhooks: unified webhook server listening addr=0.0.0.0:8080"


@pytest.mark.parametrize(
    ("line", "chats"),
    [
        (DISCORD, {"Discord"}),
        (" INFO openab::slack: Socket Mode connected", {"Slack"}),
        (" INFO openab::gateway: connected to gateway url=ws://x", {"gateway"}),
        (" INFO openab_gateway::adapters::feishu: feishu websocket connected", {"Feishu"}),
        (WEBHOOKS, {"webhooks"}),
        (" INFO openab::gateway: starting gateway adapter", set[str]()),
    ],
)
def test_each_chat_says_so_in_its_own_words(line: str, chats: set[str]) -> None:
    assert LogFacts().read(log(line)).chats == logs.chats(log(line)) == chats


def test_every_chat_that_is_wanted_has_to_be_there() -> None:
    seen = LogFacts().read(log(DISCORD, WEBHOOKS))
    assert seen.is_connected({"Discord", "webhooks"})
    assert not seen.is_connected({"Discord", "Slack"})


def test_who_only_listens_is_connected_only_if_that_is_all_that_was() -> None:
    """An agent with a chat beside it says first that it listens."""
    seen = LogFacts().read(log(WEBHOOKS))
    assert not seen.is_connected()
    assert seen.is_connected({"webhooks"})


def test_a_pattern_that_is_none_is_told_by_name() -> None:
    with pytest.raises(SettingsError, match="pattern for disconnected"):
        Patterns(disconnected="(")


LOADED = " INFO openab_core::cron: loaded usercron jobs count=2 path=/home/agent/.openab/cronjob.toml"
RELOADED = " INFO openab_core::cron: usercron file changed, reloading count=0 path=/home/agent/.openab/cronjob.toml"
NO_JOBS = " INFO openab::cron: no cronjobs yet, but usercron_path is set"


@pytest.mark.parametrize(
    ("lines", "count"),
    [([], None), ([DISCORD], None), ([LOADED], 2), ([LOADED, RELOADED], 0), ([NO_JOBS], 0), ([NO_JOBS, LOADED], 2)],
)
def test_the_homes_own_jobs(lines: list[str], count: int | None) -> None:
    assert logs.jobs(log(*lines)) == count
