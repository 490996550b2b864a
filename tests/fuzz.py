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
    from openab_sop.errors import SopError
    from openab_sop.proposals.document import Document
    from tests.unit.openab_sop.test_fuzz import READERS, read_tar, small_home

LONGEST = 8192
"""Bytes of an input."""
LIMITS = ("-timeout=1", "-rss_limit_mb=1024", f"-max_len={LONGEST}")


def of_text(reader: Callable[[str], object]) -> Callable[[bytes], object]:
    """Take bytes for text."""
    return lambda data: reader(data.decode("utf-8", "surrogateescape" if reader is READERS["listing"] else "replace"))


ALL: dict[str, Callable[[bytes], object]] = {
    "tar": read_tar,
    "gzip": lambda data: bounded.gunzip(data, "it"),
    "lzma": lambda data: bounded.unxz(data, "it"),
    "values with comments": of_text(lambda text: Document(text).plain),
    **{name: of_text(reader) for name, reader in READERS.items()},
}


def main(arguments: list[str]) -> None:
    """Fuzz one reader until libFuzzer's options end it."""
    if not arguments or arguments[0] not in ALL:
        sys.exit("\n".join(ALL))
    reader = ALL[arguments[0]]

    def try_it(data: bytes) -> None:
        with suppress(SopError):
            reader(data)

    with TemporaryDirectory() as name, TemporaryDirectory() as seeds:
        Path(seeds, "tar").write_bytes(small_home(Path(name, "home"))[:LONGEST])
        fuzzer.Setup([sys.argv[0], *LIMITS, *arguments[1:], seeds], try_it)
        fuzzer.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
