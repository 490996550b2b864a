"""Writing files that others may not read, and that are whole or not there."""

from __future__ import annotations

from pathlib import Path


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace `path` by a file with `text` that nobody but its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)
    aside.touch(mode=mode)
    aside.write_text(text)
    aside.rename(path)
