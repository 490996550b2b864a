"""The page: findings first, old and new beside each other, and nothing on it that is secret or that a browser obeys."""

from __future__ import annotations

import re
from base64 import b64encode
from difflib import HtmlDiff
from typing import Any

import pytest

from openab_sop import redact
from openab_sop.plans.judgement import judge
from openab_sop.plans.page import page
from openab_sop.plans.plan import Plan
from tests.unit.fixtures.pages import HARMLESS, HOSTILE, digest, seen
from tests.unit.openab_sop.plans.drawn import claim, config, drawn, now, secret, then, thing

OLD, NEW, KEPT = "old-t0ken-of-the-chat", "new-t0ken-of-the-chat", "same-t0ken-of-the-chat"


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def shown(plan: Plan, **accepted: Any) -> str:
    """The page as text: HtmlDiff writes spaces as it likes."""
    return page(judge([plan], accepted.get("accepted", {}))).replace("&nbsp;", " ")


def words(html: str) -> str:
    """What a reader sees."""
    return re.sub(r"<[^>]+>", "", html)


def summaries(html: str) -> list[str]:
    return re.findall(r"<summary>(.*?)</summary>", html)


def test_findings_come_first() -> None:
    html = shown(drawn(after=then(replicas=0), charts=("agent-broker", "openab")))
    places = [html.index(word) for word in ("1 block, 1 warn", "agent-off:rel-kiro", "chart-renamed:rel", "<details")]
    assert places == sorted(places)
    assert "<tr class='blocks'>" in html
    assert "<tr class='warns'>" in html


def test_what_was_accepted_says_why() -> None:
    html = shown(drawn(after=then(replicas=0)), accepted={"agent-off:rel-kiro": "it retires"})
    assert "accepted: it retires" in html
    assert "<tr class='accepted'>" in html
    assert "<tr class='blocks'>" not in html


def test_nothing_found_and_nothing_different_is_said() -> None:
    html = shown(drawn(now(), now(), versions=("0.8.1", "0.8.1")))
    assert "nothing was found" in html
    assert summaries(html) == []


def test_what_becomes_of_each_object() -> None:
    plan = drawn(
        now(config("", "old"), claim("kept", keep=True), config("", "same")),
        then(config("", "same"), config("", "new")),
    )
    assert summaries(shown(plan)) == [
        "Deployment rel-kiro changes",
        "ConfigMap old is deleted",
        "PersistentVolumeClaim kept is kept",
        "ConfigMap new is new",
    ]


def test_each_version_on_the_way_has_its_part() -> None:
    html = page(judge([drawn(versions=("0.8.1", "0.9.0-beta.1")), drawn(versions=("0.8.1", "0.9.0"))], {}))
    assert "from 0.8.1 to 0.9.0-beta.1, then 0.9.0" in html
    assert re.findall(r"<h2>(.*?)</h2>", html) == ["0.8.1 and 0.9.0-beta.1", "0.8.1 and 0.9.0"]


def test_of_a_secret_only_the_keys_that_change_are_told() -> None:
    old = secret(token=coded(OLD), same=coded(KEPT))
    new = {**secret(token=coded(NEW), same=coded(KEPT)), "stringData": {"plain": NEW}}
    html = shown(drawn(now(keys=old), then(keys=new)))
    assert "Secret rel-kiro changes" in summaries(html)
    for value in (OLD, NEW, KEPT):
        assert value not in html
        assert coded(value).rstrip("=") not in html
    seen = words(html)
    assert re.search(r"token: '\*\*\* \(changes\)'", seen)
    assert re.search(r"plain: '\*\*\* \(changes\)'", seen)
    assert not re.search(r"same: '\*\*\* \(changes\)'", seen)


def test_a_secret_that_comes_or_goes_is_not_shown_either() -> None:
    for plan in (
        drawn(now(secret("x", token=coded(OLD)))),
        drawn(after=then(secret("x", token=coded(OLD)))),
        drawn(after=then({**thing("Secret", "x"), "stringData": {"token": OLD}, "data": None})),
    ):
        html = shown(plan)
        assert any("Secret x" in summary for summary in summaries(html))
        assert OLD not in html
        assert coded(OLD).rstrip("=") not in html


def test_a_secret_of_which_only_a_value_changes_is_there() -> None:
    assert "Secret rel-kiro changes" in summaries(shown(drawn(after=then(keys=secret(token=coded(NEW))))))


