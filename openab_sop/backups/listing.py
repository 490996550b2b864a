"""What the pod says of its home: names and metadata from find, digests from sha256sum."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from openab_sop.backups.inventory import Entry
from openab_sop.cluster.pod import CHUNK, Output, Pod
from openab_sop.errors import PodError

BATCH = 1 << 15
"""Bytes of names sent to the pod at once: what a pipe takes before anybody reads."""
LONGEST = 1 << 16
"""Bytes of one record: a path and a link's target, each at most 4096, and their metadata. More is no listing."""

_FORMAT = r"%p//%y %m %U %G %s %T@ %C@ %D:%i {readable}//%l\0"
_PRINT = (
    r"\( \( -type f ! -readable -o -type d \( ! -readable -o ! -executable \) \) "
    f'-printf "{_FORMAT.format(readable="no")}" -o -printf "{_FORMAT.format(readable="yes")}" \\)'
)
_LIST = f'find . -maxdepth 0 {_PRINT} && find . -mindepth 1 "$@" {_PRINT}'
_LIST_SOME = f"""head -c "$1" | xargs -0r sh -c 'find "$@" -maxdepth 0 {_PRINT}' sh"""
_KNOWN = hashlib.sha256(b"abc").hexdigest()
_DIGEST = f"""export LC_ALL=C; odd=$(printf '*[\\\\\\\\\\n]*')
case $(printf abc | openssl dgst -sha256 -r 2>/dev/null) in
{_KNOWN}*) find . -mindepth 1 "$@" -type f ! -path "$odd" -print0 | xargs -0r openssl dgst -sha256 -r | tr '\\n' '\\0';;
*) odd='*';;
esac
find . -mindepth 1 "$@" -type f -path "$odd" -print0 | xargs -0r sha256sum -bz --"""
"""By openssl, where it is there and right: it uses the processor's own SHA instructions, which sha256sum of Debian 12
does not, and takes a third of the time. It ends its lines with a newline, so odd names are sha256sum's."""
_DIGEST_SOME = 'head -c "$1" | xargs -0r sha256sum -bz --'
_PREFIX = 'head -c "$2" -- "$1" | sha256sum'
_USED = "du -sx --block-size=1 . 2>/dev/null"


def used(pod: Pod, home: str) -> int:
    """Return the bytes that a home takes on its volume; holes of sparse files take none."""
    said = pod.capture(_USED, home)
    match = re.match(rb"(\d{1,18})\s", said)
    if match is None:
        raise PodError(f"du in pod {pod.name} says {said[:200]!r}", "the image needs du as coreutils have it")
    return int(match[1])


def flush(pod: Pod, home: str) -> None:
    """Put on the volume what is only in memory yet: a snapshot holds what was written, and no more."""
    pod.capture("sync --file-system . || status=1", home)


def listed(pod: Pod, home: str, excluded_mounts: Sequence[str]) -> Iterator[Entry]:
    """Yield what a home holds: first its own directory, under the path ".", then all below.

    Args:
        excluded_mounts: paths in the home where something else is mounted; they are left out, with all below them.

    Raises:
        PodError: the home cannot be listed, or the pod's find is not GNU's.
    """
    with pod.open(_LIST, home, *prunes(excluded_mounts)) as output:
        records = _records(output)
        home_itself = next(records, None)
        if home_itself is None:
            raise PodError(f"find in pod {pod.name} cannot list {home}: {output.stderr()}", "the image needs GNU find")
        yield _entry(home_itself)
        yield from map(_entry, records)


