"""Configuration: what it says, whether the agent can read it, and whether what it refers to is there."""

from __future__ import annotations

from typing import Any

import pytest

from openab_sop import redact
from openab_sop.plans.plan import Effect, Plan
from openab_sop.plans.rules import configuration
from tests.unit.openab_sop.plans.drawn import (
    AGENT,
    CONFIG,
    KEEP,
    TOKEN,
    config,
    deployment,
    drawn,
    now,
    secret,
    then,
    thing,
    told,
    variable,
)

ID = 1097261234567890123
ENV_FROM: dict[str, Any] = {"envFrom": [{"secretRef": {"name": AGENT}}]}
GONE = ("Secret", AGENT)
LOGIN = {"name": "GH_TOKEN", "value": "x"}


def said(before: str, after: str) -> Plan:
    """The configuration changes from one text to another."""
    return drawn(now(text=before), then(text=after))


def given(was: str, would: str) -> Plan:
    """One setting changes."""
    return said(f"[pool]\nx = {was}\n", f"[pool]\nx = {would}\n")


def mounting(volume: dict[str, Any]) -> dict[str, Any]:
    """The pod's volumes with one more."""
    config = {"name": "config", "configMap": {"name": AGENT}}
    return {
        "volumes": [{"name": AGENT, "persistentVolumeClaim": {"claimName": AGENT}}, config, {"name": "x", **volume}]
    }