def test_a_secret_that_does_not_change_is_left_out() -> None:
    assert not any("Secret" in summary for summary in summaries(shown(drawn())))


def test_what_was_learned_to_be_secret_is_masked_wherever_it_stands() -> None:
    redact.learn("zeppelin-over-the-lake")
    html = shown(
        drawn(now(text="[a]\nx = 'zeppelin-over-the-lake'\n"), then(text="[a]\nx = 'zeppelin-over-the-lake!'\n"))
    )
    assert "setting-changed:rel-kiro.a.x" in html
    assert "zeppelin" not in html
    assert coded("zeppelin-over-the-lake").rstrip("=") not in html


def test_what_looks_like_a_credential_is_masked() -> None:
    text = "[a]\nbot_token = 'abcdefghij{}'\n"
    assert "abcdefghij" not in shown(drawn(now(text=text.format(1)), then(text=text.format(2))))


def test_a_browser_obeys_nothing_of_it() -> None:
    evil = "<script>alert(1)</script>"
    plan = drawn(
        now(config("", evil)),
        then(config(f"# {evil}\n", "x"), text=f"[discord]\nx = '{evil}'\n", token={"name": evil, "value": evil}),
        unwell={evil: evil},
        charts=("agent-broker", evil),
    )
    html = shown(plan, accepted={f"agent-unwell:{evil}": evil})
    assert f"ConfigMap {evil}".replace("<", "&lt;").replace(">", "&gt;") in html
    assert "<script" not in html
    assert "\x1b" not in shown(drawn(unwell={"x\x1b[2J": "y\x1b[2J"}))


def test_names_and_values_become_no_elements() -> None:
    """A chart, its values and who edits the namespace choose all of this (issue 14)."""
    evil = drawn(
        now(config(f"a: {HOSTILE}"), thing("ConfigMap", HOSTILE, data={HOSTILE: HOSTILE}), pvc=claim()),
        then(config(f"b: {HOSTILE}"), replicas=0, image=f"evil{HOSTILE}:1"),
        unwell={HOSTILE: HOSTILE},
    )
    plain = drawn(now(config("a: 1"), thing("ConfigMap", "x", data={"y": "z"})), then(config("b: 1"), replicas=0))
    before, after = seen(page(judge([plain], {}))), seen(page(judge([evil], {})))
    assert after.tags <= {*before.tags, "br"}
    assert after.attributes <= {*before.attributes, *HARMLESS}
    assert after.text.count("<script>") > 4
    (style,) = after.contents["style"]
    assert "script" not in after.contents
    assert after.values["meta.content"][0] == (
        f"default-src 'none'; style-src {digest(style)}; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize(
    ("was", "would"),
    [
        ([f"line {n} aaaaaaaa {n * 7}" for n in range(1500)], [f"line {n} aaaabbbb {n * 13}" for n in range(1500)]),
        (["x" * 50_000], ["x" * 25_000 + "y" + "x" * 25_000]),
        ([f"{n % 7}" for n in range(30_000)], [f"{n % 5}" for n in range(30_000)]),
    ],
    ids=["many lines", "long lines", "many alike"],
)
def test_large_objects_are_compared_without_letters(
    was: list[str], would: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By letters it would take a quarter of an hour: how often that is done is counted, nothing is timed."""
    by_letters: list[int] = []
    monkeypatch.setattr(HtmlDiff, "make_table", lambda *given, **more: by_letters.append(1) or "")  # type: ignore[misc]
    html = shown(drawn(now(config("\n".join(was))), then(config("\n".join(would)))))
    assert "ConfigMap rel-kiro changes" in html
    assert "<pre class='diff'>" in html
    assert len(html) < 1_000_000
    assert len(by_letters) <= 1, "the Deployment's few lines"


def test_many_objects_are_compared_in_little_time_together(monkeypatch: pytest.MonkeyPatch) -> None:
    by_letters: list[int] = []
    monkeypatch.setattr(HtmlDiff, "make_table", lambda *given, **more: by_letters.append(1) or "")  # type: ignore[misc]
    one, other = ([config("a" * size, f"c{number}") for number in range(50)] for size in (900, 950))
    html = shown(drawn((*now(), *one), (*then(), *other)))
    assert 5 < len(by_letters) < 15
    assert html.count("<details") == 51


def test_what_is_not_compared_is_said() -> None:
    html = shown(drawn(now(config("a\n" * 3000 + "b")), then(config("a\n" * 3000 + "c"))))
    assert re.search(r"and \d+ more lines, which are not compared here", html)
