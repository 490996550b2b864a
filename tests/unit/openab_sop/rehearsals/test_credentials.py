"""A home without its credentials: what may act goes, everything else stays byte for byte."""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
import string
import subprocess
import tarfile
import tomllib
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from openab_sop import redact
from openab_sop.backups.archive import Archive, read_back
from openab_sop.backups.inventory import Entry, comparison
from openab_sop.errors import BackupError
from openab_sop.rehearsals import credentials
from openab_sop.rehearsals.credentials import SanitizedHome, treat
from openab_sop.rehearsals.placeholders import placeholder
from openab_sop.rehearsals.secret_scanner import KEPT, SecretScanner
from tests.unit.openab_sop.stored import pack

GH = "gho_" + "AbC1" * 9
KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + ("b3BlbnNzaC1rZXktdjE/+9" * 3 + "\n") * 5
    + "-----END OPENSSH PRIVATE KEY-----\n"
)
DISCORD = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789_A"


@dataclass
class Home:
    """A home on disk, what its backup has of it, and what became of that."""

    root: Path
    path: Path
    databases: list[str] = field(default_factory=list[str])
    entries: list[Entry] = field(default_factory=list[Entry])

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def treated(self) -> SanitizedHome:
        """Back the home up, and treat the backup."""
        names = subprocess.run(
            ["find", ".", "-mindepth", "1", "-printf", r"%P\0"], cwd=self.path, capture_output=True, check=True
        ).stdout
        archive = Archive(self.root / "home.tar")
        (self.root / "scratch").mkdir()
        with comparison(self.root) as table:
            for member in archive.append(
                io.BytesIO(pack(self.path, *map(os.fsdecode, sorted(names.split(b"\0")[:-1]))))
            ):
                table.add("copy", table.linked("copy", member.entry))
            self.entries = list(table.all("copy"))
        archive.close()
        return treat(archive.path, iter(self.entries), self.databases, self.root / "scratch")

    def result(self) -> tuple[SanitizedHome, Path]:
        """Treat it, and unpack the result over a copy of the home."""
        treated, copy = self.treated(), self.root / "copy"
        subprocess.run(["cp", "-a", self.path, copy], check=True)
        subprocess.run(["tar", "-xpf", treated.archive, "-C", copy], check=True)
        return treated, copy

    def changed(self, name: str) -> bytes | None:
        """Treat it; what became of a file, None if it stays."""
        treated, copy = self.result()
        assert treated.left == {}
        assert treated.changed == ((name,) if treated.changed else ())
        return (copy / name).read_bytes() if treated.changed else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    (tmp_path / "home").mkdir()
    return Home(tmp_path, tmp_path / "home")


