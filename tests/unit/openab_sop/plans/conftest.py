"""Without what is known of real versions: tables of cases bring their own."""

from __future__ import annotations

import pytest

from openab_sop.plans.rules import data, path


@pytest.fixture(autouse=True)
def no_known_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOVES", ())
    monkeypatch.setattr(path, "MIGRATIONS", ())
