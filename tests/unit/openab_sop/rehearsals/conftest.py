"""What a test teaches the masking of secrets is forgotten after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openab_sop import redact


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what a test has taught."""
    monkeypatch.setattr(redact, "_known", set[str]())
    redact._pattern.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    redact._pattern.cache_clear()  # pyright: ignore[reportPrivateUsage]