KNOWN = [
    (".openab/cronjob.toml", '[[jobs]]\nmessage = "hello"\n', ""),
    ("cronjob.toml", "[[jobs]]\n", ""),
    (
        ".config/gh/hosts.yml",
        f"github.com:\n    oauth_token: {GH}\n    user: me\n",
        f"github.com:\n    oauth_token: {placeholder(GH)}\n    user: me\n",
    ),
    (
        ".claude/.credentials.json",
        '{"claudeAiOauth": {"accessToken": "sk-ant-oat01-Abc", "expiresAt": 1767225600000}}',
        None,
    ),
    (
        ".claude.json",
        '{"primaryApiKey": "Abcdefgh", "theme": "dark-daltonized"}',
        '{"primaryApiKey": "Xxxxxxxx", "theme": "dark-daltonized"}',
    ),
    (
        ".codex/auth.json",
        '{"OPENAI_API_KEY": null, "tokens": {"id_token": "Abcdefgh1"}}',
        '{"OPENAI_API_KEY": null, "tokens": {"id_token": "Xxxxxxxx0"}}',
    ),
    (".gemini/oauth_creds.json", '{"refresh": "1//Abcdef"}', '{"refresh": "0//Xxxxxx"}'),
    (".config/github-copilot/apps.json", '{"a": {"x": "Abcdefgh"}}', '{"a": {"x": "Xxxxxxxx"}}'),
    (".copilot/config.json", '{"copilot_tokens": {"h:u": "Abc"}}', '{"copilot_tokens": {"h:u": "Xxx"}}'),
    (".config/cursor/auth.json", '{"a": "Abcdefgh"}', '{"a": "Xxxxxxxx"}'),
    (
        ".cursor/mcp.json",
        '{"url": "https://a.b/c", "headers": {"Authorization": "Bearer Ab"}}',
        '{"url": "https://127.0.0.1:9", "headers": {"Authorization": "Bearer Xx"}}',
    ),
    (
        ".local/share/opencode/auth.json",
        '{"a": {"type": "api", "key": "Abcdefgh"}}',
        '{"a": {"type": "api", "key": "Xxxxxxxx"}}',
    ),
    *(
        (name, '{"x": "Abcdefgh"}', '{"x": "Xxxxxxxx"}')
        for name in (
            ".grok/auth.json",
            ".hermes/auth.json",
            ".kimi-code/credentials.json",
            ".local/share/mimocode/auth.json",
            ".pi/agent/auth.json",
            ".gemini/antigravity-cli/oauth_creds.json",
            ".local/share/devin/credentials.json",
            ".openab/agent/auth.json",
            ".openab-auth-proxy/xai/tokens.json",
            ".local/share/tailscale/tailscaled.state",
        )
    ),
    (".kimi-code/config.toml", 'api_key = "Abcdefgh"\n', 'api_key = "Xxxxxxxx"\n'),
    (".grok/config.toml", 'token = "Abcdefgh"\n', 'token = "Xxxxxxxx"\n'),
    (".openab/agent/config.json", '{"apiKey": "Abcdefgh"}', '{"apiKey": "Xxxxxxxx"}'),
    (".aws/credentials", "[default]\nx = Abcdefgh\n", "[default]\nx = Xxxxxxxx\n"),
    (".aws/sso/cache/1.json", '{"x": "Abcdefgh"}', '{"x": "Xxxxxxxx"}'),
    (".git-credentials", "https://me:Abc@github.com\n", "https://127.0.0.1:9\n"),
    ("repo/.git/config", "[remote]\n\turl = https://me:Abc@github.com/a\n", "[remote]\n\turl = https://127.0.0.1:9\n"),
    (".netrc", "machine a login b\n password Abc1\n", "machine a login b\n password Xxx0\n"),
    (".npmrc", "//npm.example/:_authToken=Abc1\nfund=false\n", "//npm.example/:_authToken=Xxx0\nfund=false\n"),
    (".ssh/id_ed25519", KEY, None),
    (".docker/config.json", '{"auths": {"h": {"auth": "QWJjOkRlZg=="}}}', '{"auths": {"h": {"auth": "XXXxXxXxXx=="}}}'),
    (
        ".kube/config",
        "users:\n- user:\n    client-key-data: QWJjOkRlZg==\n",
        "users:\n- user:\n    client-key-data: XXXxXxXxXx==\n",
    ),
    ("project/.env", "export A_TOKEN=Abc1\nB=Bcd1\n", "export A_TOKEN=Xxx0\nB=Bcd1\n"),
    (".vault-token", "Abcdef", "Xxxxxx"),
]


@pytest.mark.parametrize(("name", "content", "expected"), KNOWN)
def test_a_known_place(home: Home, name: str, content: str, expected: str | None) -> None:
    home.write(name, content)
    changed = home.changed(name)
    assert changed is not None
    if expected is not None:
        assert changed.decode() == expected
    for parse in (json.loads, tomllib.loads):
        if Path(name).suffix == f".{parse.__module__[:4]}":
            parse(changed.decode())
    assert b"Abc" not in changed
    assert b"b3Blb" not in changed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".config/gh/config.yml", "git_protocol: https\nuser: somebody-long\n"),
        (".codex/auth.json", '{"OPENAI_API_KEY": null}'),
        (".ssh/id_ed25519.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq me@here\n"),
        (".ssh/known_hosts", "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq\n"),
        (".openab/state.json", '{"jobs": 1}'),
        ("src/token.py", 'token = get_token("abcdefgh")  # basic understanding of the bearer authentication\n'),
        ("notes.md", "url https://a.b/c, url https://%s:%s@h/, key -----BEGIN PRIVATE KEY----- and so on\n"),
        ("run.sh", "echo $npm_config_user_agent_of_some_length_or_other sk-estimator-doc-link-fitted-and-more\n"),
        ("empty", ""),
        ("binary", bytes(range(256)) * 100),
        ("sub/cronjob.toml", "[[jobs]]\n"),
    ],
)
def test_what_has_no_credentials_stays(home: Home, name: str, content: str | bytes) -> None:
    home.write(name, content)
    assert home.changed(name) is None


