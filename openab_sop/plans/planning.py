"""Draws the plan of an upgrade once, has it judged, and leaves it as a page and for programs (SOP 3.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from openab_sop import storage
from openab_sop.cluster.lease import Lease
from openab_sop.errors import StepSkipped
from openab_sop.plans.judgement import PlanJudgement, judge
from openab_sop.plans.page import page
from openab_sop.plans.survey import Survey
from openab_sop.redact import mask_values
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import UpgradeState
from openab_sop.status import Status
from openab_sop.targets.target import Target
from openab_sop.targets.values import TargetValues

PAGE, FACTS = "plan.html", "plan.json"


@dataclass
class Planning:
    """The plan of one upgrade.

    Attributes:
        target: where it leads; a pre-release on the way is planned too.
        values: what it is rendered with.
        state: the upgrade that is under way, if one is.
        accepted: by id of a finding, why it is let pass.
        directory: where ``plan.html`` and ``plan.json`` are left.
        lease: the release's lock; it is not taken.
        source: where charts come from, as ``--chart`` has it.
    """

    release: Release
    target: Target
    values: TargetValues | None
    state: UpgradeState | None
    accepted: Mapping[str, str]
    directory: Path
    lease: Lease
    source: str = ""
    _judgement: PlanJudgement | None = field(default=None)

    @property
    def judgement(self) -> PlanJudgement:
        """What the rules say, once it is drawn.

        Raises:
            StepSkipped: the upgrade has changed the release already: it was planned before that.
        """
        if self.state and self.state.changed:
            raise StepSkipped(f"upgrade {self.state.id} is under way since {self.state.begun}: it was planned before")
        assert self._judgement is not None
        return self._judgement

    def draw(self) -> str:
        """Read everything, ask every rule, leave the page; returns in words what was found where.

        Raises:
            StepSkipped: as ``judgement``.
            ReleaseLocked: another run is changing the release.
            SettingsError: something was accepted that was not found.
            SopError: the cluster does not answer.
        """
        if not (self.state and self.state.changed):
            self.lease.require_free()
            survey = Survey(self.release, self.values, self.source)
            charts = (self.target.prerelease_chart, self.target.chart)
            plans = [survey.plan(chart) for chart in charts if chart]
            if self.target.unvalidated:
                plans[-1] = replace(plans[-1], unvalidated=self.target.why_no_prerelease)
            self._judgement = judge(plans, self.accepted)
            facts = json.dumps(mask_values(self._judgement.as_json()), indent=2, ensure_ascii=False)
            storage.replace(self.directory / FACTS, facts.encode() + b"\n")
            storage.replace(self.directory / PAGE, page(self._judgement).encode())
        return f"{self.judgement.summary}; old and new side by side: {self.directory / PAGE}"

    def about(self, subject: str) -> PlanJudgement:
        """Return what was found of one thing, a key of ``rules.SUBJECTS``; raises as ``judgement`` does."""
        return self.judgement.about(subject)

    def status(self) -> Status:
        """Tell what became of the release, should the run not have passed."""
        return Status.HELD if self.lease.refused else Status.UNCHANGED

    def highlights(self) -> dict[str, str]:
        """Return what must not be overlooked, by what it is."""
        judged = self.judgement
        return {"plan": f"{judged.summary}: {self.directory / PAGE}", **judged.accepted}
