"""A configuration without its credentials: the same shape, the same lines, and nothing secret."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest
import yaml

from openab_sop import redact
from openab_sop.rehearsals.placeholders import blackhole_url, neutral, neutral_secret, placeholder, redact_all_values

DISCORD = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789_A"
ANTHROPIC = "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq+/hkiG9w0BAQE=\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("Abc-123.x", "Xxx-000.x"),
        ("xoxb-12-Ab", "xoxb-00-Xx"),
        ("xapp-1-A", "xapp-0-X"),
        ("ghp_Ab1", "ghp_Xx0"),
        ("github_pat_1A", "github_pat_0X"),
        ("sk-ant-api03-Ab", "sk-ant-api03-Xx"),
        ("sk-Ab", "sk-Xx"),
        ("eyJh.Ab", "eyJx.Xx"),
        ("Bot Ab.1", "Bot Xx.0"),
        ("Bearer ghp_Ab", "Bearer ghp_Xx"),
        ("grün\nß", "xxxx\nx"),
        ("Xx0", "Yy1"),
        ("ghp_", "xxx_"),
        ("***", "xxx"),
        ("", ""),
        (" \n", " \n"),
    ],
)
def test_a_placeholder_has_the_shape_of_the_value(value: str, shape: str) -> None:
    assert placeholder(value) == shape


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("https://user:pass@host:8443/path?token=x#y", "https://127.0.0.1:9"),
        ("ws://[::1]/x", "ws://127.0.0.1:9"),
        ("postgres://u:p@db/x", "postgres://127.0.0.1:9"),
    ],
)
def test_a_dead_address_keeps_only_its_scheme(address: str, there: str) -> None:
    assert blackhole_url(address) == there


def test_what_is_no_address_cannot_be_dead() -> None:
    with pytest.raises(ValueError, match="scheme"):
        blackhole_url("host/path")


CASES = [
    # names that sound secret, in each notation
    ('bot_token = "Abc1"', 'bot_token = "Xxx0"'),
    ("bot_token: Abc1 # why", "bot_token: Xxx0 # why"),
    ('{"botToken": "Abc1"}', '{"botToken": "Xxx0"}'),
    ("export API_KEY=Abc 12", "export API_KEY=Xxx 00"),
    ("api-key: 'it''s'", "api-key: 'xxxxx'"),
    ('{"password": "a\\"b\\\\c"}', '{"password": "xxxxxxx"}'),
    ('{"a": {"secrets": {"b": ["Cd", 1234567, true]}}}', '{"a": {"secrets": {"b": ["Xx", 1111111, true]}}}'),
    (
        '[my.credentials]\na = "bcd"\nn = 12\n[other]\na = "bcd"',
        '[my.credentials]\na = "xxx"\nn = 12\n[other]\na = "bcd"',
    ),
    (
        "secrets:\n  a: b c\n  l:\n  - d\n  t: |\n    e f\nother: b",
        "secrets:\n  a: x x\n  l:\n  - x\n  t: |\n    x x\nother: b",
    ),
    ("token: |-\n  Ab\n  Cd\nnext: Ab", "token: |-\n  Xx\n  Xx\nnext: Ab"),
    ("e: {token: abc, when: 2026-01-01}", "e: {token: xxx, when: 2026-01-01}"),
    ('env = { A_TOKEN = "ab", B = "ab" }', 'env = { A_TOKEN = "xx", B = "ab" }'),
    (
        "- name: MY_TOKEN\n  value: ab1\n- name: B\n  value: ab1",
        "- name: MY_TOKEN\n  value: xx0\n- name: B\n  value: ab1",
    ),
    ('{"name": "MY_TOKEN", "value": "ab1"}', '{"name": "MY_TOKEN", "value": "xx0"}'),
    ('["run", "--token", "ab1", "-y"]', '["run", "--token", "xx0", "-y"]'),
    ('args = "run --password=ab1 x"', 'args = "run --password=xx0 x"'),
    ('{"headers": {"Authorization": "Bearer Ab1"}}', '{"headers": {"Authorization": "Bearer Xx0"}}'),
    ("//npm.example/:_authToken=Ab1", "//npm.example/:_authToken=Xx0"),
    # what looks like a credential, under any name
    (f"a: {DISCORD}", f"a: {placeholder(DISCORD)}"),
    (f"a: {ANTHROPIC}", "a: sk-ant-api03-XxXxXxXxXxXxXxXxXxXxXxXxXx0000000000"),
    ("a: xoxb-1234567890-Ab", "a: xoxb-0000000000-Xx"),
    # addresses
    ("hook: https://discord.com/api/webhooks/1/abc, x", "hook: https://127.0.0.1:9, x"),
    ("a: [https://a.b/c, wss://d/${E}]", "a: [https://127.0.0.1:9, wss://127.0.0.1:9]"),
    ('{"a": "https:\\/\\/h\\/p"}', '{"a": "https://127.0.0.1:9"}'),
    ("see (https://a.b/c).", "see (https://127.0.0.1:9)."),
    # private keys
    (KEY, "-----BEGIN PRIVATE KEY-----\n" + "A" * 29 + "=\n-----END PRIVATE KEY-----"),
    (json.dumps({"private_key": KEY}), json.dumps({"private_key": KEY.replace(KEY.splitlines()[1], "A" * 29 + "=")})),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_credentials_go_from_a_configuration(text: str, expected: str) -> None:
    assert neutral(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'bot_token = "${DISCORD_BOT_TOKEN}"',
        'token = "{env:GITHUB_TOKEN}"',
        "TOKEN=$GITHUB_TOKEN",
        '{"Authorization": "Bot ${TOKEN}"}',
        "max_tokens: 4096",
        '{"max_tokens": 4096, "private": true, "token": null}',
        "token_expiry = 2026-01-01T00:00:00Z",
        'token_file = "/run/secrets/token"',
        "store_passwords = no",
        'allowed_channels = ["123456789012345678"]',
        "name: openab\nargs: [a, b]",
        "socket: unix:///var/run/x.sock",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert neutral(text) == text


def test_a_number_stays_a_number_and_becomes_another() -> None:
    assert json.loads(neutral('{"pin_token": 111111}')) == {"pin_token": 222222}


def test_a_known_secret_goes_wherever_it_stands() -> None:
    redact.learn('Corr"ect-Horse7')
    hidden = neutral(json.dumps({"note": 'say Corr"ect-Horse7 now', "Corr": 1}))
    assert json.loads(hidden) == {"note": 'say Xxxx"xxx-Xxxxx0 now', "Corr": 1}


def test_quotes_that_a_known_line_has_stay() -> None:
    redact.learn('{"a": "Bcd"}')
    assert json.loads(neutral('{"a": "Bcd"}')) == {"x": "Xxx"}


TOML = f"""
[discord]
bot_token = "{DISCORD}"
ref_token = "${{DISCORD_BOT_TOKEN}}"
allowed = ["1", '2']
[agent]
env = {{ API_KEY = "a\\"b\\\\", N = 1, SECRET_N = 1234567, SECRET_ON = true }}
secrets = [ "abc", 'd\\e' ]
when_token = 2026-01-01
private = '''
{KEY}
'''
multi_secret = \"\"\"one "two"
three \\
four\"\"\"
[a.credentials]
url = "https://u:p@h/x?y=z#q"  # token: abc
hex = 0x12
float = 1.5
"""
YAML = f"""
token: &anchor "Ab c"
again: *anchor
secrets: {{a: b, c: "d e", when: 2026-01-01}}
password: it's "quoted" text
credentials:
  - user: x
    pass: 'y''z'
  - !!str 12
private: |
{chr(10).join("  " + line for line in KEY.splitlines())}
url: https://a.b/c?d=e
list: [https://a.b/c, 'https://d/e']
max_tokens: 5
secret_time: 12:30:45
folded_token: >-
  one two
  three: four
plain_secret: goes
  on here
"""
JSON = json.dumps(
    {
        "token": 'a"b\\c\n/\u00e9',
        "tokens": [1.5, 123456789, None, {"x": "y"}],
        "url": "wss://a/b",
        "private_key": KEY,
        "args": ["--api-key", "abc", "https://x/y,z"],
        "text": f"use {ANTHROPIC} or Basic dXNlcjpwYXNzd29yZA==",
    },
    indent=1,
)


@pytest.mark.parametrize(
    ("text", "parse"),
    [
        (TOML, tomllib.loads),
        (YAML, yaml.safe_load),
        (JSON, json.loads),
        (json.dumps(json.loads(JSON)), json.loads),
        (json.dumps(json.loads(JSON), indent=1), yaml.safe_load),
    ],
)
@pytest.mark.parametrize("treat", [neutral, redact_all_values])
def test_it_parses_as_before_with_the_same_names_and_lines(
    text: str, parse: Callable[[str], dict[str, object]], treat: Callable[[str], str]
) -> None:
    before = parse(text)
    hidden = treat(text)
    assert list(parse(hidden)) == list(before)
    assert len(hidden.splitlines()) == len(text.splitlines())
    for secret in (DISCORD, ANTHROPIC, "MIIEvQ", "a.b", "dXNlcjp", "goes", "three: four", "y''z", "d e"):
        assert secret not in hidden


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"a": "longvalue", "b": "short", "c": {"d": ["longvalue"]}}',
            '{"a": "xxxxxxxxx", "b": "short", "c": {"d": ["xxxxxxxxx"]}}',
        ),
        ("host:\n    user: me\n    opaque: long value", "host:\n    user: me\n    opaque: xxxx xxxxx"),
        ("[default]\nkey_id = AKLONGVALUE", "[default]\nkey_id = XXXXXXXXXXX"),
        ('{"expires": "2026-01-01T00:00:00Z"}', '{"expires": "2026-01-01T00:00:00Z"}'),
        ("- longvalue\n- b", "- xxxxxxxxx\n- b"),
    ],
)
def test_where_only_credentials_are_each_long_value_goes(text: str, expected: str) -> None:
    assert redact_all_values(text) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Abc123", b"Xxx000"),
        (b"Abc123\n", b"Xxx000\n"),
        (b"https://u:p@h/x", b"https://127.0.0.1:9"),
        (b"a = 1\ntoken = Abc\n", b"a = 1\ntoken = Xxx\n"),
        (b'{"a": "longvalue", "b": "c"}', b'{"a": "xxxxxxxxx", "b": "c"}'),
        (b"\xff\xfe\x00", b"\0\0\0"),
        (b"a\0b", b"\0\0\0"),
        (b"", b""),
        (KEY.encode(), neutral(KEY).encode()),
    ],
)
def test_a_value_of_a_secret_by_its_kind(data: bytes, expected: bytes) -> None:
    assert neutral_secret(data) == expected


def test_the_head_of_a_key_and_nothing_else_is_treated() -> None:
    """Found by fuzzing: a frame with nothing in it ended the rehearsal."""
    assert neutral("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"
