"""What a test teaches the masking of secrets is forgotten after it."""

from __future__ import annotations

import pytest

from openab_sop import redact


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test has taught."""
    monkeypatch.setattr(redact, "_known", frozenset[str]())
