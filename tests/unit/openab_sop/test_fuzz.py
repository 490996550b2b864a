# pyright: reportPrivateUsage=false
"""Whatever others write: each reader gives a result or an error of ours, never another (issue 14).

``OPENAB_FUZZ=N`` tries N times as many examples.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from openab_sop import bounded, redact
from openab_sop.backups import listing
from openab_sop.backups.archive import Archive
from openab_sop.backups.aside import below
from openab_sop.backups.backup import BackupManifest as BackupManifest
from openab_sop.backups.inventory import read
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import quantity
from openab_sop.cluster.lease import Board
from openab_sop.cluster.records import Record
from openab_sop.errors import SopError
from openab_sop.rehearsals.placeholders import neutral, redact_all_values
from openab_sop.releases.manifest import ReleaseManifest
from openab_sop.releases.session import Session
from openab_sop.releases.upgrade_state import UpgradeStateFile
from openab_sop.rollouts.logs import LogFacts
from openab_sop.targets import chart_source, notes, registry, web
from openab_sop.targets.values import TargetValues
from openab_sop.targets.version import Version
from tests.unit.openab_sop.stored import made, pack

FEW = 40
EXAMPLES = FEW * int(os.environ.get("OPENAB_FUZZ", "1"))
NUMBERS = [
    "1e999",
    "-1e999",
    "1e99999999",
    "NaN",
    "-Infinity",
    "9" * 5000,
    "-1",
    "0x1F",
    "1_0",
    "\uff11",
    "true",
    "",
    "~",
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from([*NUMBERS, 1 << 70, -1])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PIECES = [
    *"[]{}()<>#*-_=:;,.!&|@\"'\\/ \t\n\0\x1b",
    "---\n",
    "<<: ",
    "*a",
    "&a ",
    "token",
    "secret: ",
    "-----BEGIN PRIVATE KEY-----",
]
texts = st.lists(st.sampled_from([*PIECES, *NUMBERS]) | st.text(max_size=6), max_size=20).map("".join)
documents = texts | values.map(json.dumps) | st.binary(max_size=60).map(lambda data: data.decode("latin-1"))


def tried(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test with some hundred examples, the same each time unless more are asked for."""
    return settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES == FEW,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    )(test)


@st.composite
def changed(draw: st.DrawFn, sound: Any) -> Any:
    """A sound document in which some value, anywhere, is another one, gone or new."""
    if isinstance(sound, dict) and sound and draw(st.integers(0, 9)):
        whole = cast(dict[str, Any], sound)
        key = draw(st.sampled_from(sorted(whole)))
        if draw(st.integers(0, 5)) == 0:
            return {name: value for name, value in whole.items() if name != key}
        return {**whole, key: draw(changed(whole[key]))}
    if isinstance(sound, list) and sound and draw(st.integers(0, 9)):
        items = cast(list[Any], sound)
        at = draw(st.integers(0, len(items) - 1))
        return [*items[:at], draw(changed(items[at])), *items[at + 1 :]]
    return draw(values)


def from_file(read: Callable[[Path], object]) -> Callable[[str], object]:
    """Give a text as a file."""

    def reader(text: str) -> object:
        with TemporaryDirectory() as name:
            path = Path(name, "file")
            path.write_bytes(text.encode(errors="surrogateescape"))
            path.chmod(0o600)
            return read(path)

    return reader


def answer(text: str) -> web.HttpResponse:
    return web.HttpResponse("https://host/path", 200, Message(), text.encode(errors="replace"))


def lines(text: str) -> list[str]:
    return [notes.Notes(Version.parse("1.2.3"), "", text).highlights().get("breaking", "")]


