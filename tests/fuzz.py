"""Feed readers of foreign input with bytes that a coverage-guided fuzzer grows, on demand (issue 14).

    pip install 'openab-sop[fuzz]'; python -m tests.fuzz [READER] [options of libFuzzer, such as -max_total_time=60]

A crash is any exception that is not ours, more than a second for one input, or more than 1 GiB; libFuzzer then leaves
the input in a file. Without a reader its names are printed. Whatever it finds becomes a row of a unit test.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

fuzzer: Any = import_module("atheris")  # it ships no types
with redirect_stderr(io.StringIO()), fuzzer.instrument_imports(include=["openab_sop"]):
    from openab_sop import bounded
    from openab_sop.backups.archive import Archive
    from openab_sop.errors import SopError
    from openab_sop.proposals.document import Document
    from tests.unit.openab_sop.stored import pack
    from tests.unit.openab_sop.test_fuzz import READERS

LIMITS = ("-timeout=1", "-rss_limit_mb=1024", "-max_len=8192")


def tar(data: bytes) -> None:
    """Read what tar in a pod may have written, with the checksums that its headers ask for."""
    spoiled = bytearray(data)
    for at in range(0, len(spoiled) - 511, 512):
        total = sum(spoiled[at : at + 512]) - sum(spoiled[at + 148 : at + 156]) + 8 * 32
        spoiled[at + 148 : at + 156] = b"%06o\0 " % total
    with TemporaryDirectory() as name:
        list(Archive(Path(name, "home.tar")).append(io.BytesIO(bytes(spoiled))))


def of_text(reader: Callable[[str], object]) -> Callable[[bytes], object]:
    """Take bytes for text."""
    return lambda data: reader(data.decode("utf-8", "surrogateescape" if reader is READERS["listing"] else "replace"))


ALL: dict[str, Callable[[bytes], object]] = {
    "tar": tar,
    "gzip": lambda data: bounded.gunzip(data, "it"),
    "lzma": lambda data: bounded.unxz(data, "it"),
    "values with comments": of_text(lambda text: Document(text).plain),
    **{name: of_text(reader) for name, reader in READERS.items()},
}


def sow(seeds: Path) -> None:
    """Write what the fuzzer begins with: an archive with a hole and a link, as tar in a pod writes it."""
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "a").write_bytes(b"x" * 700)
        (home / "b").symlink_to("a")
        with (home / "c").open("wb") as holes:
            holes.seek(1 << 20)
            holes.write(b"x")
        (seeds / "tar").write_bytes(pack(home, "a", "b", "c")[:8192])


def main(arguments: list[str]) -> None:
    """Fuzz one reader until libFuzzer's options end it."""
    if not arguments or arguments[0] not in ALL:
        sys.exit("\n".join(ALL))
    reader = ALL[arguments[0]]

    def try_it(data: bytes) -> None:
        with suppress(SopError):
            reader(data)

    with TemporaryDirectory() as seeds:
        sow(Path(seeds))
        fuzzer.Setup([sys.argv[0], *LIMITS, *arguments[1:], seeds], try_it)
        fuzzer.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