LOOKS = [
    DISCORD,
    GH,
    "github_pat_" + "A1b2" * 10,
    "xoxb-1234567890-Abcdefgh",
    "xapp-1-A0B-1234567890-abc",
    "sk-ant-api03-" + "Ab1_" * 10,
    "AKIA" + "ABCD1234" * 2,
    "AIza" + "Ab1-c" * 7,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def",
    "123456789:AA" + "Ab1-c" * 6 + "Ab1",
    "https://user:Abc@host",
    "Basic dXNlcjpwYXNz",
    "https://discord.com/api/webhooks/123456789/" + "Ab1-" * 10,
    "https://hooks.slack.com/services/T0AB/B0CD/Abcdefghijklmno",
    KEY,
]


@pytest.mark.parametrize("secret", LOOKS)
@pytest.mark.parametrize("before", ["", "令牌", "line\\n"])
def test_in_any_text_only_what_looks_like_a_credential_goes(home: Home, secret: str, before: str) -> None:
    around = ("läng\r\n\tline '\"", "\n" + "x" * 5000 + "\udcff end")
    home.write("log.txt", (around[0] + before + secret + around[1]).encode(errors="surrogateescape"))
    changed = home.changed("log.txt")
    assert changed is not None
    begin, end = ((part).encode(errors="surrogateescape") for part in (around[0] + before, around[1]))
    assert changed.startswith(begin)
    assert changed.endswith(end)
    hidden = changed[len(begin) : -len(end)].decode()
    assert len(hidden) == len(secret)
    assert hidden != secret
    assert not any(secret[at : at + 12] in hidden for at in range(len(secret) - 12) if secret[at : at + 12].isalnum())


@pytest.mark.parametrize("secret", LOOKS)
def test_what_was_replaced_is_no_credential(home: Home, secret: str) -> None:
    home.write("log.txt", secret)
    once = home.changed("log.txt")
    assert once is not None
    (home.root / "again").mkdir()
    again = Home(home.root / "again", home.root / "again" / "home")
    again.write("log.txt", once)
    assert again.changed("log.txt") is None


@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 20) - 20, (1 << 20) - (1 << 16) - 10, 3 << 20])
def test_a_credential_across_the_pieces_of_a_file(home: Home, size: int) -> None:
    home.write("log", b"." * size + GH.encode() + b" " * (2 << 20) + DISCORD.encode())
    changed = home.changed("log")
    expected = b"." * size + placeholder(GH).encode() + b" " * (2 << 20) + placeholder(DISCORD).encode()
    assert changed == expected


def test_a_binary_file_or_a_large_text_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "TEXT", 1000)
    monkeypatch.setattr(credentials, "WHOLE", 500)
    home.write("binary", b"\0" + GH.encode())
    home.write("large", " " * 1000 + GH)
    home.write(".npmrc", " " * 1000 + GH)
    home.write("fits", " " * 900 + GH)
    treated = home.treated()
    assert treated.changed == ("fits",)
    assert {path: why.rpartition(" is ")[2] for path, why in treated.left.items()} == {
        "binary": "no text",
        "large": "larger than 1000 bytes",
        ".npmrc": "larger than 500 bytes",
    }


