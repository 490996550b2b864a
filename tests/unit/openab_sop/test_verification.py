"""Which image ids can be compared, and what a difference means; what of a volume is held against nobody."""

from __future__ import annotations

import pytest

from openab_sop.upgrades.verification import Looked, has_moved
from openab_sop.verdict import Finding

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


def test_what_the_old_versions_start_removes_too_is_no_damage() -> None:
    """What was excused stays so, and everything else is held against the version."""
    gone = Finding("a", "it is gone", "it", "look")
    seen = Looked("3 removed", {"marker": gone, "rules.md": gone, "other": gone}, {"rules.md": gone})
    once = seen.without(["marker", "never there"])
    assert (once.damage, once.own) == ({"rules.md", "other"}, ("marker",))
    twice = once.without({"rules.md"})
    assert (twice.damage, twice.own, twice.changes) == ({"other"}, ("marker", "rules.md"), "3 removed")
