"""A backup root elsewhere: the one door to what fsspec reaches by URL (S3, Google, Azure, SSH).

A name is a path below the root. Credentials come from the environment and from fsspec's own configuration, never from
the URL. Nothing is cached, and whatever is sent or read passes in blocks. fsspec is imported where it is needed: a run
with a local root starts a tenth of a second sooner.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from queue import Empty, Queue
from secrets import token_hex
from threading import Thread
from typing import Any, cast

from openab_sop import redact
from openab_sop.errors import BackupError, SettingsError, SopError

BLOCK = 5 << 20
"""Bytes that are sent or read at once: the least that S3 takes for a part."""
PARTS = 9_000
"""Blocks of one object at most: S3 takes 10,000."""
ENDED = 15
"""Seconds until a connection is given up, where the driver lets that be said; s3fs itself tries five times."""

PATIENCE = 90
"""Seconds that the first contact may take, whatever the driver."""

_DRIVERS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "ssh": ("sshfs", "ssh"),
    "sftp": ("sshfs", "ssh"),
}
"""By scheme: the package that speaks to it, and the extra of ours that brings it."""
_FLAT = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Schemes whose first part, the bucket, must be there, and that know no directories below it."""
# () is asyncssh's own default, ~/.ssh/known_hosts; sshfs's would trust any host
_S3 = {"config_kwargs": {"connect_timeout": ENDED, "read_timeout": 2 * ENDED, "retries": {"max_attempts": 0}}}
_SSH = {"known_hosts": (), "connect_timeout": ENDED, "login_timeout": ENDED, "keepalive_interval": ENDED}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"s3": _S3, "s3a": _S3, "ssh": _SSH, "sftp": _SSH}
_SECRET_OPTIONS = ("key", "account_key", "connection_string", "passphrase", "sas_token")

_PATH = re.compile(r"/*[^/*\[\]][^*\[\]]*")
"""What follows the scheme; fsspec would take ``*`` and ``[`` for patterns."""
_NAMES_ONE = "name it as s3://BUCKET/PATH, gs://..., az://..., sftp://HOST/PATH or a local path"


def parse(text: str) -> Path | str:
    """Tell a local root from one elsewhere: its path, or its URL.

    Args:
        text: value of ``--backup-root``; ``file:///path`` is a local one.

    Raises:
        SettingsError: it is no URL, or has a password or a query in it: those would be shown.
    """
    if "://" not in text:
        return Path(text).expanduser().absolute()
    scheme, _, rest = text.partition("://")
    if re.match(r"[^@:]*+:[^@]*+@", rest) or re.search(r"[?#]", rest):
        raise SettingsError(
            f"the URL {scheme}://*** has a password or a query in it",
            "give credentials by the environment, as AWS_SECRET_ACCESS_KEY, or by fsspec: see docs/backup.md",
        )
    if scheme in ("file", "local") and rest.startswith("/"):
        return Path(rest)
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or scheme in ("file", "local") or not _PATH.fullmatch(rest):
        raise SettingsError(f"{text} is no URL of a backup root", _NAMES_ONE)
    return f"{scheme}://{rest.rstrip('/')}"