@pytest.mark.parametrize("name", [".local/share/keyrings/login.keyring", "x/Default/Cookies", "cert.p12"])
def test_what_is_encrypted_is_named(home: Home, name: str) -> None:
    home.write(name, b"\0anything")
    treated = home.treated()
    assert treated.changed == ()
    assert list(treated.left) == [name]


def test_metadata_stays(home: Home) -> None:
    for name in ("a\nb/.netrc", "ünï\udce9", "n" * 200):
        path = home.write(name, f"password {GH}")
        path.chmod(0o4640)
        os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    treated = home.treated()
    ours = {entry.path: entry for entry in home.entries}
    members = [member.entry for member in read_back(treated.archive)]
    assert {entry.path for entry in members} == set(treated.changed) == {"a\nb/.netrc", "ünï\udce9", "n" * 200}
    for entry in members:
        assert entry.unlike(ours[entry.path]) == ["sha256"]
    assert treated.archive.stat().st_mode & 0o777 == 0o600


def test_hard_links_lead_to_the_new_content(home: Home) -> None:
    home.write("a", "password Abc1")
    (home.path / "p").mkdir()
    (home.path / "p/.netrc").hardlink_to(home.path / "a")
    (home.path / "z").hardlink_to(home.path / "a")
    treated, copy = home.result()
    assert set(treated.changed) == {"a", "p/.netrc", "z"}
    assert {(copy / name).stat().st_ino for name in treated.changed} == {(copy / "a").stat().st_ino}
    assert (copy / "z").read_text() == "password Xxx0"


def test_words_beside_a_credential_stay(home: Home) -> None:
    home.write("log", f"basic understanding {GH}")
    assert home.changed("log") == f"basic understanding {placeholder(GH)}".encode()


@pytest.mark.parametrize("at", [KEPT - 7, KEPT - 3, 2 * KEPT - 10])
def test_a_credential_across_the_pieces_of_a_stream(at: int) -> None:
    data = b"." * at + b"Bearer Abcdefgh12" + b"." * 2 * KEPT
    pieces = [data[: 2 * KEPT], data[2 * KEPT :]]
    scanner = SecretScanner()
    assert b"".join(scanner.replaced(pieces)) == data.replace(b"Abcdefgh12", b"Xxxxxxxx00")
    halves = [data[: at + 9], data[at + 9 :]]
    assert [holds for _, holds in scanner.found_in(halves)] == [False, True]
    assert scanner.suspected(halves)
    assert not scanner.suspected([b"." * at])


def test_a_hard_link_to_what_is_not_there_is_named(home: Home) -> None:
    home.write("a", GH)
    (home.path / "b").hardlink_to(home.path / "a")
    home.treated()
    entries = [entry for entry in home.entries if entry.hard_link]
    (home.root / "other").mkdir()
    treated = treat(home.root / "home.tar", entries, (), home.root / "other")
    assert [*treated.left] == [entry.path for entry in entries]


def test_symbolic_links_are_not_followed(home: Home) -> None:
    outside = home.root / "outside"
    outside.write_text(GH)
    (home.path / ".netrc").symlink_to(outside)
    (home.path / "link").symlink_to(outside)
    treated, copy = home.result()
    assert treated.changed == ()
    assert [*treated.left] == [".netrc"]
    assert (copy / ".netrc").readlink() == outside
    assert outside.read_text() == GH


def test_a_file_with_holes(home: Home) -> None:
    with home.write("sparse", GH).open("r+b") as file:
        file.truncate(4 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"end")
    home.databases = ["data.db"]
    with closing(sqlite3.connect(home.path / "data.db")) as database:
        database.execute("CREATE TABLE token (x)")
        database.execute("INSERT INTO token VALUES ('Abcdefgh')")
        database.commit()
    with (home.path / "data.db").open("r+b") as file:
        file.truncate(1 << 20)
    treated, copy = home.result()
    assert treated.changed == ("data.db",)
    assert [*treated.left] == ["sparse"]
    assert b"Abcdefgh" not in (copy / "data.db").read_bytes()


