"""Upgrade, at its end: announce it (SOP 3.6)."""

from __future__ import annotations

from fixtures.audit import Audit, Evidence
from openab_sop.upgrades.upgrade import Upgrade, outages


def test_completion_is_announced(upgrade: Upgrade, audit: Audit, evidence: Evidence) -> None:
    """3.6 Announce the completion, with the measured outage."""
    evidence("announced", upgrade.complete())
    audit.facts["version now"] = str(upgrade.maintenance.release())
    audit.facts["outage"] = outages(upgrade.maintenance.state)
    audit.next_step = "nothing; the backup of before the upgrade is kept: pytest suites/cleanup lists backups"
