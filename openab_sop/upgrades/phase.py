"""One version of an upgrade on its way: applied, judged, mended by the table, put before a human (SOP 3.2-3.5).

The pre-release and the stable version go the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from openab_sop.agents.agent import Agent
from openab_sop.agents.container import HostOf
from openab_sop.cluster import orphans
from openab_sop.cluster.helm import Listed
from openab_sop.errors import PodError, ReleaseError, StepSkipped
from openab_sop.escape import one_line
from openab_sop.plans import dryrun
from openab_sop.plans.dryrun import Rendered
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import GIVEN_UP, End, Given, UpgradeState
from openab_sop.restores.changes import VolumeSince
from openab_sop.rollouts.outage import OutageWatch
from openab_sop.rollouts.problem import Symptom
from openab_sop.upgrades import fingerprint
from openab_sop.upgrades.answers import MEANINGS, Ask
from openab_sop.upgrades.decision_table import GateAnswer, Situation
from openab_sop.upgrades.judging import judge
from openab_sop.upgrades.maintenance import Maintenance, Progress
from openab_sop.upgrades.own_start import without_own_start
from openab_sop.upgrades.repair import restart, restore_config
from openab_sop.upgrades.verification import Looked, Seen, look, verify
from openab_sop.upstream.log_lines import WEBHOOKS
from openab_sop.verdict import Verdict

VANISHES = "agent-vanishes:"
"""What the id of the plan's finding begins with by which it is accepted that an agent vanishes."""


