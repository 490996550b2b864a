"""What is known to be secret, or looks like it, is masked in every spelling; what is not stays readable."""

from __future__ import annotations

import html
import json
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import pytest

from openab_sop import process, redact
from openab_sop.errors import ToolError

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda s: json.dumps(s)[1:-1],
    "json-utf8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "repr": lambda s: repr(s)[1:-1],
    "html": html.escape,
    "url": quote,
    "url-all": lambda s: quote(s, safe=""),
    "form": quote_plus,
}
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
"""Of a key's body."""
SECRET = "pa<ss>\"w&ö\\rd' +/=1"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test has taught."""
    monkeypatch.setattr(redact, "_known", frozenset[str]())


def test_what_one_thread_learns_all_threads_mask() -> None:
    """Learning and masking at once: no crash, and what was learned before a text is masked in it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as several:
            shown = [several.submit(taught, thread) for thread in range(4)]
            assert [text for future in shown for text in future.result() if text != "***"] == []
    finally:
        sys.setswitchinterval(before)


def taught(thread: int) -> list[str]:
    """Learn secrets, and return each as it is shown right after."""
    shown: list[str] = []
    for number in range(40):
        secret = f"secret-{thread}-{number:04}"
        redact.learn(secret)
        shown.append(redact.mask(secret))
    return shown


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_known_secret_is_masked_in_each_spelling(spelling: str) -> None:
    redact.learn(SECRET)
    assert redact.mask(f"before {SPELLINGS[spelling](SECRET)} after") == "before *** after"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_known_secret_is_masked_in_base64_wherever_it_begins(encode: Callable[[bytes], bytes], before: str) -> None:
    redact.learn("correct horse battery staple??>>")
    text = encode((before + "correct horse battery staple??>>" + "tail").encode()).decode()
    masked = redact.mask(text)
    assert redact.MASK in masked
    assert len(masked.replace(redact.MASK, "")) <= len(encode((before + "tail").encode())) + 4


def test_each_line_of_a_key_is_known() -> None:
    redact.learn("line-one-of-it\nline-two-of-it\n")
    assert redact.mask("error near line-two-of-it") == "error near ***"


def test_short_values_are_words_not_secrets() -> None:
    redact.learn("true")
    assert redact.mask("this is true") == "this is true"


def test_longest_known_secret_wins() -> None:
    redact.learn("abcdef")
    redact.learn("abcdefghij")
    assert redact.mask("abcdefghij") == redact.MASK


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a" * 36,
        "xoxb-1234567890-abc",
        "AKIA" + "A" * 16,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{LINE}\n{LINE[:60]}",
        f"-----BEGIN PRIVATE KEY-----\r\n{LINE}\r\n{LINE[:9]}=\r\n",
        f"-----BEGIN PRIVATE KEY-----\\n{LINE}\\n{LINE[:5]} ...",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,2A\n\n{LINE}\n{LINE[:9]}=",
        f"-----BEGIN RSA PRIVATE KEY-----\r\n  {LINE}\r\n  {LINE[:8]}\r\n  -----END RSA PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    assert redact.mask(f"said {text}").replace("\\r", "").rstrip() == "said ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("DISCORD_BOT_TOKEN=abcdefgh", "DISCORD_BOT_TOKEN=***"),
        ('"apiKey": "abcdefgh"', '"apiKey": "***"'),
        ("https://user:hunter2@host/x", "https://***@host/x"),
        ("Authorization: Bearer abcdefgh12", "Authorization: Bearer ***"),
    ],
)
def test_what_is_assigned_to_a_secret_name_is_masked(text: str, masked: str) -> None:
    assert redact.mask(text) == masked


@pytest.mark.parametrize(
    "text", ["secret-openab-kiro.yaml, configmap-openab-kiro.yaml", "2.5 The login of gh: hosts.yml."]
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact.mask(text) == text


@pytest.mark.parametrize(
    "behind",
    ["; the database is gone", "\nhome/data.sqlite3: it is gone", "\n{LINE}\nhome/data.sqlite3: it is gone", "\ngone"],
)
def test_the_head_of_a_key_hides_no_more_than_its_line_and_its_body(behind: str) -> None:
    """A file may be named so (issue 14): what is told behind it stays."""
    text = f"home/-----BEGIN PRIVATE KEY-----{behind.format(LINE=LINE)}"
    shown = redact.mask(text)
    assert LINE not in shown
    assert shown.endswith(behind.rpartition("\n")[2] if "\n" in behind else redact.MASK)


def test_two_names_like_a_frame_hide_nothing_between_them() -> None:
    said = "a/-----BEGIN PRIVATE KEY-----: new\ndata.sqlite3: gone\na/-----END PRIVATE KEY-----: new"
    assert "data.sqlite3: gone" in redact.mask(said)


def test_a_word_before_a_token_in_three_parts_stays() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def"
    assert redact.mask(f"session-{token}") == "session-***"


def test_values_below_secret_names_are_learned_at_any_depth() -> None:
    redact.learn_values({"agents": {"kiro": {"discord": {"botToken": "value-one"}, "secrets": [{"x": "value-two"}]}}})
    assert redact.mask("value-one value-two") == "*** ***"


def test_secret_object_is_learned_also_as_the_api_spells_it() -> None:
    encoded = b64encode(b"\xff\xfe-binary-value").decode()
    redact.learn_secret(
        {"kind": "Secret", "type": "Opaque", "data": {"a": encoded, "b": b64encode(b"text-value").decode()}}
    )
    assert redact.mask(f"{encoded} text-value") == "*** ***"


def test_error_text_is_masked_before_it_is_cut() -> None:
    """A secret that straddles the cut must not leave its second half."""
    redact.learn("S3cr3t-" + "x" * 50)
    said = "S3cr3t-" + "x" * 50 + "y" * (process.SHOWN - 20)
    with pytest.raises(ToolError) as caught:
        process.run([sys.executable, "-c", f"import sys; sys.exit({said!r})"])
    assert "xxxx" not in caught.value.problem