def test_an_archive_that_is_cut_off_is_told(home: Home) -> None:
    home.write("a", " " * 4000 + GH)
    home.treated()
    os.truncate(home.root / "home.tar", 2048)
    (home.root / "other").mkdir()
    with pytest.raises(BackupError):
        treat(home.root / "home.tar", [*home.entries], (), home.root / "other")
        (home.root / "last").mkdir()
        os.truncate(home.root / "home.tar", 0)
        treat(home.root / "home.tar", [*home.entries], ("a",), home.root / "last")


SCHEMA = """
PRAGMA user_version = 7;
PRAGMA application_id = 42;
CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE session (id INTEGER PRIMARY KEY, title TEXT, refresh_token TEXT UNIQUE, n INTEGER, body BLOB);
CREATE TABLE plain (a TEXT, b REAL) STRICT;
CREATE TABLE audit (old TEXT);
CREATE TABLE "odd ""name" (k TEXT PRIMARY KEY, "api key" TEXT, api_key TEXT, g TEXT AS (api_key || '!')) WITHOUT ROWID;
CREATE INDEX by_title ON session (title);
CREATE VIEW shown AS SELECT title FROM session;
CREATE TRIGGER kept AFTER UPDATE ON session BEGIN INSERT INTO audit VALUES (old.refresh_token || '?'); END;
CREATE VIRTUAL TABLE search USING fts5 (text);
CREATE VIRTUAL TABLE token_search USING fts5 (text);
CREATE VIRTUAL TABLE token_older USING fts4 (text);
CREATE TABLE token_info (expires TEXT CHECK (expires > '2'), opaque TEXT CHECK (opaque LIKE 'row%'));
"""
SAID = "rowvalue"


