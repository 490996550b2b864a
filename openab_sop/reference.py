"""References of images: ``registry/repository:tag@digest``."""

from __future__ import annotations


def is_floating(image: str) -> bool:
    """Tell whether an image's reference may mean another image tomorrow: no digest, and no tag or ``latest``."""
    return "@" not in image and tag(image) in ("", "latest")


def tag(image: str) -> str:
    """Return the tag of an image's reference; empty if it has none. A registry's port is none."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2]


def repository(image: str) -> str:
    """Return an image's reference without tag and digest."""
    plain = image.partition("@")[0]
    head, slash, last = plain.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
