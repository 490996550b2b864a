"""Announcements: a webhook gets them, and none that fails or hangs costs the run anything."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from openab_sop import redact
from openab_sop.errors import SettingsError
from openab_sop.targets import announce
from openab_sop.targets.announce import Announcer
from tests.served import Asked, Says, serving

TOKEN = "Tok3n-of-a-webhook_0123456789"
PATH = f"/api/webhooks/1097261234567890123/{TOKEN}"


def content(asked: Asked) -> str:
    return json.loads(asked.body)["content"]


def test_without_an_address_the_message_is_to_be_sent_by_hand() -> None:
    line = Announcer.to([]).send("Upgrade begins", "expect 5 s")
    assert line == "no --announce; send this by hand: Upgrade begins: expect 5 s"


def test_a_discord_webhook_gets_the_message(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(lambda _: Says(status=204)) as server:
        line = Announcer.to([server.url + PATH]).send("Upgrade begins", "expect 5 s")
        assert line == "Upgrade begins (Discord: sent)"
        (asked,) = server.asked
        assert (asked.method, asked.path) == ("POST", PATH)
        assert "Upgrade begins" in content(asked)
        assert "expect 5 s" in content(asked)
    assert capfd.readouterr() == ("", "")


def test_discords_own_address_is_known() -> None:
    for host in ("discord.com", "canary.discord.com"):
        (service,) = Announcer.to([f"https://{host}{PATH}"]).services
        assert str(service.service_name) == "Discord"
        assert vars(service)["notify_url"] == f"https://{host}/api/webhooks"


def test_other_services_of_apprise_work() -> None:
    with serving(lambda _: Says()) as server:
        assert "sent" in Announcer.to([f"json://{server.host}/hook"]).send("title", "body")
        assert json.loads(server.asked[0].body)["message"] == "body"


BROKEN: dict[str, tuple[Callable[[Asked], Says], str]] = {
    "refuses": (lambda _: Says({"message": "Unknown Webhook"}, 404), "it did not take the message"),
    "fails": (lambda _: Says(status=500), "it did not take the message"),
    "hangs": (lambda _: Says(b"x", pause=60), "no answer within"),
    "drips": (lambda _: Says(b"x" * 1000, pieces=1000, pause=0.05), "no answer within"),
}


@pytest.mark.parametrize(("answer", "told"), BROKEN.values(), ids=BROKEN)
def test_a_webhook_that_is_broken_costs_nothing(
    answer: Callable[[Asked], Says], told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(announce, "DEADLINE", 1.0)
    with serving(answer) as server:
        announcer, begun = Announcer.to([server.url + PATH]), time.monotonic()
        line = announcer.send("Upgrade begins", "expect 5 s")
        assert time.monotonic() - begun < 20
        assert line.startswith(f"Discord: {told}")
        assert line.endswith("send this by hand: Upgrade begins: expect 5 s")
        assert TOKEN not in line
    assert capfd.readouterr() == ("", "")


def test_one_that_is_gone_does_not_keep_the_others() -> None:
    with serving(lambda _: Says()) as gone:
        pass
    with serving(lambda _: Says(status=204)) as server:
        line = Announcer.to([gone.url + PATH, server.url + PATH]).send("title", "body")
        assert line.startswith("Discord: it did not take the message; Discord: sent; send this by hand: title")
        assert len(server.asked) == 1


def test_a_hanging_webhook_does_not_keep_the_process(tmp_path: object) -> None:
    code = (
        "import sys; from openab_sop.targets import announce; announce.DEADLINE = 0.5;"
        "print(announce.Announcer.to([sys.argv[1]]).send('title', 'body'))"
    )
    with serving(lambda _: Says(b"x" * 10_000, pieces=10_000, pause=0.05)) as server:
        argv = [sys.executable, "-c", code, server.url + PATH]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert "no answer within" in done.stdout


def test_secrets_do_not_go_out_and_are_not_shown() -> None:
    redact.learn("s3cret-of-the-release")
    with serving(lambda _: Says(status=204)) as server:
        Announcer.to([server.url + PATH]).send("title", "token s3cret-of-the-release")
        assert "s3cret-of-the-release" not in content(server.asked[0])
    assert TOKEN not in redact.mask(f"x {TOKEN} y {server.url}{PATH}")


def test_what_is_no_secret_stays_readable() -> None:
    announce.learn([f"http://chat.example-company.internal:8080{PATH}"])
    assert redact.mask("https://chat.example-company.internal:6443") == "https://chat.example-company.internal:6443"


@pytest.mark.parametrize(
    "url", ["nonsense", "https://example.org/hook-0123456789abcdef", "what://x", "http://[::1", "tgram://"]
)
def test_what_apprise_does_not_know_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match="address 1 of --announce") as refused:
        Announcer.to([url])
    assert url not in str(refused.value)


def test_several_addresses_in_one_text() -> None:
    text = "https://discord.com/api/webhooks/1/a, slack://x/y,z\n json://h,"
    assert announce.split(text) == ("https://discord.com/api/webhooks/1/a", "slack://x/y,z", "json://h")
    assert announce.split("") == announce.split(" ,") == ()