def digests(pod: Pod, home: str, excluded_mounts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of every file of a home that can be read, computed in the pod."""
    with pod.open(_DIGEST, home, *prunes(excluded_mounts)) as output:
        yield from map(_digest, _records(output))


def listed_again(pod: Pod, home: str, paths: Iterable[str]) -> Iterator[Entry]:
    """Yield the present entries of some paths; one that vanished yields nothing."""
    yield from map(_entry, _some(pod, _LIST_SOME, home, paths))


def digests_again(pod: Pod, home: str, files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield path and present SHA-256 of some files; one that vanished yields nothing."""
    yield from map(_digest, _some(pod, _DIGEST_SOME, home, files))


def starts_with(pod: Pod, home: str, path: str, size: int, sha256: str) -> bool:
    """Tell whether the first ``size`` bytes of a file have this digest now: whether it has only grown since."""
    if size == 0:
        return sha256 == hashlib.sha256().hexdigest()
    return pod.capture(_PREFIX, home, f"./{path}", str(size)).split()[:1] == [sha256.encode()]


def prunes(excluded_mounts: Sequence[str]) -> list[str]:
    """Return the part of a find expression that leaves out ``excluded_mounts`` and all below."""
    return [
        word
        for path in excluded_mounts
        for word in ("-path", "./" + re.sub(r"([*?\[\\])", r"\\\1", path), "-prune", "-o")
    ]


def batches(groups: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield NUL-ended names, as ``xargs -0`` and ``tar --null`` read them, in pieces that a pipe takes at once.

    Args:
        groups: paths below the home; those of a group stay together (the names of one file, which tar links).
    """
    batch = bytearray()
    for group in groups:
        names = b"".join(b"./" + os.fsencode(path) + b"\0" for path in group)
        if batch and len(batch) + len(names) > BATCH:
            yield bytes(batch)
            batch.clear()
        batch += names
    if batch:
        yield bytes(batch)


def relative(name: bytes) -> str:
    """Return a path below the home from what the pod calls it (``./a/b``).

    Raises:
        PodError: it points elsewhere, or is no path as find prints it: the pod's side is not trusted.
    """
    path = os.fsdecode(name.removeprefix(b"./"))
    if "\0" in path or (path != "." and not {"", ".", ".."}.isdisjoint(path.split("/"))):
        raise PodError(
            f"the pod names a path outside its home: {path!r}",
            "look into the pod: its tools are not to be trusted",
        )
    return path


def _some(pod: Pod, script: str, home: str, paths: Iterable[str]) -> Iterator[bytes]:
    for batch in batches([path] for path in paths):
        with pod.open(script, home, str(len(batch)), stdin=batch) as output:
            yield from _records(output)


def _records(output: Output) -> Iterator[bytes]:
    held = b""
    while chunk := output.read(CHUNK):
        *whole, held = (held + chunk).split(b"\0")
        yield from whole
        if len(held) > LONGEST:
            raise PodError(
                "the pod's listing has an invalid record",
                "look into the pod: its tools are not to be trusted",
            )


def _entry(record: bytes) -> Entry:
    try:
        name, metadata, link = record.split(b"//", 2)
        kind, mode, uid, gid, size, mtime, ctime, inode, readable = metadata.decode("ascii").split()
        return Entry(
            path=relative(name),
            type=kind,
            mode=int(mode, 8),
            uid=int(uid),
            gid=int(gid),
            size=int(size) if kind == "f" else 0,
            mtime_ns=_moment(mtime),
            link=os.fsdecode(link),
            inode=inode,
            ctime_ns=_moment(ctime),
            readable=readable == "yes",
        )
    except (ValueError, ArithmeticError) as error:
        raise PodError(
            f"the pod's listing has an invalid record: {record[:200]!r}", "the image needs GNU find"
        ) from error


def _moment(text: str) -> int:
    """Return nanoseconds since the epoch from seconds with a fraction."""
    seconds, _, fraction = text.partition(".")
    if seconds.isdigit() and fraction.isdigit():
        return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))
    return int(Decimal(text) * 10**9)


def _digest(record: bytes) -> tuple[str, str]:
    match = re.fullmatch(rb"([0-9a-f]{64}) [ *](.+)", record, re.DOTALL)
    if match is None:
        raise PodError(f"the pod's digests have an invalid record: {record[:200]!r}", "the image needs GNU sha256sum")
    return relative(match[2]), match[1].decode()