ADAPTERS: dict[str, tuple[Plan, list[str]]] = {
    "the chat is off": (said(CONFIG, "[pool]\nmax = 4\n"), ["adapter-off:rel-kiro.discord"]),
    "one of two is off": (said(f"{CONFIG}[slack]\nx = 1\n", CONFIG), ["adapter-off:rel-kiro.slack"]),
    "the chat is off, of an agent that is renamed": (
        drawn(after=then(name="openab-kiro", text="[pool]\nmax = 4\n")),
        ["agent-renamed:rel-kiro", "adapter-off:openab-kiro.discord"],
    ),
    "the chat is off, in a ConfigMap of another name": (
        drawn(after=then(configured="kiro-toml", text="[pool]\nmax = 4\n")),
        ["adapter-off:rel-kiro.discord"],
    ),
    "the chat is there and has changed": (
        said("[slack]\nchannels = 'a'\n", "[slack]\nchannels = 'b'\n"),
        ["setting-changed:rel-kiro.slack.channels"],
    ),
    "another chat comes": (said(CONFIG, f"{CONFIG}[slack]\nx = 1\n"), []),
    "sections in another order": (said("[a]\nx = 1\n[b]\ny = 1\n", "[b]\ny = 1\n[a]\nx = 1\n"), []),
    "a ConfigMap that no agent mounts": (drawn(now(config("[slack]\n", "x")), then(config("", "x"))), []),
}
SETTINGS: dict[str, tuple[Plan, list[str]]] = {
    "a setting is gone": (said("[pool]\nx = 1\ny = 2\n", "[pool]\ny = 2\n"), ["setting-gone:rel-kiro.pool.x"]),
    "a setting of the chat is gone": (
        said("[slack]\nx = 1\ny = 2\n", "[slack]\ny = 2\n"),
        ["setting-gone:rel-kiro.slack.x"],
    ),
    "a section is gone": (said("[pool]\nx = 1\n", ""), ["setting-gone:rel-kiro.pool.x"]),
    "a setting comes": (said("", "[pool]\nx = 1\n"), []),
    "another value": (given("1", "2"), ["setting-changed:rel-kiro.pool.x"]),
    "another item": (given("[1]", "[1, 2]"), ["setting-changed:rel-kiro.pool.x"]),
    "a whole number, then a fraction": (given("1", "1.5"), ["setting-changed:rel-kiro.pool.x"]),
    "a fraction, then a whole number": (given("1.0", "1"), []),
    "a whole number spelt as a float": (given("1000000", "1e+06"), ["setting-type:rel-kiro.pool.x"]),
    "a text spelt otherwise": (given('"a"', "'a'"), []),
    "a number spelt otherwise": (given("1000", "1_000"), []),
    "a text, then a number": (given("'1'", "1"), ["setting-type:rel-kiro.pool.x"]),
    "a number, then a text": (given("1", "'1'"), ["setting-type:rel-kiro.pool.x"]),
    "a number, then a truth": (given("1", "true"), ["setting-type:rel-kiro.pool.x"]),
    "a text, then a list": (given("'a'", "['a']"), ["setting-type:rel-kiro.pool.x"]),
    "a text, then a date": (given("'2026-01-01'", "2026-01-01"), ["setting-type:rel-kiro.pool.x"]),
    "an id, rounded to a float": (given(f"'{ID}'", "1.097261234567890e+18"), ["number-mangled:rel-kiro.pool.x"]),
    "an id, rounded in a text": (given(f"'{ID}'", "'1.09726123456789e+18'"), ["number-mangled:rel-kiro.pool.x"]),
    "an id, rounded in a list": (given(f"['{ID}']", "['1.09726123456789e+18']"), ["number-mangled:rel-kiro.pool.x"]),
    "an id, rounded before already": (given("'1.09726123456789e+18'", "'1.09726123456789e+18'"), []),
    "an id, with every digit now": (given("'1.09726123456789e+18'", f"'{ID}'"), ["setting-changed:rel-kiro.pool.x"]),
    "an id as a whole number": (given(str(ID), str(ID)), []),
    "a new setting, rounded": (said("", f"[pool]\nx = {float(ID)}\n"), ["number-mangled:rel-kiro.pool.x"]),
    "no TOML any more": (said("", "[pool"), ["unreadable:rel-kiro"]),
    "a new file that is no TOML": (drawn(after=then(config("[pool", "x"))), ["unreadable:x"]),
    "no TOML before either": (said("[pool", "[pool"), []),
    "a file of another kind": (drawn(after=then(thing("ConfigMap", "x", data={"AGENTS.md": "[pool"}))), []),
}
REFERENCES: dict[str, tuple[Plan, list[str]]] = {
    "the Secret is nowhere": (
        drawn(now(keys={}), then(keys={})),
        ["reference-missing:rel-kiro.rel-kiro.token"],
    ),
    "two Secrets are nowhere": (
        drawn(after=then(env=[variable("A", "a", "k"), variable("B", "b", "k")])),
        ["reference-missing:rel-kiro.a.k", "reference-missing:rel-kiro.b.k"],
    ),
    "the Secret leaves the chart": (
        drawn(after=then(keys={})),
        ["reference-missing:rel-kiro.rel-kiro.token"],
    ),
    "the Secret leaves the chart and is kept by policy": (drawn(after=then(keys={}), live=[secret(keep=True)]), []),
    "the Secret was never the chart's": (drawn(now(keys={}), then(keys={}), live=[secret()]), []),
    "the Secret was deleted by hand and comes again": (drawn(gone=[GONE]), ["object-gone:Secret/rel-kiro"]),
    "the key leaves the chart": (
        drawn(after=then(keys=secret(other="eA=="))),
        ["reference-missing:rel-kiro.rel-kiro.token"],
    ),
    "the key was never the chart's": (
        drawn(
            now(keys=secret(other="eA==")),
            then(keys=secret(other="eA==")),
            live=[secret(other="eA==", token="eA==")],
        ),
        [],
    ),
    "the key would be empty": (
        drawn(after=then(keys=secret(token=""))),
        ["reference-missing:rel-kiro.rel-kiro.token"],
    ),
    "the key comes as plain text": (
        drawn(after=then(keys=thing("Secret", stringData={"token": "x"}))),
        [],
    ),
    "another key": (
        drawn(after=then(token=variable(TOKEN, key="bot"))),
        ["reference-missing:rel-kiro.rel-kiro.bot"],
    ),
    "an optional reference": (drawn(after=then(env=[variable("A", "nowhere", "k", optional=True)])), []),
    "a ConfigMap that is nowhere": (
        drawn(after=then(pod=mounting({"configMap": {"name": "x"}}))),
        ["reference-missing:rel-kiro.x"],
    ),
    "a projected Secret that is nowhere": (
        drawn(after=then(pod=mounting({"projected": {"sources": [{"secret": {"name": "x"}}]}}))),
        ["reference-missing:rel-kiro.x"],
    ),
    "an agent that has no pod": (drawn(now(keys={}, replicas=0), then(keys={}, replicas=0)), []),
    "a kept Secret whose policy is the chart's alone": (
        drawn(now(keys=secret(keep=True)), then(keys={})),
        [],
    ),
    "an empty key of a ConfigMap": (
        drawn(
            after=then(
                thing("ConfigMap", "x", annotations=KEEP, data={"k": ""}),
                env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}],
            )
        ),
        [],
    ),
}
VARIABLES: dict[str, tuple[Plan, list[str]]] = {
    "the token is not given any more": (drawn(after=then(token={})), [f"variable-unset:rel-kiro.{TOKEN}"]),
    "the token is empty": (
        drawn(after=then(token={"name": TOKEN, "value": ""})),
        [f"variable-unset:rel-kiro.{TOKEN}"],
    ),
    "the token was among whole sources": (
        drawn(now(token={}, more=ENV_FROM), then(token={})),
        [f"variable-unset:rel-kiro.{TOKEN}"],
    ),
    "the configuration asks for one more": (
        drawn(after=then(text=f'{CONFIG}key = "${{EXTRA}}"\n')),
        ["variable-unset:rel-kiro.EXTRA"],
    ),
    "the token comes by envFrom": (drawn(after=then(token={}, more=ENV_FROM)), []),
    "the token comes as plain text": (drawn(after=then(token={"name": TOKEN, "value": "x"})), []),
    "the token was never given": (drawn(now(token={}), then(token={})), []),
    "the token was never given, in a ConfigMap of another name": (
        drawn(now(token={}), then(token={}, configured="kiro-toml")),
        [],
    ),
    "another agent's configuration asks": (drawn(after=then(config('x = "${EXTRA}"', "other"))), []),
    "a login is gone": (
        drawn(now(env=[variable("GH_TOKEN")])),
        ["variable-gone:rel-kiro.GH_TOKEN"],
    ),
    "a login from the values is gone": (
        drawn(now(env=[LOGIN]), values={"env": {"GH_TOKEN": "x"}}),
        ["variable-gone:rel-kiro.GH_TOKEN"],
    ),
    "a login is empty": (
        drawn(now(env=[variable("GH_TOKEN")]), then(env=[{"name": "GH_TOKEN", "value": ""}])),
        ["variable-gone:rel-kiro.GH_TOKEN"],
    ),
    "the chart's own is gone": (drawn(now(env=[LOGIN])), []),
    "the chart's own is gone, and a value has a longer name": (
        drawn(now(env=[{"name": "NODE", "value": "x"}]), values={"env": {"NODE_OPTIONS": "x"}}),
        [],
    ),
    "a login comes by envFrom": (drawn(now(env=[variable("GH_TOKEN")]), then(more=ENV_FROM)), []),
    "a login comes from another Secret": (
        drawn(now(env=[variable("GH_TOKEN")]), then(secret("x"), env=[variable("GH_TOKEN", "x")])),
        [],
    ),
}
VALUES: dict[str, tuple[Plan, list[str]]] = {
    "a value that has no effect any more": (
        drawn(effects=(Effect(("agents", "kiro", "tools"), before=True, after=False),)),
        ["value-ignored:agents.kiro.tools"],
    ),
    "a value that never had one": (drawn(effects=(Effect(("x",), before=False, after=False),)), []),
    "a value that has one still": (drawn(effects=(Effect(("x",), before=True, after=True),)), []),
}
CASES = ADAPTERS | SETTINGS | REFERENCES | VARIABLES | VALUES


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_the_agent_reads(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {r.name for r in configuration.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_no_case_hides_another() -> None:
    assert len(CASES) == sum(map(len, (ADAPTERS, SETTINGS, REFERENCES, VARIABLES, VALUES)))


@pytest.mark.parametrize("adapter", configuration.ADAPTERS)
def test_every_chat_that_goes_off_is_told(adapter: str) -> None:
    assert told(said(f"[{adapter}]\n", "")) == [f"adapter-off:rel-kiro.{adapter}"]


def test_a_missing_reference_says_who_needs_it_and_why() -> None:
    for plan, words in (
        (drawn(now(keys={}), then(keys={})), "it is not there"),
        (drawn(after=then(keys={})), "it would be deleted"),
        (drawn(after=then(keys=secret(other="eA=="))), "it has no such key"),
        (drawn(after=then(keys=secret(token=""))), "it is empty"),
    ):
        (found,) = configuration.reference_missing.judge(plan)
        assert found.observed == f"variable {TOKEN} needs Secret {AGENT}.token: {words}"


def test_a_long_value_is_cut() -> None:
    (found,) = configuration.setting_changed.judge(given("'a'", f"'{'b' * 300}'"))
    assert len(found.observed) < 100


def test_no_secret_is_quoted() -> None:
    """Neither under a name that sounds secret, nor the half of one that a cut would leave unknown."""
    redact.learn("a-known-secret-" * 9)
    for setting in (f"bot_token = '{'x' * 9}%s'", f"x = '{'a-known-secret-' * 9}%s'"):
        (found,) = configuration.setting_changed.judge(said(f"[a]\n{setting % 1}\n", f"[a]\n{setting % 2}\n"))
        assert not any(word in str(found) for word in ("xxxxxx", "a-known"))
        assert redact.MASK in found.observed


def test_a_companion_may_have_what_it_likes() -> None:
    gateway = deployment("gateway", container="gateway", mounts=(), env=[variable("A", "nowhere")])
    assert told(drawn(now(gateway), then(gateway))) == []
