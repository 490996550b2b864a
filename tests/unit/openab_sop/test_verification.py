"""Which image ids can be compared, and what a difference means."""

from __future__ import annotations

import pytest

from openab_sop.upgrades.verification import has_moved

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("pulled", "runs", "moved"),
    [
        (f"registry/openab@{ONE}", f"registry/openab@{OTHER}", True),
        (f"registry/openab@{ONE}", f"registry/openab@{ONE}", False),
        (ONE, OTHER, True),
        (ONE, ONE, False),
        (f"registry/openab@{ONE}", f"mirror/openab@{ONE}", False),
        (f"registry/openab@{ONE}", OTHER, False),  # another node knows the image by its own id
        ("", f"registry/openab@{ONE}", False),
        (f"registry/openab@{ONE}", "", False),
    ],
)
def test_a_tag_that_was_moved_is_told_from_an_id_of_another_kind(pulled: str, runs: str, moved: bool) -> None:
    assert has_moved(pulled, runs) == moved