class Phase:
    """A version on its way.

    Args:
        name: "prerelease" or "stable"; its gate is called so too.
        version: chart version; empty if the phase is not needed.
        chart: its archive.
        unneeded: why it is not needed; empty if it is.
        then: name of the phase that comes after; empty for the last.

    Attributes:
        situation: what was seen, for the decision table.
    """

    def __init__(
        self,
        name: str,
        version: str,
        chart: Path | None,
        maintenance: Maintenance,
        *,
        unneeded: str = "",
        then: str = "",
    ) -> None:
        self.name = name
        self.version = version
        self.situation = Situation(changed=True)
        self._chart = chart
        self._m = maintenance
        self._unneeded = unneeded
        self._then = then
        self._watch: OutageWatch | None = None
        self._volumes: dict[str, Looked] | None = None
        self._later = ""
        self._mended = False

    @property
    def is_to_come(self) -> bool:
        """Whether it is needed and was not applied yet."""
        return not self._why_unneeded and not self._is_over and self._state.when(self._applied) is None

    def render(self, values: Path) -> Rendered:
        """Have Helm render it with the release's values."""
        assert self._chart is not None
        return dryrun.render(self._m.helm, self._m.name, self._chart, values)

    def apply(self) -> str:
        """Upgrade the release to it, with the baseline's values or those named (SOP 3.2, 3.4); returns what runs then.

        Raises:
            StepSkipped: it is not needed, or was applied already.
            ReleaseLocked: another run has taken the release over.
            ReleaseError: somebody else has changed it meanwhile.
            ToolError: Helm failed.
        """
        self._require()
        if when := self._state.when(self._applied):
            raise StepSkipped(f"{self.version} was applied at {when}, by an earlier run of this upgrade")
        m, revision = self._m, self._m.require_unchanged().revision
        release = m.release()
        m.lease.require()
        before = fingerprint.before(release, m.policy.patterns)
        first = self._state.chats if self._state.revisions else {name: seen.chats for name, seen in before.items()}
        gone = self._gone_already(release) | self._given_up(release)
        m.file.update(
            in_progress=self.name,
            in_progress_from=revision,
            before=before,
            chats=first,
            excused=self._state.excusing(gone),
        )
        with ExitStack() as watching:
            listening = frozenset({WEBHOOKS.name})  # who connects to nothing says so in no other way
            hooked = [agent for agent in release.agents if before[agent.identity].chats == (WEBHOOKS.name,)]
            chats = {agent.deployment: listening for agent in hooked}
            watch = OutageWatch(m.helm.cluster, release.agents, m.policy.patterns, chats)
            self._watch = watching.enter_context(watch)
            listed = self._send(revision)
            self.note_applied(listed.revision)
            m.until_closed(watching.pop_all())  # the outage lasts until the version is judged
        return f"chart {listed.chart} {listed.version}, revision {listed.revision}"

    def _send(self, revision: int) -> Listed:
        """Have Helm apply it; where the line broke in the middle, once more.

        Args:
            revision: Helm's revision before it.
        """
        m, chart = self._m, self._chart
        assert chart is not None
        values = m.values_for_target()

        def once() -> Listed:
            listed = m.listed()
            if listed.revision == revision + 1 and listed.version == self.version:
                if listed.status == "deployed":
                    return listed  # only the answer was lost
                m.helm.forget(m.name, listed.revision)
            with m.journal.action("helm upgrade", release=m.name, version=self.version):
                m.helm.upgrade(m.name, chart, values, orphans.mark())
            return m.listed()

        return m.helm.cluster.again(once, lambda broken: m.journal.record("the line broke", seen=broken.problem))

    def note_applied(self, revision: int) -> UpgradeState:
        """Take down that it was applied, as this revision of Helm's."""
        revisions = (*self._state.revisions, revision)
        return self._m.file.mark(self._applied, in_progress="", revisions=revisions)

    def judge(self) -> Verdict:
        """Wait until every agent runs well and has done so for a while, or fails (SOP 3.2).

        An agent whose configuration has changed while its pod was not replaced is restarted first: it would break at
        its next start, when nobody looks.
        """
        self._require()
        return self._judged(fingerprint.outdated(self._m.release(), self._state))

    def mend_config(self, progress: Progress) -> str:
        """Bring agents' and steering files back that are gone, and restart (SOP 4.1); returns what was written.

        Raises:
            StepSkipped: they are there.
            ReleaseError: the agents do not run well after that; or a claim was replaced, and all is missing.
        """
        self._require()
        self._require_unverified()
        release = self._m.release()
        if lost := fingerprint.unaccounted(release, self._state, self._state.given_up):
            self.situation = replace(self.situation, lost=tuple(lost))
            what = f"the claim of {', '.join(lost)} is another than before, or no agent has it"
            raise ReleaseError(what, "see the decision below")
        self._volumes = self._look(release)
        self._volumes = without_own_start(self._m, release, self._volumes, progress)
        missing = [finding.subject for looked in self._volumes.values() for finding in looked.broken.values()]
        if not missing and not self._mended:
            raise StepSkipped("every agents' and steering file of the backup is there")
        broken = {key: looked.mend for key, looked in self._volumes.items() if looked.broken}
        self._volumes = None
        self._mended = True  # what it is judged by is due also in a second try, which finds nothing missing
        written = restore_config(self._m, progress, broken)
        self.situation = replace(self.situation, restored=True)
        self._demand(self._judged([]))
        return f"missing or broken: {', '.join(missing)}; {written}"

    def verify(self, host_of: HostOf) -> Seen:
        """Compare what runs with what the version renders, and the volumes with the baseline (SOP 3.5).

        The files are judged once, when the version has settled. What changes later, while an answer is awaited, is
        the agent's own work: it is told, and not held against the version.

        Args:
            host_of: returns the inside of an agent's container.
        """
        self._require()
        m, release, state = self._m, self._m.release(), self._state
        volumes, self._volumes = self._volumes, None  # what the step before has seen, unless it has changed something
        if volumes is None:
            volumes = self._look(release)
        judged_before = state.when(self._verified) is not None
        if judged_before:
            volumes = {name: Looked(looked.changes, later=looked.later) for name, looked in volumes.items()}
        seen = verify(release, self.version, host_of, state, volumes, jobs=not judged_before, given_up=state.given_up)
        self._later = "; ".join(f"{key}: {changes}" for key, changes in seen.later.items())
        silent = {name: frozenset({Symptom.PROCESS_GONE}) for name in seen.silent}
        self.situation = replace(
            self.situation,
            symptoms={**self.situation.symptoms, **silent},
            lost=tuple(seen.lost),
            missing=tuple(seen.missing),
            failed=tuple(f"{finding.subject}: {finding.observed}" for finding in seen.findings),
        )
        if not seen.findings and not judged_before:
            m.file.mark(self._verified)
        return seen

    def hear(self, answer: GateAnswer) -> None:
        """Take down what a human has said already, before anything is judged anew (SOP 3.3)."""
        self.situation = replace(self.situation, answer=answer)

    def ask(self, ask: Ask) -> Given:
        """Ask whether the bot answers (SOP 3.3); an answer of NO-RESPONSE leads to ``restart_and_ask``.

        Raises:
            ApprovalPending: nobody is there to answer; StepSkipped: it was answered already.
            ReleaseError: the answer is no, or none came in time.
        """
        self._require()
        state = self._state
        if (said := state.said(self.name)) and (state.awaiting != self.name or state.when(self._restarted)):
            self._heed(GateAnswer(said.word))  # a run that was killed right after it may not have heeded it
            raise StepSkipped(str(said))
        return self._heed(ask(self.name, self._question()))

    def restart_and_ask(self, ask: Ask) -> Given:
        """Restart agents that gave no answer, and ask again (SOP 4.1).

        Raises:
            StepSkipped: they gave one. Others as ``ask`` raises them.
        """
        self._require()
        said = self._state.said(self.name)
        if not said or said.word != GateAnswer.NO_RESPONSE.value:
            raise StepSkipped(f"it is confirmed: {said}" if said else "nobody was asked")
        if not self._state.when(self._restarted):
            self._demand(self._judged(self._m.release().agents))
            self._m.file.mark(self._restarted)
        self.situation = replace(self.situation, restarted=True)
        return self._heed(ask(self.name, f"After a restart: {self._question()}"))

    def _gone_already(self, release: Release) -> dict[str, frozenset[str]]:
        """Return by volume what the agent has removed while an answer for the version before this one was awaited."""
        m = self._m
        with suppress(PodError):  # an agent that does not run cannot be looked into
            if self._state.revisions:
                seen = look(release, m.baseline(), m.policy.may_vanish, self._state)
                return {key: looked.damage for key, looked in seen.items()}
        return {}

    def _given_up(self, release: Release) -> dict[str, frozenset[str]]:
        """Return the volumes of agents that are to vanish with the target, as was accepted by name; ``GIVEN_UP``."""
        if self._state.revisions:  # accepted before the first change, or not at all
            return {}
        names = {one.removeprefix(VANISHES) for one in self._m.policy.accepted if one.startswith(VANISHES)}
        vanishing = [volume for volume in release.mounted if volume.deployment in names]
        return {volume.key: frozenset((GIVEN_UP,)) for volume in vanishing if volume.key in self._state.claims}

    def _look(self, release: Release) -> dict[str, Looked]:
        if self._m.without_baseline:
            return {}
        return look(release, self._m.baseline(), self._m.policy.may_vanish, self._state, self._settled)

    def _settled(self, key: str, since: VolumeSince) -> str:
        """Take down how a volume is while the version is judged; later, say what has changed since."""
        if self._state.when(self._verified):
            return self._m.settled.changes_since(key, since)
        self._m.settled.take(key, since)
        return ""

    @property
    def _state(self) -> UpgradeState:
        return self._m.state

    @property
    def _why_unneeded(self) -> str:
        return self._unneeded or self._state.skipped_phases.get(self.name, "")

    @property
    def _applied(self) -> str:
        return f"{self.name} applied"

    @property
    def _verified(self) -> str:
        return f"{self.name} verified"

    @property
    def _restarted(self) -> str:
        return f"{self.name} restarted"

    @property
    def _is_over(self) -> bool:
        """Whether the upgrade has gone on to the next phase."""
        return bool(self._then) and self._state.when(f"{self._then} applied") is not None

    def _require(self) -> None:
        if why := self._why_unneeded:
            raise StepSkipped(why)
        if self._is_over:
            raise StepSkipped(f"{self.version} was validated by an earlier run of this upgrade")
        self._m.at_work = True

    def _require_unverified(self) -> None:
        if when := self._state.when(self._verified):
            raise StepSkipped(f"the files were judged at {when}; what changes since is the agent's own work")

    def _judged(self, to_restart: Sequence[Agent]) -> Verdict:
        m = self._m
        for agent in to_restart:
            with m.journal.action("restart agent", agent=agent.deployment):
                restart(m.helm.cluster, agent)
        try:
            release = m.release()
            if self._watch:
                self._watch.follow({agent.identity: agent for agent in release.agents})
            companions = fingerprint.judgeable(release, self._state, m.known())
            verified = self._state.when(self._verified) is not None
            judged = judge(m, release, (*release.agents, *companions), from_now=verified and not to_restart)
        finally:
            self._note_outage()
        self.situation = replace(self.situation, symptoms=judged.symptoms)
        names = ", ".join(agent.deployment for agent in to_restart)
        verdict = judged.verdict
        return replace(verdict, checked=f"{verdict.checked}\n  restarted: {names}") if names else verdict

    def _note_outage(self) -> None:
        if self._watch is None:
            return
        self._watch.stop()
        measured = {f"{self.version} {outage.agent}": outage.seconds for outage in self._watch.outages()}
        self._m.file.update(outages={**self._state.outages, **measured})
        self._watch = None

    def _question(self) -> str:
        back = (
            f" The way back takes {one_line(self._state.rollback_estimate)}." if self._state.rollback_estimate else ""
        )
        since = (
            f" Since this version settled, the agent changed its files: {one_line(self._later)}." if self._later else ""
        )
        words = "\n".join(f"  {answer.value}: {meaning}" for answer, meaning in MEANINGS.items())
        return (
            f"{self._m.name} runs {self.version}. Send a test message in the chat: does the bot answer, "
            f"do a conversation and tool calls work?{back}{since}\n{words}"
        )

    def _heed(self, answer: GateAnswer | None) -> Given:
        self.situation = replace(self.situation, answer=answer)
        given = self._state.said(self.name)
        if given and (
            answer is GateAnswer.CONFIRMED or (answer is GateAnswer.NO_RESPONSE and not self.situation.restarted)
        ):
            return given
        said = f"a human said {answer.value}" if answer else "nobody answered in time"
        self.situation = replace(self.situation, failed=(said,))
        if answer is None and not self._then:  # a verified stable version stays (SOP 3.3)
            self._m.file.update(ended=End.LEFT)
        raise ReleaseError(f"{said} at the gate {self.name}", "see the decision below")

    @staticmethod
    def _demand(verdict: Verdict) -> None:
        if not verdict.passed:
            raise ReleaseError(str(verdict), "see the decision below")