class Store:
    """A backup root elsewhere.

    Args:
        url: as ``parse`` returns it.

    Raises:
        SettingsError: no driver for it is installed, or none is known.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._scheme = url.partition("://")[0]
        package, extra = _DRIVERS.get(self._scheme, ("", ""))
        if package and importlib.util.find_spec(package) is None:
            raise SettingsError(
                f"{url} takes the package {package}, which is not installed",
                f"in this project's directory: .venv/bin/pip install -e '.[{extra}]'",
            )
        if not package and self._scheme not in _known_schemes():
            raise SettingsError(f"{url}: {self._scheme} is no kind of store that fsspec knows", _NAMES_ONE)
        _learn_credentials()

    def check(self) -> None:
        """Write, read and delete a small object, below a root that is there or can be made (SOP 0.5).

        Raises:
            BackupError: one of these is not possible, or takes longer than ``PATIENCE``.
        """
        said: Queue[BackupError | None] = Queue()
        Thread(target=lambda: said.put(self._probe()), daemon=True).start()  # no driver's deadline covers every silence
        try:
            error = said.get(timeout=PATIENCE)
        except Empty:
            raise self._unusable(self.url, TimeoutError(f"it does not answer within {PATIENCE} s")) from None
        if error:
            raise error

    def _probe(self) -> BackupError | None:
        try:
            self._write_and_read()
        except BackupError as error:
            return error
        return None

    def _write_and_read(self) -> None:
        name, content = f".openab-probe-{token_hex(4)}", token_hex(16).encode()
        self.write(name, content)
        if (found := self.read(name)) != content:
            raise BackupError(f"{self.url} returns {len(found)} other bytes than were written", "name another root")
        self.remove([name])

    def names(self) -> list[str]:
        """Return what is directly below the root, sorted.

        Raises:
            BackupError: the root is not there, or cannot be read.
        """
        with self._told():
            self._fs.invalidate_cache()
            try:
                found: list[str] = self._fs.ls(self._root, detail=False)
            except FileNotFoundError:
                if self._scheme not in _FLAT or not self._fs.exists(self._root.partition("/")[0]):
                    raise
                return []  # a bucket that has nothing below this path yet
            return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def files(self, below: str) -> dict[str, int]:
        """Return the bytes of every file below a name, by the path below that; empty if there is none."""
        root = self._path(below)
        with self._told(below):
            self._fs.invalidate_cache()
            found: dict[str, Any] = self._fs.find(root, detail=True)
        return {path[path.index(root) + len(root) + 1 :]: int(info["size"]) for path, info in sorted(found.items())}

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""
        with self._told(name):
            return bytes(self._fs.cat_file(self._path(name)))

    def write(self, name: str, content: bytes) -> None:
        """Write a small file; whoever looks sees all of it or none."""
        path = self._path(name)
        with self._told(name):
            if self._scheme in _FLAT:  # one request
                self._fs.pipe_file(path, content)
                return
            self._make_parent(name)
            aside = f"{path}.{token_hex(4)}"
            self._fs.pipe_file(aside, content)
            self._fs.mv(aside, path)

    def put(self, source: Path, name: str, sent: Callable[[int], None]) -> None:
        """Send a file in blocks; ``sent`` is told the bytes of each."""
        block = max(BLOCK, source.stat().st_size // PARTS + 1)
        with self._told(name):
            self._make_parent(name)
            with source.open("rb") as file, self._open(name, "wb", block) as target:
                while piece := file.read(BLOCK):
                    target.write(piece)
                    sent(len(piece))

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        with self._told(name):
            file = self._open(name, "rb", BLOCK)
        with file:
            while piece := self._read(file, name):
                yield piece

    def remove(self, names: list[str]) -> None:
        """Remove files; many at once, where the store can."""
        if names:
            with self._told():
                self._fs.rm([self._path(name) for name in names])

    def remove_directory(self, name: str) -> None:
        """Remove what is left of a name once its files are gone: directories, where there are such things."""
        if self._scheme not in _FLAT:
            with self._told(name):
                self._fs.rm(self._path(name), recursive=True)

    def _open(self, name: str, mode: str, block: int) -> Any:
        # An SFTP server drops who sends that much; a bucket's reader would hold several blocks beyond what it is asked.
        options = {"block_size": block, "cache_type": "none"} if self._scheme in _FLAT else {}
        return self._fs.open(self._path(name), mode, **options)

    def _read(self, file: Any, name: str) -> bytes:
        with self._told(name):
            return bytes(file.read(BLOCK))

    @cached_property
    def _connected(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs  # pyright: ignore[reportUnknownVariableType]

        options = _OPTIONS.get(self._scheme, {})
        return cast(tuple[Any, str], url_to_fs(self.url, skip_instance_cache=True, **options))

    @property
    def _fs(self) -> Any:
        return self._connected[0]

    @property
    def _root(self) -> str:
        return self._connected[1]

    def _path(self, name: str) -> str:
        with self._told():
            return f"{self._root}/{name}"

    def _make_parent(self, name: str) -> None:
        if self._scheme not in _FLAT:  # there it would make a bucket
            self._fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _told(self, name: str = "") -> Generator[None]:
        """Tell what a driver says as an error of ours; each has exceptions of its own."""
        try:
            yield
        except SopError:
            raise
        except Exception as error:
            raise self._unusable(f"{self.url}/{name}".rstrip("/"), error) from error

    def _unusable(self, where: str, error: Exception) -> BackupError:
        said = redact.mask(str(error) or type(error).__name__)
        if isinstance(error, FileNotFoundError):
            return BackupError(f"{where} is not there: {said}", "create the bucket, or check --backup-root=URL")
        if isinstance(error, PermissionError) or "denied" in type(error).__name__.lower():
            return BackupError(
                f"{where}: these credentials do not suffice: {said}",
                f"allow them to list, read, write and delete below {self.url}, or use others",
            )
        if "Credential" in type(error).__name__ or "Auth" in type(error).__name__:
            return BackupError(
                f"{where}: no usable credentials: {said}",
                "set them in the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (docs/backup.md)",
            )
        return BackupError(
            f"{where} cannot be used: {said}",
            "check that its server answers and its address (AWS_ENDPOINT_URL for S3), then run again",
        )


def _learn_credentials() -> None:
    """Mask from now on what drivers may have for credentials: whatever fails later may quote it."""
    for name, value in os.environ.items():
        if redact.is_secret_name(name):
            redact.learn(value)
    from fsspec.config import conf

    redact.learn_values(conf)
    for options in conf.values():
        for name in _SECRET_OPTIONS:
            redact.learn(str(options.get(name, "")))


def _known_schemes() -> list[str]:
    import fsspec

    return fsspec.available_protocols()
