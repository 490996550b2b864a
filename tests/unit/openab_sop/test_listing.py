"""Names on their way to the pod and back, judged by the find, tar and xargs of this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from openab_sop.backups.listing import BATCH, batches, digests, prunes, relative
from openab_sop.errors import PodError
from tests.unit.openab_sop.local import local


def test_prunes_leave_out_exactly_the_paths(tmp_path: Path) -> None:
    """Wildcards in a path mean themselves."""
    for name in ("AGENTS.md", "AGENTS-md", "[x]", "x", "star*", "starry", "back\\slash", "q?", "qq", "-dash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "below").touch()
    excluded = ["AGENTS.md", "[x]", "star*", "back\\slash", "q?", "-dash"]
    command = ["find", ".", "-mindepth", "1", *prunes(excluded), "-print0"]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout.decode().split("\0")
    kept = {"AGENTS-md", "x", "starry", "qq"}
    assert set(found) - {""} == {f"./{name}" for name in kept} | {f"./{name}/below" for name in kept}


def test_batches_fit_a_pipe_and_keep_groups_together() -> None:
    groups = [[f"{number:05}-a", f"{number:05}-b"] for number in range(5000)]
    sent = list(batches(groups))
    assert len(sent) > 1
    assert all(len(batch) <= BATCH for batch in sent)
    assert b"".join(sent).decode().split("\0")[:-1] == [f"./{name}" for group in groups for name in group]
    for batch in sent:
        names = batch.decode().split("\0")[:-1]
        assert names[0].endswith("-a")
        assert names[-1].endswith("-b")


def test_no_names_no_batch() -> None:
    assert list(batches([])) == []


@pytest.mark.parametrize("name", [b"./a", b"./new\nline", b"./-dash", b"./latin1-\xe9", b"./a/..b"])
def test_names_come_back_as_they_are(name: bytes) -> None:
    assert b"./" + os.fsencode(relative(name)) == name


@pytest.mark.parametrize("name", [b"", b"./", b"/etc/passwd", b"../x", b"./a/../x"])
def test_names_that_lead_out_are_refused(name: bytes) -> None:
    with pytest.raises(PodError, match="outside"):
        relative(name)


NO_OPENSSL = {"it is right": "", "it is wrong": "printf '%064d *./a\\n' 0", "it is not there": "exit 127"}


@pytest.mark.parametrize("openssl", NO_OPENSSL.values(), ids=NO_OPENSSL)
def test_digests_are_right_whatever_computes_them(tmp_path: Path, openssl: str) -> None:
    pod = local(tmp_path)
    if openssl:
        pod.tool("openssl", openssl)
    for name in ("a", "new\nline", "back\\slash", "-dash", " *x", "star*[q]", os.fsdecode(b"latin1-\xe9\n")):
        (pod.home / "dir\n").mkdir(exist_ok=True)
        for path in (pod.home / name, pod.home / "dir\n" / name):
            path.write_bytes(os.fsencode(path))
    expected = {
        str(path.relative_to(pod.home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pod.home.rglob("*")
        if path.is_file()
    }
    assert dict(digests(pod.pod, str(pod.home), ())) == expected


def test_openssl_is_used_where_it_is(tmp_path: Path) -> None:
    pod = local(tmp_path)
    pod.tool("sha256sum", "exit 1")
    (pod.home / "a").touch()
    assert dict(digests(pod.pod, str(pod.home), ())) == {"a": hashlib.sha256().hexdigest()}
