"""The values that a target is rendered with: the release's own, or those that come with the version (SOP 3.2).

They are known by a digest of what they mean. Those that were named are kept beside the session file, so that a run that
goes on uses them too; the way back uses the baseline's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from openab_sop import bounded, redact, storage
from openab_sop.errors import InvalidDocument, SettingsError
from openab_sop.escape import command
from openab_sop.objects import Object

OTHERS = 0o077
"""Bits of a file's mode by which others may do something with it."""


@dataclass(frozen=True)
class TargetValues:
    """Values as YAML.

    Attributes:
        text: as helm reads them.
        digest: SHA-256 of what they mean; empty for the release's own.
        origin: where they come from, in words.
    """

    text: str
    digest: str = ""
    origin: str = "the release's own"

    @property
    def given(self) -> bool:
        """Whether they were named, and are not simply the release's own."""
        return bool(self.digest)

    @property
    def tree(self) -> Object:
        """What they mean."""
        return cast(Object, bounded.load_yaml(self.text, f"values ({self.origin})") or {})

    @classmethod
    def read(cls, files: Sequence[Path]) -> TargetValues:
        """Read files of values, later ones win as helm has it; what sounds secret in them is masked from now on.

        Raises:
            SettingsError: one is not there, is no mapping, contradicts another, or is readable by others and holds
                secrets.
        """
        merged: Object = {}
        for file in files:
            merged = _merged(merged, _read(file), str(file))
        text = files[0].read_text() if len(files) == 1 else yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)
        return cls(text, digest_of(merged), ", ".join(map(str, files)))

    @classmethod
    def stored(cls, directory: Path, digest: str) -> TargetValues | None:
        """Return the values that an earlier run has kept; None if they are not there, or not what they were."""
        try:
            text = _path(directory, digest).read_text()
            values: object = bounded.load_yaml(text, "values of an earlier run") or {}
        except (OSError, ValueError):
            return None
        redact.learn_values(values)
        return cls(text, digest, "as the upgrade began with") if digest_of(values) == digest else None

    def store(self, directory: Path) -> Path:
        """Keep them, private; returns where.

        Raises:
            BackupError: the disk is full.
        """
        storage.private_directory(directory)
        path = _path(directory, self.digest)
        storage.replace(path, self.text.encode())
        return path


def digest_of(values: Any) -> str:
    """Return the SHA-256 of what values mean, however they are written."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def forget(directory: Path) -> None:
    """Remove the values that were kept for an upgrade: they hold secrets, and it is over."""
    for path in directory.glob("values-*.yaml"):
        path.unlink(missing_ok=True)


def _path(directory: Path, digest: str) -> Path:
    return directory / f"values-{digest[:16]}.yaml"


def _read(file: Path) -> Object:
    try:
        values: object = bounded.load_yaml(file.read_text(), f"--values={file}")
    except OSError as error:
        raise SettingsError(f"--values={file}: {error.strerror}", "name a file of values") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"--values={file} is not valid YAML: {error}", "fix the file, then try again") from error
    except InvalidDocument as error:
        raise SettingsError(
            f"--values={file} is not valid YAML: {error.problem}", "fix the file, then try again"
        ) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"--values={file} is not a mapping of names to values", "write KEY: VALUE, as helm has it")
    mapping = cast(Object, values)
    redact.learn_values(mapping)
    if file.stat().st_mode & OTHERS and _holds_secret(mapping):
        raise SettingsError(
            f"--values={file} holds secrets, and others may read it", command("chmod", "600", str(file))
        )
    return mapping


def _holds_secret(values: object, *, below: bool = False) -> bool:
    if isinstance(values, Mapping):
        found = cast(Mapping[object, object], values).items()
        return any(_holds_secret(value, below=below or redact.is_secret_name(str(name))) for name, value in found)
    if isinstance(values, list):
        return any(_holds_secret(value, below=below) for value in cast(list[object], values))
    return below and isinstance(values, str) and bool(values)


def _merged(first: Object, then: Object, file: str, above: tuple[str, ...] = ()) -> Object:
    """Merge as helm does: maps into each other, anything else takes the place of what was there."""
    merged = dict(first)
    for key, value in then.items():
        there = merged.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merged[key] = _merged(cast(Object, there), cast(Object, value), file, (*above, str(key)))
            continue
        if value is not None and there is not None and isinstance(there, dict) != isinstance(value, dict):
            path = ".".join((*above, str(key)))
            raise SettingsError(
                f"--values={file} contradicts a file before it: {path} is a mapping in one, and none in the other",
                "leave it out of one of them",
            )
        merged[key] = value
    return merged