def filled(path: Path, mode: str) -> None:
    """Make a database with credentials in it, some in its log only, some deleted; its log stays where it is."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("PRAGMA secure_delete = OFF")
        database.executescript(SCHEMA)
        rows = [
            ("codewhisperer:odic:token", json.dumps({"access_token": f"{SAID}1 more", "region": "eu"})),
            (f"{SAID}2 9", f"{SAID}3"),
        ]
        database.executemany("INSERT INTO auth_kv VALUES (?, ?)", rows)
        for at in range(3):
            values = (f"hello {GH}", f"{SAID}4{at}", at, b"\0\xff" + GH.encode())
            database.execute("INSERT INTO session (title, refresh_token, n, body) VALUES (?, ?, ?, ?)", values)
        database.execute("INSERT INTO session (title, n) VALUES ('ordinary', 9)")
        database.execute("INSERT INTO plain VALUES ('token', 1.5)")
        database.execute("INSERT INTO \"odd \"\"name\" VALUES ('k', 'some words', ?)", [f"{SAID}5"])
        database.execute("INSERT INTO search VALUES (?)", [f"found {GH} words"])
        database.execute("INSERT INTO token_search VALUES (?)", [f"{SAID}6 words"])
        database.execute("INSERT INTO token_older VALUES (?)", [f"{SAID}8 words"])
        database.execute("INSERT INTO token_info VALUES ('2026-01-01T00:00:00Z', ?)", [f"{SAID}7"])
        database.execute("INSERT INTO audit VALUES (?)", [f"{DISCORD} gone"])
        database.commit()
        database.execute("DELETE FROM audit")
        database.commit()
        for suffix in ("", "-wal", "-shm"):
            if (part := Path(f"{path}{suffix}")).exists():
                part.with_name(f"kept{suffix}").write_bytes(part.read_bytes())
    for suffix in ("", "-wal", "-shm"):
        if (part := path.with_name(f"kept{suffix}")).exists():
            part.rename(f"{path}{suffix}")


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_keeps_everything_but_its_credentials(home: Home, mode: str) -> None:
    home.databases = ["data.sqlite3"]
    path = home.path / "data.sqlite3"
    filled(path, mode)
    treated, copy = home.result()
    assert treated.left == {}
    logs = {"data.sqlite3-wal", "data.sqlite3-shm"} if mode == "wal" else set[str]()
    assert set(treated.changed) == {"data.sqlite3"} | logs
    assert [(copy / name).stat().st_size for name in logs] == [0] * len(logs)
    raw = (copy / "data.sqlite3").read_bytes()
    for secret in (GH, DISCORD, SAID, GH[4:].lower()):
        assert secret.encode() not in raw
    with closing(sqlite3.connect(path)) as before, closing(sqlite3.connect(copy / "data.sqlite3")) as after:
        for query in (
            "PRAGMA user_version",
            "PRAGMA application_id",
            "PRAGMA journal_mode",
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2",
            "SELECT id, n FROM session",
            "SELECT title, refresh_token FROM session WHERE title = 'ordinary'",
            "SELECT * FROM plain",
            "SELECT expires FROM token_info",
            "SELECT * FROM audit",
            'SELECT k, "api key" FROM "odd ""name"',
            "SELECT rowid FROM search('words')",
        ):
            assert after.execute(query).fetchall() == before.execute(query).fetchall(), query
        after.execute("PRAGMA ignore_check_constraints = ON")
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for table in ("search", "token_search", "token_older"):
            assert after.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        (key, value), (other, _) = after.execute("SELECT * FROM auth_kv ORDER BY rowid").fetchall()
        assert (key, other) == ("codewhisperer:odic:token", "xxxxxxxx0 0")
        assert json.loads(value) == {"access_token": "xxxxxxxx0 xxxx", "region": "eu"}
        assert after.execute("SELECT count(DISTINCT refresh_token) FROM session").fetchone() == (3,)
        assert after.execute("SELECT title, typeof(body), length(body) FROM session").fetchone() == (
            f"hello {placeholder(GH)}",
            "blob",
            2 + len(GH),
        )


def test_a_database_without_credentials_stays(home: Home) -> None:
    home.databases = ["data.sqlite3"]
    with closing(sqlite3.connect(home.path / "data.sqlite3")) as database:
        database.execute("CREATE TABLE author (name TEXT, tokens INTEGER)")
        database.execute("INSERT INTO author VALUES ('somebody', 12345678)")
        database.commit()
    treated = home.treated()
    assert (treated.changed, treated.left) == ((), {})


def test_what_was_deleted_from_a_database_goes_too(home: Home) -> None:
    home.databases = ["data.sqlite3"]
    with closing(sqlite3.connect(home.path / "data.sqlite3")) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE said (provider, text)")
        database.execute("INSERT INTO said VALUES ('github', ?)", [GH])
        database.commit()
        database.execute("DELETE FROM said")
        database.commit()
    changed = home.changed("data.sqlite3")
    assert changed is not None
    assert GH.encode() not in changed


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"x" * 1000, b"no database " + GH.encode() * 10])
def test_a_database_that_cannot_be_opened_is_named(home: Home, content: bytes) -> None:
    home.databases = ["data.sqlite3"]
    home.write("data.sqlite3", content)
    treated = home.treated()
    assert treated.changed == ()
    assert [*treated.left] == ["data.sqlite3"]
    assert GH not in treated.left["data.sqlite3"]


def test_values_that_are_too_large_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "WHOLE", 100)
    home.databases = ["data.sqlite3"]
    with closing(sqlite3.connect(home.path / "data.sqlite3")) as database:
        database.execute("CREATE TABLE secret (a TEXT)")
        database.execute("INSERT INTO secret VALUES (?), ('Abcdefgh')", ["x" * 101])
        database.commit()
    treated = home.treated()
    assert treated.changed == ("data.sqlite3",)
    assert "more than 100 bytes" in treated.left["data.sqlite3"]


def seeded(random: random.Random) -> Iterator[str]:
    """Secrets in many formats, and such as only redact knows."""
    letters = string.ascii_letters + string.digits
    for _ in range(5):
        word = "".join(random.choices(letters, k=40))
        known = [word[:20], f"p@ss {word[:6]}\"'\\ü", f"line-{word[:9]}\nline-{word[9:20]}"]
        for value in known:
            redact.learn(value)
        yield from (*known[:2], *known[2].splitlines(), b64encode(known[0].encode()).decode())
        yield from (f"gh{kind}_{word[:36]}" for kind in "ops")
        yield from (f"github_pat_{word}", f"xoxb-{word[:11]}-{word[11:]}", f"sk-ant-api03-{word}", f"AIza{word[:35]}")
        yield f"MT{word[:22]}.{word[22:28]}.{word[:38]}"
        yield f"eyJ{word[:20]}.eyJ{word[20:]}.{word[:30]}"


@pytest.mark.parametrize("seed", range(3))
def test_no_secret_survives_anywhere(home: Home, seed: int) -> None:
    chance = random.Random(seed)
    secrets = [*seeded(chance)]
    texts = [f"{' ' * chance.randrange(70000)}say {secret}, and {chance.choice(secrets)}\n" for secret in secrets]
    for at, text in enumerate(texts):
        home.write(f"logs/{at}.txt", text)
    home.write(".config/gh/hosts.yml", yaml.safe_dump({str(at): secret for at, secret in enumerate(secrets)}))
    home.write(".codex/auth.json", json.dumps(secrets))
    home.write(".cursor/mcp.json", json.dumps({"a": {"b": secrets}}, indent=1))
    home.write("export.json", json.dumps(secrets, indent=1))
    home.databases = ["data.db"]
    with closing(sqlite3.connect(home.path / "data.db")) as database:
        database.execute("CREATE TABLE history (a TEXT, b TEXT)")
        database.executemany("INSERT INTO history VALUES (?, ?)", zip(texts, map(json.dumps, secrets), strict=True))
        database.commit()
    treated, copy = home.result()
    assert treated.left == {}
    assert len(json.loads((copy / ".codex/auth.json").read_text())) == len(secrets)
    assert len(json.loads((copy / ".cursor/mcp.json").read_text())["a"]["b"]) == len(secrets)
    assert len(json.loads((copy / "export.json").read_text())) == len(secrets)
    assert len(yaml.safe_load((copy / ".config/gh/hosts.yml").read_text())) == len(secrets)
    for path in (treated.archive, *(path for path in copy.rglob("*") if path.is_file())):
        raw = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in raw, (path, secret)
            assert json.dumps(secret)[1:-1].encode() not in raw, (path, secret)


def test_a_large_home_takes_little_memory(home: Home) -> None:
    line = b"nothing to see here, only words and words\n"
    for name in ("text", "binary\0"[:6]):
        with home.write(name, b"").open("wb") as file:
            for _ in range(60):
                file.write(line * (1_000_000 // len(line)))
            file.write(GH.encode() + (b"\0" if name == "binary" else b"\n"))
    home.databases = ["data.db"]
    with closing(sqlite3.connect(home.path / "data.db")) as database:
        database.execute("CREATE TABLE token (a TEXT)")
        database.executemany("INSERT INTO token VALUES (?)", ((line.decode() * 100,) for _ in range(5000)))
        database.commit()
    tracemalloc.start()
    try:
        treated = home_treated_with_peak(home)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert set(treated.changed) == {"text", "data.db"}
    assert set(treated.left) == {"binary"}
    assert peak < 20 << 20


def home_treated_with_peak(home: Home) -> SanitizedHome:
    """Treat a home; what its backup takes does not count."""
    treated = home.treated()
    treated.archive.unlink()
    tracemalloc.reset_peak()
    return treat(home.root / "home.tar", iter(home.entries), home.databases, home.root / "scratch")


def test_the_archive_is_plain_tar(home: Home) -> None:
    home.write("a", GH)
    with tarfile.open(home.treated().archive) as tar:
        assert tar.getnames() == ["./a"]


def test_a_volume_inside_the_home_is_treated_by_its_place_there(home: Home) -> None:
    home.write("auth.json", '{"tokens": {"id": "plain-words-of-a-login"}}')
    home.write("key4.db", b"\0\1")
    assert home.treated().changed == ()
    (home.root / "inside").mkdir()
    treated = treat(home.root / "home.tar", home.entries, (), home.root / "inside", ".codex")
    assert treated.changed == ("auth.json",)
    assert [*treated.left] == ["key4.db"]