READERS: dict[str, Callable[[str], object]] = {
    "YAML": lambda text: list(bounded.load_all_yaml(text, "it")),
    "JSON": lambda text: bounded.load_json(text, "it"),
    "TOML": lambda text: bounded.load_toml(text, "it"),
    "manifest": ReleaseManifest.parse,
    "kubeconfig": from_file(lambda path: kubeconfig.resolve(str(path), None, None)),
    "values": from_file(lambda path: TargetValues.read([path])),
    "session": from_file(Session.load),
    "upgrade.json": lambda text: UpgradeStateFile.parsed(text, "it"),
    "backup.json": lambda text: BackupManifest.parse(text.encode(errors="replace"), "it"),
    "Contents": lambda text: list(read(io.StringIO(text))),
    "notes": lines,
    "notes' answer": lambda text: notes._read(Version.parse("1.2.3"), "https://host/", answer(text).json()),
    "tags": lambda text: registry._tags(answer(text)),
    "index": lambda text: chart_source._index(answer(text), "openab"),
    "chart": chart_source.parse,
    "version": Version.parse,
    "amount": quantity,
    "mask": redact.mask,
    "log": lambda text: LogFacts().read(text),
    "rehearsed file": lambda text: (neutral(text), redact_all_values(text)),
    "listing": lambda text: listing._entry(text.encode(errors="surrogateescape")),
    "digests": lambda text: listing._digest(text.encode(errors="surrogateescape")),
    "challenge": lambda text: registry._PARAMETER.findall(text),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_texts(name: str) -> None:
    @tried
    @given(documents)
    def try_it(text: str) -> None:
        with suppress(SopError):
            READERS[name](text)

    try_it()


RECORD = {
    "name": "openab",
    "version": 1,
    "info": {"status": "deployed"},
    "chart": {"metadata": {"name": "openab", "version": "0.8.1"}, "values": {"a": 1}},
    "manifest": "kind: A\n",
    "config": {"a": 1},
}


@tried
@given(changed(RECORD) | values)
def test_records_of_helm(body: Any) -> None:
    raw = b64encode(gzip.compress(json.dumps(body).encode()))
    with suppress(SopError):
        found = Record.of({"kind": "ConfigMap", "metadata": {"name": "it"}, "data": {"release": raw.decode()}})
        assert (found.name, found.revision > 0, found.chart["metadata"]["version"]) and found.info("status") is not None
        redact.learn_values(found.values)
        ReleaseManifest.parse(found.manifest)


@tried
@given(st.binary(max_size=200) | values.map(lambda value: lzma.compress(json.dumps(value).encode())))
def test_what_is_packed(data: bytes) -> None:
    for unpack in (bounded.gunzip, bounded.unxz):
        with suppress(SopError):
            unpack(data, "it")
    api: Any = type("Api", (), {"namespace": "chat"})()
    api.find = lambda kind, name: {"metadata": {"annotations": {"openab-sop/record": b64encode(data).decode()}}}  # pyright: ignore
    with suppress(SopError):
        Board(api, "openab").read()


def read_tar(data: bytes) -> None:
    """Read a tar stream, once the checksum of whatever may be a header in it is right."""
    blocks = bytearray(data)
    for at in range(0, len(blocks) - 511, 512):
        if bytes(blocks[at + 257 : at + 262]) == b"ustar":
            total = sum(blocks[at : at + 512]) - sum(blocks[at + 148 : at + 156]) + 8 * 32
            blocks[at + 148 : at + 156] = b"%06o\0 " % total
    with TemporaryDirectory() as name:
        list(Archive(Path(name, "home.tar")).append(io.BytesIO(bytes(blocks))))


def small_home(home: Path) -> bytes:
    """What tar writes for a home with a file, a link, and a file with a hole."""
    home.mkdir()
    (home / "a").write_bytes(bytes(700))
    (home / "b").symlink_to("a")
    with (home / "c").open("wb") as holes:
        holes.seek(1 << 20)
        holes.write(b"x" * 600)
    return pack(home, "a", "b", "c")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sound backup, and what tar writes for a small home."""
    root = tmp_path_factory.mktemp("fuzz")
    backup = made(root)
    return backup, small_home(root / "home")


def test_backup_json(sound: Any) -> None:
    backup, _ = sound
    whole = json.loads(json.dumps(asdict(backup.manifest)))

    @tried
    @given(changed(whole))
    def try_it(said: Any) -> None:
        with suppress(SopError):
            found = BackupManifest.parse(json.dumps(said).encode(), "it")
            assert sum(file.size for file in found.contents) >= 0

    try_it()


def test_tar(sound: Any) -> None:
    _, stream = sound

    @tried
    @given(
        st.lists(st.tuples(st.integers(0, len(stream) - 1), st.binary(min_size=1, max_size=12)), max_size=4), st.data()
    )
    def try_it(edits: list[tuple[int, bytes]], data: st.DataObject) -> None:
        spoiled = bytearray(stream)
        for at, new in edits:
            spoiled[at : at + len(new)] = new
        with suppress(SopError):
            read_tar(bytes(spoiled))

    try_it()


@tried
@given(changed({"kubeconfig": "", "context": "", "names": 1, "sealed_to": []}))
def test_what_was_set_aside(said: Any) -> None:
    with TemporaryDirectory() as name:
        Path(name, "aside.json").write_text(json.dumps(said))
        with suppress(SopError, ValueError):  # who lists it says so in its place
            list(below(Path(name)))
