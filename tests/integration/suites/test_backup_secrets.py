"""No secret in anything that a run leaves or shows: planted in all places, searched in all spellings."""

from __future__ import annotations

import html
import json
import os
import re
import secrets
import subprocess
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from sandbox import Status
from tests.integration.conftest import ROOT, Suites, new_namespace
from world import World

PLACES = ("value", "chart secret", "foreign secret", "environment", "home file", "config map")


def planted(place: str) -> str:
    """A secret of its own for a place, with characters that JSON, HTML, URLs and shells each spell in their way."""
    return f"{place.replace(' ', '-')}<\"&'/+ü\\>{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Planted:
    """A release that is full of secrets."""

    namespace: str
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def release(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """A release with a secret in each place."""
    found = {place: planted(place) for place in PLACES}
    found["chart secret"] = f"MTA5/NzI+Mg==.GxY-{secrets.token_hex(12)}"  # the agent pastes it into its TOML as it is
    agent = world.agent_values()
    agent["discord"]["botToken"] = found["chart secret"]
    agent["env"] |= {"OPENAB_WRITE_INTERVAL": "0", "SOME_PASSWORD": found["environment"]}
    agent |= {"secretEnv": [{"name": "EXTRA", "secretName": "extra", "secretKey": "key"}]}
    agent |= {"stt": {"enabled": False, "apiKey": found["value"]}, "agentsMd": found["config map"]}
    file = tmp_path_factory.mktemp("planted") / "secret"
    file.write_text(found["foreign secret"])
    with new_namespace(world) as namespace:
        world.kubectl("--namespace", namespace, "create", "secret", "generic", "extra", f"--from-file=key={file}")
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": agent}})
        world.fill_home(namespace, "openab-kiro")
        script = 'printf "%s\\n" "$1" >~/plain.txt; printf "oauth_token: %s\\n" "$1" >~/.config/gh/hosts.yml'
        in_pod(world, namespace, script, found["home file"])
        yield Planted(namespace, found)


def in_pod(world: World, namespace: str, script: str, *arguments: str) -> str:
    """Run a script in the agent's container."""
    target = ("--namespace", namespace, "deploy/openab-kiro", "--container=openab")
    return world.kubectl("exec", *target, "--", "sh", "-c", script, "sh", *arguments)


def spellings(secret: str) -> set[str]:
    """A secret as tools write it: plain, JSON, HTML, URL, base64 wherever it begins, and these in one another."""
    plain = {secret, *secret.splitlines()}
    ways: tuple[Callable[[str], str], ...] = (
        lambda s: json.dumps(s)[1:-1],
        lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
        lambda s: html.escape(s),
        lambda s: quote(s, safe=""),
        lambda s: quote_plus(s),
        lambda s: repr(s)[1:-1],
    )
    once = plain | {way(s) for way in ways for s in plain}
    twice = once | {way(s) for way in ways for s in once}
    return twice | set(base64_cores(secret))


def base64_cores(secret: str) -> Iterator[str]:
    """What of a secret's base64 does not depend on its neighbours, for each of the three offsets."""
    data = secret.encode()
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(b"\0" * offset + data + b"\0\0\0").decode()
            yield whole[(offset * 8 + 5) // 6 : (offset + len(data)) * 8 // 6]


def artefacts(suites: Suites, output: str) -> dict[str, str]:
    """Everything that a run leaves for others to read, backups aside; pages also with what is packed in them."""
    found = {"terminal": output}
    for root in (suites.reports, suites.backup_root / "sessions"):
        for path in root.rglob("*"):
            if path.is_file():
                found[str(path)] = unpacked(path.read_text())
    return found


def unpacked(text: str) -> str:
    """A text with the JSON of its data attributes as text too."""
    blobs = re.findall(r'data-jsonblob="([^"]*)"', text)
    return "\n".join([text, *(html.unescape(blob) for blob in blobs), html.unescape(text)])


def leaks(suites: Suites, output: str, release: Planted) -> list[str]:
    """Where which secret was found."""
    return [
        f"{place} in {name}"
        for name, text in artefacts(suites, output).items()
        for place, secret in release.secrets.items()
        if any(spelling in text for spelling in spellings(secret))
    ]


def core(secret: str) -> str:
    """The part of a secret that no tool spells otherwise."""
    return secret[-24:]


def test_passing_run(suites: Suites, release: Planted) -> None:
    """A run that passes shows none; the backup has them all, which is what it is for."""
    run = suites.run("suites/backup", f"--namespace={release.namespace}")
    assert run.status == 0, run.output
    assert leaks(suites, run.output, release) == []
    assert not [p for p, s in release.secrets.items() for t in artefacts(suites, run.output).values() if core(s) in t]
    kept = "".join(path.read_text(errors="replace") for path in suites.backup_root.rglob("*") if path.is_file())
    assert core(release.secrets["home file"]) in kept
    assert core(release.secrets["value"]) in kept


def test_errors_that_quote_them(suites: Suites, release: Planted, tmp_path: Path) -> None:
    """A command of ours fails, and its error text has every secret that can be known, in every spelling."""
    known = [release.secrets[place] for place in ("value", "chart secret", "foreign secret", "environment")]
    said = tmp_path / "said"
    said.write_text("\n".join(["Error: bad thing", *(quoted(secret) for secret in known)]))
    wrapper(tmp_path / "bin" / "helm", suites, "helm", said, when="get")
    path = f"{tmp_path / 'bin'}{os.pathsep}{suites.env['PATH']}"
    run = suites.run("suites/backup", f"--namespace={release.namespace}", env={"PATH": path})
    assert run.verdicts()["test_values"] == "failed"
    assert "bad thing" in run.output
    assert leaks(suites, run.output, release) == []
    assert not [t for s in known for t in artefacts(suites, run.output).values() if core(s) in t]


def quoted(secret: str) -> str:
    """A secret in the ways in which tools quote one."""
    encoded = b64encode(b"x:" + secret.encode()).decode()
    return " ".join([secret, json.dumps(secret), html.escape(secret), quote(secret, safe=""), encoded])


def wrapper(path: Path, suites: Suites, tool: str, said: Path, when: str) -> None:
    """Put a program before the real tool that fails with the text of a file at one subcommand."""
    real = subprocess.run(
        ["which", tool], env=dict(suites.env), check=True, capture_output=True, text=True
    ).stdout.strip()
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\n[ "$1" != {when} ] || {{ cat {said} >&2; exit 1; }}\nexec {real} "$@"\n')
    path.chmod(0o755)


def test_file_names_that_are_secrets(suites: Suites, release: Planted, world: World) -> None:
    """An unreadable file is named in the report; what of its name is a secret is not."""
    token = "ghp_" + secrets.token_hex(18)
    script = 'mkdir -p ~/odd; : >~/odd/"$1"; chmod 0 ~/odd/"$1"'
    in_pod(world, release.namespace, script, f"unreadable {token}")
    try:
        run = suites.run("suites/backup", f"--namespace={release.namespace}")
    finally:
        in_pod(world, release.namespace, 'rm -f ~/odd/"$1"', f"unreadable {token}")
    assert run.status == 1, run.output
    assert "unreadable ***" in run.output
    assert not [name for name, text in artefacts(suites, run.output).items() if token in text]
    assert suites.backups() == []


def test_command_lines(suites: Suites, release: Planted) -> None:
    """No process that a run starts has a secret among its arguments or is told one by its environment."""
    argv = suites.argv("suites/backup", f"--namespace={release.namespace}")
    with subprocess.Popen(argv, cwd=ROOT, env=dict(suites.env), stdout=subprocess.DEVNULL) as process:
        seen = set(sampled(process))
    assert process.returncode == 0
    assert any("kubectl\0" in line and "exec" in line for line in seen)
    assert not [line for line in seen for secret in release.secrets.values() if core(secret) in line]


def sampled(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Command lines and environments of a process and its children, while it runs."""
    while process.poll() is None:
        for pid in [process.pid, *children(process.pid)]:
            for name in ("cmdline", "environ"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    yield Path(f"/proc/{pid}/{name}").read_text(errors="replace")
        time.sleep(0.002)


def children(pid: int) -> list[int]:
    """The children that a process has now."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.mark.parametrize("spelled", sorted(spellings("k<\"&'/+ü\\>0123456789abcdef")))
def test_search_would_find_it(spelled: str, tmp_path: Path, status: Status) -> None:
    """The search above is not blind: each spelling is found in a report."""
    suites = Suites.at(tmp_path, status)
    suites.backup_root.mkdir()
    (suites.reports / "report.html").write_text(f"<p>text {spelled} text</p>")
    assert leaks(suites, "", Planted("", {"any": "k<\"&'/+ü\\>0123456789abcdef"})) == [
        f"any in {suites.reports / 'report.html'}"
    ]
