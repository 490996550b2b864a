"""What of a volume is held against nobody."""

from __future__ import annotations

from openab_sop.upgrades.verification import Looked
from openab_sop.verdict import Finding


def test_what_the_old_versions_start_removes_too_is_no_damage() -> None:
    """What was excused stays so, and everything else is held against the version."""
    gone = Finding("a", "it is gone", "it", "look")
    seen = Looked("3 removed", {"marker": gone, "rules.md": gone, "other": gone}, {"rules.md": gone})
    once = seen.without(["marker", "never there"])
    assert (once.damage, once.own) == ({"rules.md", "other"}, ("marker",))
    twice = once.without({"rules.md"})
    assert (twice.damage, twice.own, twice.changes) == ({"other"}, ("marker", "rules.md"), "3 removed")
